"""A disk that fails at any step: an operation answers rightly or raises, and never says that nothing is there."""

import sqlite3
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from crdt_store.engine import create_engine
from crdt_store.group_commit import GroupCommit
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import Head, LogUnavailable, UpdateLog
from tests.acceptance.log_rows import compact, contents, quarantine, row
from tests.crdt_store.failing_disk import MESSAGES, Fault, failing_connection

READS: dict[str, Callable[[UpdateLog], Awaitable[object]]] = {
    "exists": lambda log: log.exists("a"),
    "head": lambda log: log.head("a"),
    "read": lambda log: contents(log, "a"),
    "documents": lambda log: log.documents(),
    "quarantined": lambda log: log.quarantined("a"),
}
WRITES: dict[str, Callable[[UpdateLog], Awaitable[object]]] = {
    "append": lambda log: log.append([row("a", b"4"), row("new", b"1"), row("a", b"5")]),
    "compact": lambda log: compact(log, "a"),
    "quarantine": lambda log: log.quarantine("a", [(4, 0, "another")], epoch=1, compacted_seq=2),
    "replace": lambda log: log.replace(row("b", b"anew"), {1: 2, 3: None}),
    "delete": lambda log: log.delete("a", client_ids=(1,)),
}


async def fill(log: UpdateLog) -> None:
    """What READS find and WRITES change; the log is empty."""
    await log.append([row("a", b"1"), row("a", b"2"), row("b", b"0"), row("a", b"3", b"bad"), row("a", b"4")])
    await compact(log, "a", count=2)
    await compact(log, "b")
    await quarantine(log, "a", (3, 1, "an error"))


async def state(log: UpdateLog) -> dict[str, object]:
    """All that can be read."""
    return {
        name: (await contents(log, name), await log.head(name), await log.quarantined(name))
        for name in await log.documents()
    }


@pytest.fixture
async def filled(path: Path) -> Path:
    log = SqlUpdateLog(create_engine(str(path)), clock_ms=lambda: 1)
    await fill(log)
    await log.close()
    return path


async def state_of_file(path: Path) -> dict[str, object]:
    log = SqlUpdateLog(create_engine(str(path)))
    found = await state(log)
    await log.close()
    return found


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("name", READS)
async def test_a_failing_read_is_never_an_empty_answer(
    filled: Path, name: str, warm: bool, persistent: bool, message: str
) -> None:
    read = READS[name]
    log = SqlUpdateLog(create_engine(str(filled)))
    expected = await read(log)
    await log.close()
    for steps in count():
        fault = Fault(message, persistent=persistent)
        log = SqlUpdateLog(create_engine(str(filled), connection_class=failing_connection(fault)))
        if warm:
            await log.exists("a")
        fault.steps_left = steps
        if await _succeeds(_compare(read(log), expected), message):
            break
        if not persistent:
            assert await read(log) == expected
        await log.close()
    await log.close()
    assert expected
    assert steps > 2


async def _compare(reading: Awaitable[object], expected: object) -> None:
    assert await reading == expected


async def _succeeds(operation: Awaitable[object], message: str) -> bool:
    failure: LogUnavailable | None = None
    try:
        await operation
    except LogUnavailable as error:
        failure = error
    assert failure is None or message in str(failure.__cause__)
    return failure is None


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("name", WRITES)
async def test_a_failing_write_does_all_or_nothing(
    filled: Path, tmp_path: Path, name: str, persistent: bool, message: str
) -> None:
    before = await state_of_file(filled)
    for steps in count():
        trial = tmp_path / f"{steps}.db"
        trial.write_bytes(filled.read_bytes())  # noqa: ASYNC240
        fault = Fault(message, persistent=persistent)
        log = SqlUpdateLog(create_engine(str(trial), connection_class=failing_connection(fault)))
        await log.exists("a")
        fault.steps_left = steps
        if await _succeeds(WRITES[name](log), message):
            break
        expected = before
        if not persistent:
            await log.append([row("c", b"works again")])
            expected = before | {"c": ([b"works again"], Head(last_seq=1), [])}
        await log.close()
        assert await state_of_file(trial) == expected
    await log.close()
    assert await state_of_file(trial) != before
    assert steps > 2


async def test_a_full_disk_costs_what_did_not_fit_and_nothing_else(path: Path) -> None:
    class SmallDisk(sqlite3.Connection):
        """SQLite itself says that the disk is full, in the middle of a statement."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.execute("PRAGMA max_page_count = 300")

    log = SqlUpdateLog(create_engine(str(path), connection_class=SmallDisk))
    failures: list[LogUnavailable] = []
    async with GroupCommit(log, max_pending_bytes=2**20) as commits:
        journal = commits.journal("a", lambda position: None, failures.append)
        while not failures:
            journal.append(bytes(3000), author_id=None, client_ids=(), received_at_ms=1)
            await commits.drain()
        small = commits.journal("b", lambda position: None, failures.append)
        small.append(b"fits", author_id=None, client_ids=(), received_at_ms=1)
        await commits.drain()
    assert "full" in str(failures[0])
    assert len(failures) == 1
    assert journal.committed > 10
    assert await contents(log, "a") == [bytes(3000)] * journal.committed
    assert await contents(log, "b") == [b"fits"]
    await log.close()


async def test_a_file_that_vanished_is_not_made_anew(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    log = SqlUpdateLog(create_engine(str(missing)))
    for operation in (log.exists("a"), contents(log, "a"), log.append([row("a", b"1")])):
        with pytest.raises(LogUnavailable):
            await operation
    await log.close()
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240
