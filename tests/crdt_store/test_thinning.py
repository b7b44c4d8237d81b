"""Old history is thinned: steps and named versions read as before, from fewer bytes; what is new stays as it is."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, select, update

from crdt_store.database import Database
from crdt_store.document_versions import DocumentVersions
from crdt_store.sql import SqlUpdateLog
from crdt_store.tables import history
from crdt_store.thinning import Policy, steps, thin
from crdt_store.update_log import Row, StoredRow, Update
from crdt_store.users import UserDirectory
from server.engine.document import Document
from server.history.answers import blame_at, text_of_moment
from server.history.changes import Change, Changes
from server.protocol.merge_updates import merge_updates
from tests.acceptance.log_rows import compact, opened, quarantine, stored_rows
from tests.history.traces import trace

NAME, ROOT = "workspace:1/notes.md", "content"
CHANGES = 2400
NAMED = 1234
POLICY = Policy(full_ms=1_000_000, step_ms=60_000)
NOW_MS = 2_000_000
"""Change number n is of second n: those before 1000 are old."""

LATER_MS = 10_000_000


@pytest.fixture
async def written(database: Database, log: SqlUpdateLog) -> Changes:
    """The beginning of a trace of two authors, packed; one moment has a name."""
    users = UserDirectory(database)
    ids = [await users.id_of("issuer", f"user {number}", "") for number in (1, 2)]
    changes = trace("friendsforever").changes.all[:CHANGES]
    rows = [
        Row(NAME, ids[(each.author_id or 0) - 1], tuple(each.client_ids), (Update(each.data, each.at_ms),))
        for each in changes
    ]
    await log.append(rows)
    versions = DocumentVersions(database, max_versions=9)
    await versions.add(NAME, 1, NAMED, "draft", ids[0], NOW_MS)
    await compact(log, NAME)
    return await read(log)


async def read(log: SqlUpdateLog) -> Changes:
    found = await stored_rows(log, NAME)
    changes = [
        Change(each.data, seq, each.received_at_ms, stored.row.author_id, frozenset(stored.row.client_ids))
        for stored in found
        for each, seq in zip(stored.row.updates, stored.seqs, strict=True)
    ]
    authors = {client: each.author_id for each in changes for client in each.client_ids if each.author_id}
    return Changes(1, changes, authors)


def text(changes: Changes, seq: int) -> str:
    return text_of_moment(changes, changes.until_seq(seq), ROOT)


def authorship(changes: Changes) -> list[tuple[int | None, str]]:
    pieces = blame_at(changes, len(changes.all), ROOT)
    return [(piece.author_id, character) for piece in pieces for character in piece.text]


def records(connection: Connection) -> Sequence[object]:
    return connection.execute(select(history).order_by(history.c.id)).all()


async def test_every_step_and_every_named_moment_reads_as_before(
    database: Database, log: SqlUpdateLog, written: Changes
) -> None:
    before = await opened(log, NAME)
    done = await thin(database, merge_updates, POLICY, LATER_MS)
    thinned = await read(log)
    assert done.records > 0
    assert done.saved_bytes > 0
    assert thinned.size_bytes < written.size_bytes
    seqs = [each.seq for each in thinned.all]
    assert NAMED in seqs
    assert len(seqs) < CHANGES / 8
    times = {each.seq: each.at_ms for each in written.all}
    assert [each.at_ms for each in thinned.all] == [times[seq] for seq in seqs]
    for seq in [NAMED, *seqs[::20]]:
        assert text(thinned, seq) == text(written, seq)
    assert authorship(thinned) == authorship(written)
    assert await opened(log, NAME) == before
    loaded, original = (Document.load([each.data for each in some.all]) for some in (thinned, written))
    assert loaded.contents.state == original.contents.state
    assert loaded.text(ROOT) == original.text(ROOT)


async def test_what_is_new_stays_in_full_and_what_is_thinned_is_not_written_again(
    database: Database, log: SqlUpdateLog, written: Changes
) -> None:
    await thin(database, merge_updates, POLICY, NOW_MS)
    thinned = await read(log)
    assert [each for each in thinned.all if each.at_ms >= NOW_MS - POLICY.full_ms] == [
        each for each in written.all if each.at_ms >= NOW_MS - POLICY.full_ms
    ]
    assert len(thinned.all) < len(written.all)
    stored = await database.read(records)
    assert (await thin(database, merge_updates, POLICY, NOW_MS + 1)).records == 0
    assert await database.read(records) == stored


async def test_a_record_that_changed_meanwhile_or_has_something_in_quarantine_or_is_damaged_is_left_alone(
    database: Database, log: SqlUpdateLog, written: Changes
) -> None:
    rows = await stored_rows(log, NAME)
    aside, damaged = [stored.seq for stored in rows if len(stored.row.updates) > 9][:2]
    await quarantine(log, NAME, (aside, 3, "poison"))
    damage = update(history).where(history.c.last_seq == damaged).values(client_ids=b"\x01\x02\x03")
    await database.write(lambda connection: connection.execute(damage).rowcount)
    stored = {record.last_seq: record for record in await database.read(records)}  # type: ignore[attr-defined]
    await thin(database, merge_updates, POLICY, LATER_MS)
    after = {record.last_seq: record for record in await database.read(records)}  # type: ignore[attr-defined]
    assert {seq for seq in after if after[seq] == stored[seq]} == {aside, damaged}


async def test_what_cannot_be_merged_stays(database: Database, log: SqlUpdateLog, written: Changes) -> None:
    def refuse(_: Sequence[bytes]) -> bytes:
        raise ValueError("no")

    assert (await thin(database, refuse, POLICY, LATER_MS)).records == 0
    assert await read(log) == written


async def test_a_moment_that_gets_a_name_while_its_record_is_merged_is_kept(
    database: Database, log: SqlUpdateLog, written: Changes
) -> None:
    versions = DocumentVersions(database, max_versions=9)
    rows: list[StoredRow] = await stored_rows(log, NAME)
    seq = next(stored.seqs[4] for stored in rows if len(stored.seqs) > 9)
    author_id = rows[0].row.author_id
    assert author_id is not None
    named = False

    original = database.write

    async def write(body):  # type: ignore[no-untyped-def]
        nonlocal named
        if not named:
            named = True
            await versions.add(NAME, 1, seq, "late", author_id, NOW_MS)
        return await original(body)

    database.write = write  # type: ignore[method-assign]
    await thin(database, merge_updates, POLICY, LATER_MS)
    await thin(database, merge_updates, POLICY, LATER_MS)
    assert seq in [each.seq for each in (await read(log)).all]


def test_a_step_ends_with_its_time_and_with_a_named_moment() -> None:
    updates = [Update(b"%d" % number, number * 10) for number in range(8)]
    found = steps(updates, range(1, 9), [2, 8], 40)
    assert [[each.data for each in step] for step in found] == [
        [b"0", b"1"],
        [b"2", b"3"],
        [b"4", b"5", b"6", b"7"],
    ]


def test_rows_whose_seqs_are_not_known_make_steps_by_time() -> None:
    updates = [Update(b"", at_ms) for at_ms in (0, 30, 50)]
    assert [len(step) for step in steps(updates, (9, 9, 9), [9], 40)] == [2, 1]
