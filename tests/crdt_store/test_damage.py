"""A changed byte is found and named; it is never served, and costs only its own document."""

import random
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from crdt_store.engine import create_engine
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import DocumentDamaged, LogUnavailable, Snapshot
from tests.acceptance.update_log_suite import contents, row

FLIPS = 100


@pytest.fixture
async def filled(path: Path) -> Path:
    log = SqlUpdateLog(create_engine(str(path)))
    await log.append(
        [row(name, b"%s %d" % (name.encode(), i), client_ids=(i,)) for name in "abc" for i in range(9)]
    )
    for name in "abc":
        await log.write_snapshot(name, Snapshot(5, name.encode() * 99))
    await log.close()
    return path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


ROW_4_OF_B = "WHERE seq = 4 AND document_id = (SELECT id FROM documents WHERE name = 'b')"


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
        "UPDATE updates SET seq = 400",
        "UPDATE updates SET document_id = 1000",
        "DELETE FROM updates",
    ],
)
async def test_a_changed_row_is_named_and_not_served(filled: Path, damage: str) -> None:
    change(filled, f"{damage} {ROW_4_OF_B}")
    log = SqlUpdateLog(create_engine(str(filled)))
    with pytest.raises(DocumentDamaged, match="'b': row 4"):
        await contents(log, "b")
    for intact in "ac":
        assert await contents(log, intact) == [b"%s %d" % (intact.encode(), i) for i in range(9)]
    await log.close()


@pytest.mark.parametrize(
    "damage",
    [
        # Two rows change places, within a document and between two.
        "UPDATE updates SET seq = -seq WHERE seq IN (5, 6) AND document_id = 2;"
        "UPDATE updates SET seq = 11 + seq WHERE seq < 0",
        "UPDATE updates SET seq = -document_id WHERE seq = 3 AND document_id IN (2, 3);"
        "UPDATE updates SET document_id = 5 + seq, seq = 3 WHERE seq < 0",
        "DELETE FROM updates WHERE seq = 9 AND document_id = 2",
        "DELETE FROM updates WHERE seq = 1 AND document_id = 2",
        "DELETE FROM updates WHERE document_id = 2",
        "UPDATE documents SET last_seq = 8 WHERE id = 2",
        "UPDATE documents SET last_seq = 10 WHERE id = 2",
        "UPDATE documents SET last_seq = 'text' WHERE id = 2",
        "UPDATE documents SET name = 'B' WHERE name = 'b';UPDATE documents SET name = 'b' WHERE name = 'c'",
    ],
)
async def test_rows_out_of_place_or_missing_are_noticed(filled: Path, damage: str) -> None:
    change(filled, *damage.split(";"))
    log = SqlUpdateLog(create_engine(str(filled)))
    with pytest.raises(DocumentDamaged, match="'b'"):
        await contents(log, "b")
    assert len(await contents(log, "a")) == 9
    await log.close()


@pytest.mark.parametrize(
    "damage",
    [
        "data = CAST('x' || substr(data, 2) AS BLOB)",
        "data = 7",
        "data = x''",
        "seq = 6",
        "created_at_ms = 1",
        "created_at_ms = 'text'",
        "checksum = x''",
    ],
)
async def test_a_changed_snapshot_is_named_and_not_served(filled: Path, damage: str) -> None:
    change(filled, f"UPDATE snapshots SET {damage} WHERE document_id = 2")
    log = SqlUpdateLog(create_engine(str(filled)))
    with pytest.raises(DocumentDamaged, match="'b': snapshot"):
        await log.snapshot("b")
    assert await log.snapshot("a") == Snapshot(5, b"a" * 99)
    await log.close()


@pytest.mark.parametrize("seed", range(FLIPS))
async def test_a_flipped_bit_anywhere_in_the_file_is_never_served(filled: Path, seed: int) -> None:
    data = bytearray(filled.read_bytes())  # noqa: ASYNC240
    place = random.Random(seed).randrange(len(data) * 8)
    data[place // 8] ^= 1 << place % 8
    filled.write_bytes(data)  # noqa: ASYNC240
    log = SqlUpdateLog(create_engine(str(filled)))
    for name in "abc":
        expected = [b"%s %d" % (name.encode(), i) for i in range(9)]
        with suppress(DocumentDamaged, LogUnavailable):
            found = await contents(log, name)
            assert found == expected or (found == [] and not is_sound(filled))
        with suppress(DocumentDamaged, LogUnavailable):
            snapshot = await log.snapshot(name)
            assert snapshot == Snapshot(5, name.encode() * 99) or (snapshot is None and not is_sound(filled))
    await log.close()


def is_sound(path: Path) -> bool:
    """Whether SQLite finds its indexes in order: a bit in the index of names makes a document invisible."""
    connection = sqlite3.connect(path)
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    connection.close()
    return bool(answer == "ok")
