"""A changed byte is found and named; it is never served, and costs only its own document."""

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from crdt_store.engine import create_engine
from crdt_store.gathering import gather
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import WHOLE_ROW, DocumentDamaged, LogUnavailable, Snapshot
from tests.acceptance.log_rows import compact, contents, opened, quarantine, row

FLIPS = 100
ROWS = 9
SNAPSHOTS = (3, 6)


def data(name: str, first: int = 0, last: int = ROWS) -> list[bytes]:
    return [b"%s %d" % (name.encode(), i) for i in range(first, last)]


@pytest.fixture
async def filled(path: Path) -> Path:
    """Documents a, b and c: rows 1-3 and 4-6 in a record of the history each, 7-9 in the hot log."""
    log = SqlUpdateLog(create_engine(str(path)))
    await log.append(
        [row(name, each, client_ids=(i,)) for name in "abc" for i, each in enumerate(data(name))]
    )
    for name in "abc":
        for _ in SNAPSHOTS:
            await compact(log, name, count=3)
    await log.close()
    return path


@pytest.fixture
async def log(filled: Path) -> AsyncIterator[SqlUpdateLog]:
    """Opened at first use, after the damage is done."""
    log = SqlUpdateLog(create_engine(str(filled)))
    yield log
    await log.close()


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def assert_others_are_whole(log: SqlUpdateLog) -> None:
    for name in "ac":
        assert await contents(log, name) == await opened(log, name) == data(name)


OF_B = "document_id = (SELECT id FROM documents WHERE name = 'b')"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE updates SET payload = CAST('x' || substr(payload, 2) AS BLOB)",
        "UPDATE updates SET payload = substr(payload, 2)",
        "UPDATE updates SET payload = x''",
        "UPDATE updates SET payload = 7",
        "UPDATE updates SET payload = 'text'",
        "UPDATE updates SET client_ids = x'05'",
        "UPDATE updates SET client_ids = 'text'",
        "UPDATE updates SET checksum = x'00'",
        "UPDATE updates SET checksum = 0.5",
        "UPDATE updates SET author_id = 1",
        "UPDATE updates SET author_id = 'text'",
        "UPDATE updates SET first_received_at_ms = 1",
        "UPDATE updates SET last_received_at_ms = 'text'",
        "UPDATE updates SET document_id = 1000",
        "DELETE FROM updates",
    ],
)
async def test_a_changed_row_is_named_and_not_served(filled: Path, log: SqlUpdateLog, damage: str) -> None:
    change(filled, f"{damage} WHERE seq = 8 AND {OF_B}")
    for after in (0, 6, 7):
        with pytest.raises(DocumentDamaged, match="'b': row 8"):
            await contents(log, "b", after=after)
    await assert_others_are_whole(log)
    await put_aside_what_is_damaged(log, 8)
    assert await contents(log, "b") == await opened(log, "b") == [*data("b", 0, 7), b"b 8"]
    await compact(log, "b")
    assert await contents(log, "b") == await opened(log, "b") == [*data("b", 0, 7), b"b 8"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE history SET payload = CAST('y' || substr(payload, 2) AS BLOB)",
        "UPDATE history SET payload = substr(payload, 1, 20)",
        "UPDATE history SET payload = x''",
        "UPDATE history SET payload = 7",
        "UPDATE history SET payload = 'text'",
        "UPDATE history SET payload = (SELECT payload FROM updates LIMIT 1)",
        "UPDATE history SET client_ids = x'05'",
        "UPDATE history SET checksum = x'00'",
        "UPDATE history SET author_id = 1",
        "UPDATE history SET epoch = 2",
        "UPDATE history SET first_received_at_ms = 1",
        "UPDATE history SET last_received_at_ms = 'text'",
        "UPDATE history SET document_id = 1000",
        "DELETE FROM history",
    ],
)
@pytest.mark.parametrize("seqs", [(1, 3), (4, 6)])
async def test_a_changed_record_of_the_history_is_named_and_not_served(
    filled: Path, log: SqlUpdateLog, damage: str, seqs: tuple[int, int]
) -> None:
    change(filled, f"{damage} WHERE last_seq = {seqs[1]} AND {OF_B}")
    with pytest.raises(DocumentDamaged, match=f"'b': row {seqs[1]}"):
        await contents(log, "b")
    await assert_others_are_whole(log)
    assert await opened(log, "b") == data("b")
    left = [*data("b", 0, seqs[0] - 1), *data("b", seqs[1], 9)]
    await put_aside_what_is_damaged(log, seqs[1])
    assert await contents(log, "b") == left
    await compact(log, "b")
    assert await contents(log, "b") == left
    assert await opened(log, "b") == data("b")


