"""A stock Yjs client and a JSON client in one room: equals that see each other at once."""

import anyio
from websockets.asyncio.client import connect

from tests.events.serving import JsonClient
from tests.interop.node_client import NodeClient, NodeDriver
from tests.server_process import ServerProcess

AT_ONCE_SECONDS = 1.0


async def test_a_stock_yjs_client_and_a_json_client_see_each_other_come_act_and_go(
    server: ServerProcess, driver: NodeDriver, room: str
) -> None:
    async def join(name: str) -> NodeClient:
        token = await server.token(name)
        return await (await driver.connect(server.websocket_url, room, name=name, token=token)).synced()

    alice = await join("alice")
    url = f"ws://127.0.0.1:{server.port}/events?token={await server.token('bob')}"
    async with connect(url) as connection:
        bob = JsonClient(connection)
        await bob.ask("connect")
        with anyio.fail_after(AT_ONCE_SECONDS):
            joined = await bob.ask("join_room", room=room)
            assert [each["name"] for each in joined["payload"]["members"]] == ["alice", "bob"]
            await alice.wait_present("alice", "bob", timeout_seconds=AT_ONCE_SECONDS)
        with anyio.fail_after(AT_ONCE_SECONDS):
            await bob.ask("typing_start", room=room)
            await alice.wait_state(typing=True, timeout_seconds=AT_ONCE_SECONDS)
        with anyio.fail_after(AT_ONCE_SECONDS):
            await alice.set_awareness({"user": {"name": "alice"}, "cursor": {"anchor": 3}})
            await bob.heard_of("cursor", cursor={"anchor": 3})
        await server.token("carol")
        with anyio.fail_after(AT_ONCE_SECONDS):
            carol = await join("carol")
            await bob.heard_of("user_joined", name="carol")
            await carol.wait_present("alice", "bob", "carol", timeout_seconds=AT_ONCE_SECONDS)
        with anyio.fail_after(AT_ONCE_SECONDS):
            await bob.ask("leave_room", room=room)
            await alice.wait_present("alice", "carol", timeout_seconds=AT_ONCE_SECONDS)
