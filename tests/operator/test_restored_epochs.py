"""What clients still have of a time after the backup is kept aside, and ruins nothing that is written then."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

from pycrdt import Array, Doc
from websockets.asyncio.client import connect

from auth.grants import Role
from tests.documents_client import documents_client
from tests.events.serving import JsonClient
from tests.operator.commands import costudio_beside
from tests.wire.conftest import ROOM, RunningServer, run_server
from tests.wire.test_epochs import HISTORY_CHANGED, bring, write


async def test_a_replica_that_is_younger_than_the_backup_is_kept_out_and_kept_aside(tmp_path: Path) -> None:
    data_dir, backup = tmp_path / "data", tmp_path / "backup"
    data_dir.mkdir()
    async with run_server(data_dir) as server:
        writer = await write(server, 7, "old")
        done = await costudio_beside("backup", backup, data_dir=data_dir)
        assert done.exit_code == 0, done.stderr
        refused = await costudio_beside("restore", backup, "--force", data_dir=data_dir)
        assert (refused.exit_code, "another server" in refused.stderr) == (2, True)
        writer.doc.apply_update((await write(server, 8, " lost", "bob")).doc.get_update())
    refused = await costudio_beside("restore", backup, data_dir=data_dir)
    assert (refused.exit_code, "not empty" in refused.stderr) == (2, True)
    done = await costudio_beside("restore", backup, "--force", data_dir=data_dir)
    assert done.exit_code == 0, done.stderr
    async with run_server(data_dir) as server:
        assert await (await server.client()).text() == "old"
        await write(server, 9, " new", "carol")
        assert (await bring(await server.client(), writer))[0] == HISTORY_CHANGED
        assert await (await server.client("bob")).text() == "old new"
        token = server.token("root", Role.ADMIN)
        async with documents_client(server.url.replace("ws:", "http:"), token, ROOM) as api:
            assert (await api.describe())["epoch"] == 2
            (stale_id,) = await api.stale_ids()
            await api.merge(stale_id)
        assert sorted((await (await server.client("bob")).text()).split()) == ["lost", "new", "old"]


async def test_after_a_move_clients_go_on_and_bring_what_they_have(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server:
        writer = await write(server, 7, "old")
        await costudio_beside("backup", tmp_path / "backup", data_dir=tmp_path)
        writer.doc.apply_update((await write(server, 8, " kept", "bob")).doc.get_update())
    done = await costudio_beside("restore", tmp_path / "backup", "--force", "--same-epoch", data_dir=tmp_path)
    assert done.exit_code == 0, done.stderr
    async with run_server(tmp_path) as server:
        client = await server.client()
        assert await client.text() == "old"
        await client.edit(writer.doc.get_update())
        assert await (await server.client("bob")).text() == "old kept"


async def json_client(server: RunningServer, stack: AsyncExitStack) -> JsonClient:
    url = f"{server.url}/events?token={server.token('alice')}"
    return JsonClient(await stack.enter_async_context(connect(url, compression=None)))


async def test_a_chat_goes_on_after_a_restore_and_what_came_after_the_backup_is_known_to_be_missed(
    tmp_path: Path,
) -> None:
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        client = await json_client(server, stack)
        await client.ask("join_room", room="chat:7")
        assert (await client.ask("message", room="chat:7", id=str(uuid4()), body="kept"))["type"] == "ack"
        await costudio_beside("backup", tmp_path / "backup", data_dir=tmp_path)
        await client.ask("message", room="chat:7", id=str(uuid4()), body="lost")
        last_seq = max(event["payload"].get("event_seq") or 0 for event in client.received)
    done = await costudio_beside("restore", tmp_path / "backup", "--force", data_dir=tmp_path)
    assert done.exit_code == 0, done.stderr
    async with run_server(tmp_path) as server, AsyncExitStack() as stack:
        client = await json_client(server, stack)
        joined = await client.ask("join_room", room="chat:7")
        assert (await client.ask("message", room="chat:7", id=str(uuid4()), body="new"))["type"] == "ack"
        again = await (await json_client(server, stack)).ask("join_room", room="chat:7", last_seq=last_seq)
        assert (joined["payload"]["gap"], again["payload"]["gap"]) == (False, True)
        doc: Doc[Any] = Doc()
        doc.apply_update(await (await server.client(room="chat:7")).sync())
        messages = doc.get("messages", type=Array).to_py()
        assert [(each["body"], each["seq"]) for each in messages or []] == [("kept", 1), ("new", 2)]