async def put_aside_what_is_damaged(log: SqlUpdateLog, seq: int) -> None:
    """As whoever loads the document does."""
    with pytest.raises(DocumentDamaged) as failure:
        await contents(log, "b")
    assert (failure.value.document, failure.value.seq) == ("b", seq)
    await quarantine(log, "b", (seq, WHOLE_ROW, failure.value.reason))
    (entry,) = await log.quarantined("b")
    assert (entry.seq, entry.position, entry.error) == (seq, WHOLE_ROW, failure.value.reason)


@pytest.mark.parametrize(
    "damage",
    [
        # Two rows change places, within a document and between two.
        "UPDATE updates SET seq = -seq WHERE seq IN (7, 8) AND document_id = 2;"
        "UPDATE updates SET seq = 15 + seq WHERE seq < 0",
        "UPDATE updates SET seq = -document_id WHERE seq = 8 AND document_id IN (2, 3);"
        "UPDATE updates SET document_id = 5 + seq, seq = 8 WHERE seq < 0",
        "UPDATE history SET last_seq = -document_id WHERE last_seq = 6 AND document_id IN (2, 3);"
        "UPDATE history SET document_id = 5 + last_seq, last_seq = 6 WHERE last_seq < 0",
        "UPDATE updates SET seq = 400 WHERE seq = 8 AND document_id = 2",
        "UPDATE updates SET seq = 400 WHERE seq = 9 AND document_id = 2",
        "DELETE FROM updates WHERE seq = 9 AND document_id = 2",
        "DELETE FROM updates WHERE seq = 7 AND document_id = 2",
        "DELETE FROM updates WHERE document_id = 2",
        "DELETE FROM history WHERE document_id = 2",
        "DELETE FROM history WHERE document_id = 2 AND last_seq = 6",
        "UPDATE documents SET last_seq = 10 WHERE id = 2",
        "UPDATE documents SET last_seq = 'text' WHERE id = 2",
        "UPDATE documents SET compacted_seq = 0 WHERE id = 2",
        "UPDATE documents SET compacted_seq = 7 WHERE id = 2",
        "UPDATE documents SET compacted_seq = 'text' WHERE id = 2",
        "UPDATE history SET first_seq = 3 WHERE last_seq = 3 AND document_id = 2",
        "UPDATE history SET first_seq = 1 WHERE last_seq = 6 AND document_id = 2",
        "UPDATE documents SET name = 'B' WHERE name = 'b';UPDATE documents SET name = 'b' WHERE name = 'c'",
    ],
)
async def test_rows_out_of_place_or_missing_are_noticed(filled: Path, log: SqlUpdateLog, damage: str) -> None:
    change(filled, *damage.split(";"))
    with pytest.raises((DocumentDamaged, LogUnavailable), match="'b'"):
        await contents(log, "b")
    assert await contents(log, "a") == data("a")


@pytest.mark.parametrize("found", [0, 6, 8])
async def test_rows_beyond_a_damaged_end_are_served_and_written_after(
    filled: Path, log: SqlUpdateLog, found: int
) -> None:
    change(filled, f"UPDATE documents SET last_seq = {found} WHERE id = 2")
    assert await contents(log, "b") == await opened(log, "b") == data("b")
    assert (await log.head("b")).last_seq == ROWS
    await log.append([row(name, b"%s 9" % name.encode()) for name in "abc"])
    assert await contents(log, "b") == await opened(log, "b") == data("b", 0, 10)
    await compact(log, "b")
    assert await contents(log, "b") == await opened(log, "b") == data("b", 0, 10)


