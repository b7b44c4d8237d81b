"""The promise of an echo: what came back to its author is there after `kill -9`, and nothing twice."""

from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from tests.interop.node_client import NodeClient, NodeDriver, Typed
from tests.server_process import ServerProcess

ROUNDS = 3
EDITS_PER_ROUND = 60


@pytest.mark.slow
async def test_confirmed_edits_survive_kill_nine(
    own_server: ServerProcess, driver: NodeDriver, room: str
) -> None:
    async def join(name: str, user: str, **options: Any) -> NodeClient:
        token = await own_server.token(user)
        client = await driver.connect(own_server.websocket_url, room, name=name, token=token, **options)
        return await client.synced()

    # Bob asks for what he lacks all the time: no answer may hold an edit of his that is not yet saved.
    typists = [await join("alice", "alice"), await join("bob", "bob", resyncInterval=20)]
    for _ in range(ROUNDS):
        typed = await _kill_amid_typing(own_server, typists)

        # Read before the typists are back: they have everything, and would mend any loss unseen.
        await own_server.start()
        witness = await join("witness", "alice")
        _check_survivors(await witness.text(), typed)

        for typist in typists:
            await typist.reconnect()
        for typist in typists:
            await typist.wait_confirmed()
        reader = await join("reader", "alice")
        text = await reader.text()
        for client in (*typists, witness):
            await client.wait_text(text)
        _check_each_once(text, [token for typist in typists for token in await typist.typed()])
        for client in (witness, reader):
            await client.destroy()


async def _kill_amid_typing(server: ServerProcess, typists: list[NodeClient]) -> list[Typed]:
    """What both had typed, and heard back, by the time the server died."""
    for seed, typist in enumerate(typists):
        await typist.start_typing(seed=seed)
    async with anyio.create_task_group() as tasks:
        for typist in typists:
            tasks.start_soon(typist.wait_confirmed, (await typist.stats()).confirmed + EDITS_PER_ROUND)
    await server.kill()
    for typist in typists:
        await typist.disconnect()
        await typist.stop_typing()
    return [token for typist in typists for token in await typist.typed()]


def _check_survivors(text: str, typed: Iterable[Typed]) -> None:
    for token in typed:
        if token.is_deletion_confirmed:
            assert token.token not in text
        elif token.is_insertion_confirmed and not token.is_deleted:
            assert text.count(token.token) == 1


def _check_each_once(text: str, typed: Iterable[Typed]) -> None:
    expected = sorted(token.token for token in typed if not token.is_deleted)
    assert sorted(part + "]" for part in text.split("]")[:-1]) == expected
