"""A backup while people type: one moment of every document, with all that was acknowledged before it began."""

import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

import anyio
import pytest
from typer.testing import Result

from auth.grants import Role
from crdt_store.engine import create_engine
from crdt_store.gathering import gather
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import UpdateLog
from server.engine.document import Document
from server.operator.documents import all_documents
from server.settings import Settings
from server.token_settings import token_minter
from tests.operator.commands import SECRET, costudio_beside
from tests.server_process import ServerProcess, running_server
from tests.wire.client import WireClient, Writer, open_client

ROOMS = [f"workspace:1/{nth}.md" for nth in range(2)]
EDITS_BEFORE, EDITS_AFTER = 10, 5  # of each typist, acknowledged
TYPISTS_PER_ROOM = 2


class Typist:
    """Types words, and knows which are acknowledged."""

    def __init__(self, name: str, client_id: int, client: WireClient) -> None:
        self._name = name
        self._writer = Writer(client_id)
        self._client = client
        self.acknowledged: list[str] = []

    async def type_for_ever(self) -> None:
        while True:
            word = f"{self._name}-{len(self.acknowledged)} "
            await self._client.edit(self._writer.type(word))
            self._client.received.clear()
            self.acknowledged.append(word)

    async def wait_for(self, words: int) -> None:
        with anyio.fail_after(30):
            while len(self.acknowledged) < words:
                await anyio.sleep(0.01)


async def typists(server: ServerProcess, stack: AsyncExitStack) -> AsyncIterator[tuple[str, Typist]]:
    minter = token_minter(Settings(jwt_secret=SECRET))
    token = minter.mint("alice", grants={"*": Role.EDITOR}, now_seconds=time.time(), ttl_seconds=600)
    for nth, room in enumerate(ROOMS * TYPISTS_PER_ROOM):
        url = server.websocket_url.removesuffix("/ws")
        client = await stack.enter_async_context(open_client(url, room, token))
        yield room, Typist(f"t{nth}", 100 + nth, client)


async def written(log: UpdateLog, name: str) -> list[bytes]:
    """All of the document's updates, in order."""
    return [update.data async for stored in log.read(name) for update in stored.row.updates]


def text_of(updates: list[bytes]) -> str:
    return Document.load(updates).text("content")


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


async def digests(url: str) -> dict[str, str]:
    """Of the text of every document that is there."""
    database = create_engine(url)
    log = SqlUpdateLog(database)
    found = {}
    async for name in all_documents(log):
        found[name] = digest(text_of((await gather(log, name, from_snapshot=False)).tail))
    await database.close()
    return found


@pytest.mark.slow
async def test_a_backup_under_load_is_one_moment_with_all_that_was_acknowledged(
    kind: str, database_url: str, tmp_path: Path
) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "COSTUDIO_JWT_SECRET": SECRET,
        "COSTUDIO_COMPACTION_MAX_UPDATES": "20",
    }
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(tmp_path / "data", environment))
        people = [each async for each in typists(server, stack)]
        async with anyio.create_task_group() as tasks:
            for _, typist in people:
                tasks.start_soon(typist.type_for_ever)
            for _, typist in people:
                await typist.wait_for(EDITS_BEFORE)
            before = [(room, tuple(typist.acknowledged)) for room, typist in people]
            await _done(costudio_beside("backup", backup, data_dir=tmp_path / "data", **environment))
            during = sum(
                len(t.acknowledged) - len(said) for (_, said), (_, t) in zip(before, people, strict=True)
            )
            for _, typist in people:
                await typist.wait_for(len(typist.acknowledged) + EDITS_AFTER)
            tasks.cancel_scope.cancel()
        await server.stop()
    assert during > 0

    # Exactly the first of all that was written, of every document.
    source, copy = create_engine(database_url), create_engine(str(backup))
    texts: dict[str, str] = {}
    for room in ROOMS:
        kept, all_written = await written(SqlUpdateLog(copy), room), await written(SqlUpdateLog(source), room)
        assert kept == all_written[: len(kept)]
        assert len(kept) < len(all_written)  # they went on typing
        texts[room] = text_of(kept)
    await source.close()
    await copy.close()
    for room, words in before:
        assert [word for word in words if word not in texts[room]] == []

    # Elsewhere, it says the same.
    await _done(costudio_beside("restore", backup, data_dir=restored))
    expected = {room: digest(text) for room, text in texts.items()}
    found = await digests(f"sqlite:///{restored / 'costudio.db'}")
    assert {room: found[room] for room in ROOMS} == expected


async def _done(command: Awaitable[Result]) -> None:
    result = await command
    assert result.exit_code == 0, result.stderr