async def test_a_damaged_end_before_what_is_compacted_loses_nothing(filled: Path, log: SqlUpdateLog) -> None:
    await compact(log, "b")
    change(filled, "UPDATE documents SET last_seq = 2 WHERE id = 2")
    await log.append([row("b", b"b 9")])
    assert await contents(log, "b") == await opened(log, "b") == data("b", 0, 10)


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        ("UPDATE documents SET last_seq = 1 << 40 WHERE id = 2", data("b")),
        ("UPDATE updates SET seq = 1 << 40 WHERE seq = 9 AND document_id = 2", data("b", 0, 8)),
        ("DELETE FROM updates WHERE seq IN (7, 8) AND document_id = 2", [*data("b", 0, 6), b"b 8"]),
        ("DELETE FROM updates WHERE seq > 7 AND document_id = 2", data("b", 0, 7)),
        ("DELETE FROM updates WHERE document_id = 2", data("b", 0, 6)),
    ],
)
async def test_a_hole_costs_one_entry_however_wide_it_is(
    filled: Path, log: SqlUpdateLog, damage: str, left: list[bytes]
) -> None:
    change(filled, damage)
    for _ in range(2):
        assert (await gather(log, "b", from_snapshot=False)).tail == left
        assert len(await log.quarantined("b")) == (2 if "seq = 9" in damage else 1)
    await log.append([row("b", b"after")])
    assert await contents(log, "b") == await opened(log, "b") == [*left, b"after"]
    await compact(log, "b")
    head = await log.head("b")
    assert head.compacted_seq == head.last_seq
    assert await contents(log, "b") == await opened(log, "b") == [*left, b"after"]


async def test_a_hole_is_noticed_though_a_row_in_it_had_something_put_aside(
    filled: Path, log: SqlUpdateLog
) -> None:
    await log.append([row("b", b"bad", b"precious"), row("b", b"bad too")])
    await quarantine(log, "b", (10, 0, "poison"), (11, WHOLE_ROW, "poison"))
    await compact(log, "b")
    assert await contents(log, "b") == [*data("b"), b"precious"]
    change(filled, "DELETE FROM history WHERE document_id = 2 AND first_seq > 6 AND last_seq <= 10")
    with pytest.raises(DocumentDamaged, match="'b': row 10: missing"):
        await contents(log, "b")
    change(filled, "DELETE FROM history WHERE document_id = 2 AND first_seq > 6")
    with pytest.raises(DocumentDamaged, match="'b': row 11: missing"):
        await contents(log, "b")


async def test_compaction_keeps_the_older_snapshot_that_it_went_on_from(
    filled: Path, log: SqlUpdateLog
) -> None:
    change(filled, f"{SNAPSHOT_DAMAGE[0]} WHERE seq = 6 AND {OF_B}")
    await compact(log, "b")
    change(filled, f"{SNAPSHOT_DAMAGE[0]} WHERE seq = 9 AND {OF_B}")
    assert (await log.head("b")).snapshot == Snapshot(3, tuple(data("b", 0, 3)))
    assert await opened(log, "b") == data("b")


SNAPSHOT_DAMAGE = [
    "UPDATE snapshots SET data = CAST('x' || substr(data, 2) AS BLOB)",
    "UPDATE snapshots SET data = 7",
    "UPDATE snapshots SET data = x''",
    "UPDATE snapshots SET summary = x'00'",
    "UPDATE snapshots SET seq = seq + 100",
    "UPDATE snapshots SET created_at_ms = 1",
    "UPDATE snapshots SET created_at_ms = 'text'",
    "UPDATE snapshots SET checksum = x''",
    "DELETE FROM snapshots",
]


