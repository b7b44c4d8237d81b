"""What is spoilt on the disk costs itself alone: it is put aside, and everything else is served."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from auth.grants import Role
from crdt_store.row_codec import encode_parts, encode_updates, row_checksum, snapshot_checksum
from crdt_store.update_log import Update
from server.protocol.yjs_messages import sync_step_1, sync_step_2
from tests.documents_client import DocumentsClient, documents_client
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

OTHER_ROOM = "workspace:1/other.md"
WORDS = ("one ", "two ", "three ", "four ", "five ")
GARBAGE = b"not an update"

Spoil = Callable[[sqlite3.Connection, int, int], None]


@asynccontextmanager
async def serve(data_dir: Path, **options: object) -> AsyncIterator[tuple[RunningServer, DocumentsClient]]:
    """A server, and an administrator of the test's document."""
    async with run_server(data_dir, **options) as server:  # type: ignore[arg-type]
        token = server.token("root", Role.ADMIN)
        async with documents_client(server.url.replace("ws://", "http://"), token, ROOM) as api:
            yield server, api


async def write_words(server: RunningServer, room: str = ROOM) -> list[Writer]:
    """A row for each word, none of which builds on another."""
    client = await server.client(room=room)
    writers = [Writer(client_id) for client_id in range(1, len(WORDS) + 1)]
    for writer, word in zip(writers, WORDS, strict=True):
        await client.edit(writer.type(word))
    return writers


