"""Real editing histories, keystroke by keystroke, through the running server and back after a restart."""

import gzip
import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.interop.node_client import NodeClient, NodeDriver
from tests.server_process import ServerProcess

TRACES = Path(__file__).parent.parent / "data" / "editing-traces"
# Ascending: where two agents insert at one place, the recorded text has agent 0's first (NOTE.md).
CLIENT_IDS = (1, 2)
REPLAY_SECONDS = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def test_one_authors_history(server: ServerProcess, driver: NodeDriver, room: str) -> None:
    await _replay_alone(TRACES / "sveltecomponent.json.gz", server, driver, room)


async def test_positions_of_a_history_count_code_points(
    server: ServerProcess, driver: NodeDriver, room: str, tmp_path: Path
) -> None:
    file = tmp_path / "wide.json.gz"
    patches = [[0, 0, "a🌍b"], [2, 1, "🙂é"], [0, 2, "𝒳"]]
    trace = {"startContent": "", "endContent": "𝒳🙂é", "txns": [{"patches": [patch]} for patch in patches]}
    file.write_bytes(gzip.compress(json.dumps(trace).encode()))
    await _replay_alone(file, server, driver, room)


async def test_two_authors_typing_at_once(server: ServerProcess, driver: NodeDriver, room: str) -> None:
    file = TRACES / "friendsforever.json.gz"
    authors = [await _join(name, server, driver, room) for name in ("alice", "bob")]
    async with anyio.create_task_group() as tasks:
        for agent, author in enumerate(authors):
            tasks.start_soon(_replay_agent, author, file, agent)
    await _check_text_now_and_after_a_restart(_read(file)["endContent"], authors, server, driver, room)


async def _replay_alone(file: Path, server: ServerProcess, driver: NodeDriver, room: str) -> None:
    author = await _join("alice", server, driver, room)
    await author.replay(file)
    await _check_text_now_and_after_a_restart(_read(file)["endContent"], [author], server, driver, room)


async def _replay_agent(author: NodeClient, file: Path, agent: int) -> None:
    await author.replay(file, agent=agent, client_ids=CLIENT_IDS)


async def _check_text_now_and_after_a_restart(
    expected: str, authors: list[NodeClient], server: ServerProcess, driver: NodeDriver, room: str
) -> None:
    for author in authors:
        await author.wait_confirmed(timeout_seconds=REPLAY_SECONDS)
    for author in authors:
        await author.wait_text(expected)
        await author.disconnect()
    await server.restart()
    reader = await _join("alice", server, driver, room)
    assert await reader.text() == expected


async def _join(name: str, server: ServerProcess, driver: NodeDriver, room: str) -> NodeClient:
    token = await server.token(name)
    return await (await driver.connect(server.websocket_url, room, name=name, token=token)).synced()


def _read(file: Path) -> dict[str, Any]:
    trace: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return trace