@pytest.mark.parametrize("damage", SNAPSHOT_DAMAGE)
async def test_a_changed_snapshot_gives_way_to_the_one_before(
    filled: Path, log: SqlUpdateLog, damage: str
) -> None:
    change(filled, f"{damage} WHERE seq = 6 AND {OF_B}")
    head = await log.head("b")
    assert head.snapshot == Snapshot(3, tuple(data("b", 0, 3)))
    assert len(head.damage) == 1
    assert "'b'" in head.damage[0]
    assert await opened(log, "b") == await contents(log, "b") == data("b")
    assert (await log.head("a")).damage == ()
    await assert_others_are_whole(log)
    await compact(log, "b")
    head = await log.head("b")
    assert head.snapshot == Snapshot(9, tuple(data("b")))


@pytest.mark.parametrize("damage", SNAPSHOT_DAMAGE)
async def test_without_any_snapshot_the_history_is_the_document(
    filled: Path, log: SqlUpdateLog, damage: str
) -> None:
    change(filled, *(f"{damage} WHERE seq = {seq} AND {OF_B}" for seq in SNAPSHOTS))
    head = await log.head("b")
    assert head.snapshot is None
    assert head.damage
    assert await opened(log, "b") == await contents(log, "b") == data("b")


COLUMNS = {
    "updates": ["document_id", "seq", "client_ids", "payload", "first_received_at_ms", "last_received_at_ms"],
    "history": ["document_id", "epoch", "first_seq", "last_seq", "client_ids", "payload"],
    "snapshots": ["document_id", "seq", "data", "created_at_ms", "checksum"],
    "documents": ["last_seq"],
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("table", "column"), [(table, c) for table in COLUMNS for c in COLUMNS[table]])
async def test_a_flipped_bit_in_any_column_is_never_served(
    filled: Path, log: SqlUpdateLog, table: str, column: str, seed: int
) -> None:
    choose = random.Random(seed)
    flip_bit(filled, table, column, choose)
    snapshots_are_hit = table == "snapshots"
    noticed = 0
    for name in "abc":
        try:
            assert await contents(log, name) == data(name)
        except (DocumentDamaged, LogUnavailable):
            assert not snapshots_are_hit
            noticed += 1
        with suppress(DocumentDamaged, LogUnavailable):
            assert await opened(log, name) == data(name)
        noticed += snapshots_are_hit and len((await log.head(name)).damage)
    # An older snapshot is looked at when the newest is damaged.
    assert noticed == 1 or (snapshots_are_hit and noticed <= 1)


def flip_bit(path: Path, table: str, column: str, choose: random.Random) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    rows = connection.execute(f"SELECT id, {column} FROM {table}").fetchall()
    record, value = choose.choice([each for each in rows if each[1] != b""])
    if isinstance(value, int):
        value ^= 1 << choose.randrange(4, 60)
    else:
        changed = bytearray(value)
        changed[choose.randrange(len(changed))] ^= 1 << choose.randrange(8)
        value = bytes(changed)
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, record))
    connection.close()


@pytest.mark.parametrize("seed", range(FLIPS))
async def test_a_flipped_bit_anywhere_in_the_file_is_never_served(
    filled: Path, log: SqlUpdateLog, seed: int
) -> None:
    file = bytearray(filled.read_bytes())  # noqa: ASYNC240
    place = random.Random(seed).randrange(len(file) * 8)
    file[place // 8] ^= 1 << place % 8
    filled.write_bytes(file)  # noqa: ASYNC240
    for name in "abc":
        for read in (contents, opened):
            with suppress(DocumentDamaged, LogUnavailable):
                found = await read(log, name)
                assert found == data(name) or (found == [] and not is_sound(filled))


def is_sound(path: Path) -> bool:
    """Whether SQLite finds its indexes in order: a bit in the index of names makes a document invisible."""
    connection = sqlite3.connect(path)
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    connection.close()
    return bool(answer == "ok")