@contextmanager
def database(data_dir: Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    """A stopped server's database, and the number of the test's document."""
    connection = sqlite3.connect(data_dir / "costudio.db", isolation_level=None)
    try:
        (document_id,) = connection.execute("SELECT id FROM documents WHERE name = ?", [ROOM]).fetchone()
        yield connection, document_id
    finally:
        connection.close()


def replace_by_garbage(connection: sqlite3.Connection, document_id: int, seq: int) -> None:
    """Bytes that somebody wrote there on purpose: even the checksum is right."""
    place = (document_id, seq)
    query = (
        "SELECT author_id, client_ids, first_received_at_ms FROM updates WHERE document_id = ? AND seq = ?"
    )
    author_id, client_ids, received_at_ms = connection.execute(query, place).fetchone()
    payload = encode_updates([Update(GARBAGE, received_at_ms)])
    times = (received_at_ms, received_at_ms)
    checksum = row_checksum(ROOM, seq, author_id, client_ids, payload, *times)
    connection.execute(
        "UPDATE updates SET payload = ?, last_received_at_ms = ?, checksum = ? WHERE document_id = ? AND seq = ?",
        (payload, received_at_ms, checksum, *place),
    )


def break_checksum(connection: sqlite3.Connection, document_id: int, seq: int) -> None:
    connection.execute(
        "UPDATE updates SET payload = CAST(payload || x'00' AS BLOB) WHERE document_id = ? AND seq = ?",
        (document_id, seq),
    )


def delete_row(connection: sqlite3.Connection, document_id: int, seq: int) -> None:
    connection.execute("DELETE FROM updates WHERE document_id = ? AND seq = ?", (document_id, seq))


@pytest.mark.parametrize(
    ("spoil", "position", "holds_bytes"),
    [(replace_by_garbage, 0, True), (break_checksum, -1, True), (delete_row, -1, False)],
    ids=["garbage", "checksum", "missing"],
)
@pytest.mark.parametrize("seq", [1, 3, len(WORDS)])
async def test_a_spoilt_row_is_put_aside_and_its_author_heals_the_document(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Spoil,
    position: int,
    holds_bytes: bool,
    seq: int,
) -> None:
    async with serve(tmp_path) as (server, _):
        writers = await write_words(server)
        await write_words(server, OTHER_ROOM)
    with database(tmp_path) as (connection, document_id):
        spoil(connection, document_id, seq)

    rest = "".join(word for word in WORDS if word != WORDS[seq - 1])
    for is_known in (False, True):
        caplog.clear()
        async with serve(tmp_path) as (server, api):
            assert await (await server.client()).text() == rest
            assert await (await server.client(room=OTHER_ROOM)).text() == "".join(WORDS)
            (entry,) = await api.quarantined()
            assert (entry["seq"], entry["position"]) == (seq, position)
            assert (entry["size_bytes"] > 0, bool(entry["error"])) == (holds_bytes, True)
        told = errors(caplog)
        assert len(told) == (0 if is_known else 1)
        assert all(repr(ROOM) in message and f"row {seq}" in message for message in told)

    async with serve(tmp_path) as (server, _):
        await resync(server, writers[seq - 1])
    async with serve(tmp_path) as (server, api):
        assert await (await server.client()).text() == "".join(WORDS)
        assert len(await api.quarantined()) == 1


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator was told."""
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


async def resync(server: RunningServer, writer: Writer) -> None:
    """Come back as a stock client does, and stay until all is saved."""
    client = await server.client()
    await client.send(sync_step_1(writer.doc.get_state()))
    await client.send(sync_step_2(writer.doc.get_update()))
    await client.until(lambda: client.heard(writer.doc.get_update()))


async def test_what_builds_on_a_spoilt_row_is_put_aside_with_it(tmp_path: Path) -> None:
    writer = Writer(7)
    async with serve(tmp_path) as (server, _):
        client = await server.client()
        for word in WORDS:
            await client.edit(writer.type(word))
        await client.edit(Writer(8).type("beside"))
    with database(tmp_path) as (connection, document_id):
        break_checksum(connection, document_id, 3)
    async with serve(tmp_path) as (server, api):
        assert sorted((await (await server.client()).text()).split()) == ["beside", "one", "two"]
        aside = [(entry["seq"], entry["position"]) for entry in await api.quarantined()]
        assert aside == [(3, -1), (4, 0), (5, 0)]
        await resync(server, writer)
    async with serve(tmp_path) as (server, _):
        text = await (await server.client()).text()
        assert text.replace("beside", "") == "".join(WORDS)


async def test_a_document_with_something_aside_is_written_and_compacted_like_any_other(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as (server, _):
        await write_words(server)
    with database(tmp_path) as (connection, document_id):
        replace_by_garbage(connection, document_id, 2)
    async with serve(tmp_path, compaction_max_updates=3) as (server, api):
        await (await server.client()).edit(Writer(100).type("six"))
        await compacted(api)
        assert len(await api.quarantined()) == 1
    async with serve(tmp_path) as (server, api):
        assert await (await server.client()).text() == "one three four five six"
        assert len(await api.quarantined()) == 1


async def compacted(api: DocumentsClient) -> None:
    """Until a snapshot stands for all rows."""
    with anyio.fail_after(20):
        while (about := await api.describe())["compacted_seq"] < about["last_seq"]:
            await anyio.sleep(0.02)


async def write_two_snapshots(data_dir: Path) -> None:
    """The words in the first one, one word more in the second, and another one after that."""
    async with serve(data_dir, compaction_max_updates=1) as (server, api):
        await write_words(server)
        await compacted(api)
        await (await server.client()).edit(Writer(100).type("six "))
        await compacted(api)
    async with serve(data_dir) as (server, _):
        await (await server.client()).edit(Writer(101).type("seven"))


SpoilSnapshot = Callable[[sqlite3.Connection, int], None]
_NEWEST = "WHERE id = (SELECT max(id) FROM snapshots WHERE document_id = ?)"


def break_newest_snapshot(connection: sqlite3.Connection, document_id: int) -> None:
    connection.execute(f"UPDATE snapshots SET data = CAST(data || x'00' AS BLOB) {_NEWEST}", (document_id,))


def break_every_snapshot(connection: sqlite3.Connection, document_id: int) -> None:
    connection.execute("UPDATE snapshots SET data = x'' WHERE document_id = ?", (document_id,))


def delete_every_snapshot(connection: sqlite3.Connection, document_id: int) -> None:
    connection.execute("DELETE FROM snapshots WHERE document_id = ?", (document_id,))


def replace_newest_snapshot_by_garbage(connection: sqlite3.Connection, document_id: int) -> None:
    query = f"SELECT seq, summary, created_at_ms FROM snapshots {_NEWEST}"
    seq, summary, created_at_ms = connection.execute(query, (document_id,)).fetchone()
    data = encode_parts([GARBAGE])
    checksum = snapshot_checksum(ROOM, seq, data, summary, created_at_ms)
    connection.execute(
        f"UPDATE snapshots SET data = ?, checksum = ? {_NEWEST}", (data, checksum, document_id)
    )


@pytest.mark.parametrize(
    "spoil",
    [
        break_newest_snapshot,
        break_every_snapshot,
        delete_every_snapshot,
        replace_newest_snapshot_by_garbage,
    ],
)
async def test_without_its_snapshot_a_document_is_what_its_history_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: SpoilSnapshot
) -> None:
    await write_two_snapshots(tmp_path)
    with database(tmp_path) as (connection, document_id):
        of_document = "SELECT count(*) FROM snapshots WHERE document_id = ?"
        (count,) = connection.execute(of_document, [document_id]).fetchone()
        assert count == 2
        spoil(connection, document_id)
    caplog.clear()
    async with serve(tmp_path) as (server, api):
        assert await (await server.client()).text() == "".join(WORDS) + "six seven"
        assert await api.quarantined() == []
    told = errors(caplog)
    assert told
    assert all(ROOM in message and "snapshot" in message for message in told)


async def test_a_compaction_after_a_spoilt_snapshot_makes_a_good_one(tmp_path: Path) -> None:
    await write_two_snapshots(tmp_path)
    with database(tmp_path) as (connection, document_id):
        replace_newest_snapshot_by_garbage(connection, document_id)
    async with serve(tmp_path, compaction_max_updates=1) as (server, api):
        await (await server.client()).edit(Writer(102).type("!"))
        await compacted(api)
    async with serve(tmp_path) as (server, api):
        assert await (await server.client()).text() == "".join(WORDS) + "six seven!"
        assert (await api.describe())["snapshot_bytes"] > len("".join(WORDS))


async def test_the_rest_of_a_spoilt_history_is_served_when_the_snapshots_are_gone(tmp_path: Path) -> None:
    await write_two_snapshots(tmp_path)
    with database(tmp_path) as (connection, document_id):
        break_every_snapshot(connection, document_id)
        connection.execute(
            "UPDATE history SET payload = x'00' WHERE document_id = ? AND last_seq = ?",
            (document_id, len(WORDS) + 1),
        )
    async with serve(tmp_path) as (server, api):
        text = await (await server.client()).text()
        assert text.startswith(WORDS[0])
        assert text.endswith("seven")
        assert "six" not in text
        (entry,) = await api.quarantined()
        assert (entry["seq"], entry["position"]) == (len(WORDS) + 1, -1)
