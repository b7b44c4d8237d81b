"""What stock clients wrote is what the next one reads, however the server ended and whatever was compacted."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.documents_client import documents_client
from tests.interop.node_client import NodeClient, NodeDriver, Typed
from tests.server_process import ServerProcess, running_server

TRACE = Path(__file__).parent.parent / "data" / "editing-traces" / "sveltecomponent.json.gz"
REPLAY_SECONDS = 60.0
KILLS = 4

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
async def compacting_server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """One that makes a snapshot whenever it looks."""
    async with running_server(tmp_path, {"COSTUDIO_COMPACTION_MAX_UPDATES": "20"}) as server:
        yield server


async def join(server: ServerProcess, driver: NodeDriver, room: str, name: str) -> NodeClient:
    client = await driver.connect(server.websocket_url, room, name=name, token=await server.token(name))
    return await client.synced()


async def test_a_long_history_reads_the_same_after_a_stop_and_after_a_kill(
    compacting_server: ServerProcess, driver: NodeDriver, room: str
) -> None:
    server = compacting_server
    text = json.loads(gzip.decompress(TRACE.read_bytes()))["endContent"]
    author = await join(server, driver, room, "author")
    await author.replay(TRACE)
    await author.wait_confirmed(timeout_seconds=REPLAY_SECONDS)
    await author.destroy()

    await snapshot_made(server, room)
    await server.stop()
    await server.start()
    reader = await join(server, driver, room, "reader")
    assert await reader.text() == text
    await reader.insert(0, "more: ")
    await reader.wait_confirmed()
    await reader.destroy()

    await server.kill()
    await server.start()
    last = await join(server, driver, room, "last")
    assert await last.text() == "more: " + text


async def test_what_was_confirmed_survives_kills_amid_compactions(
    compacting_server: ServerProcess, driver: NodeDriver, room: str
) -> None:
    server = compacting_server
    typists = [await join(server, driver, room, name) for name in ("alice", "bob")]
    for round_number in range(KILLS):
        for seed, typist in enumerate(typists):
            await typist.start_typing(seed=seed)
        await compacted_again(server, room)
        # A snapshot is made every half second: the kills fall before, amid and after one.
        await typists[0].wait_confirmed((await typists[0].stats()).confirmed + 15 * round_number)
        await server.kill()
        for typist in typists:
            await typist.disconnect()
            await typist.stop_typing()

        # Read before the typists are back: they have everything, and would mend any loss unseen.
        await server.start()
        witness = await join(server, driver, room, "witness")
        text = await witness.text()
        for token in [token for typist in typists for token in await typist.typed()]:
            assert_survived(token, text)
        for typist in typists:
            await typist.reconnect()
        for typist in typists:
            await typist.wait_confirmed()
        await witness.destroy()

    text = await (await join(server, driver, room, "reader")).text()
    tokens = [token for typist in typists for token in await typist.typed() if not token.is_deleted]
    assert sorted(part + "]" for part in text.split("]")[:-1]) == sorted(token.token for token in tokens)


async def snapshot_made(server: ServerProcess, room: str) -> None:
    """Until there is a snapshot."""
    token = await server.token("root", role="viewer")
    async with documents_client(server.url, token, room) as api:
        with anyio.fail_after(20):
            while not (await api.describe())["compacted_seq"]:
                await anyio.sleep(0.01)


async def compacted_again(server: ServerProcess, room: str) -> None:
    """Until there is another snapshot than the one there is now."""
    token = await server.token("root", role="viewer")
    async with documents_client(server.url, token, room) as api:
        before = (await api.describe())["compacted_seq"]
        with anyio.fail_after(20):
            while (await api.describe())["compacted_seq"] == before:
                await anyio.sleep(0.01)


def assert_survived(token: Typed, text: str) -> None:
    if token.is_deletion_confirmed:
        assert token.token not in text
    elif token.is_insertion_confirmed and not token.is_deleted:
        assert text.count(token.token) == 1
