"""What the suite of update logs writes and reads with: short ways to make rows, to compare them and to compact."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import groupby, pairwise
from typing import NamedTuple

from anyio.lowlevel import checkpoint

from crdt_store.update_log import Compaction, Head, Row, Snapshot, StoredRow, Update, UpdateLog

OpenLog = Callable[[], Awaitable[UpdateLog]]

FIRST_MS = 1_800_000_000_000


def row(
    document: str,
    *data: bytes,
    author_id: int | None = None,
    client_ids: tuple[int, ...] = (),
    epoch: int = 1,
    first_ms: int = FIRST_MS,
) -> Row:
    """A row with these updates, one millisecond apart."""
    updates = tuple(Update(each, first_ms + i) for i, each in enumerate(data))
    return Row(document, author_id, client_ids, updates, epoch)


async def stored_rows(log: UpdateLog, document: str, *, after: int = 0) -> list[StoredRow]:
    """All rows after `after`; checks what holds of every read."""
    found = [each async for each in log.read(document, after=after)]
    seqs = [after, *(each.seq for each in found)]
    assert all(first < second for first, second in pairwise(seqs))
    assert all(each.row.document == document for each in found)
    return found


async def contents(log: UpdateLog, document: str, *, after: int = 0) -> list[bytes]:
    """The data of all updates of the document, in order."""
    return data_of(await stored_rows(log, document, after=after))


def data_of(rows: Iterable[StoredRow]) -> list[bytes]:
    """The data of all their updates."""
    return [update.data for stored in rows for update in stored.row.updates]


class Run(NamedTuple):
    """Neighbours of one author as one, however far the log itself has packed them."""

    author_id: int | None
    epoch: int
    client_ids: frozenset[int]
    updates: tuple[Update, ...]


def runs(rows: Iterable[Row]) -> list[Run]:
    """What the rows say, in a form that packing does not change."""
    found = []
    for (author_id, epoch), group in groupby(rows, key=lambda each: (each.author_id, each.epoch)):
        members = list(group)
        client_ids = frozenset(client_id for each in members for client_id in each.client_ids)
        found.append(Run(author_id, epoch, client_ids, tuple(u for each in members for u in each.updates)))
    return found


async def stored_runs(log: UpdateLog, document: str) -> list[Run]:
    """The same of all that the document has."""
    return runs(each.row for each in await stored_rows(log, document))


async def compaction_of(
    log: UpdateLog, document: str, *, count: int | None = None, summary: bytes = b""
) -> Compaction:
    """A compaction of the first `count` rows that are not compacted yet, by default of all that was written.

    Its snapshot is the data of everything before its end, in order.
    """
    head = await log.head(document)
    end = head.last_seq
    rows = [each for each in await stored_rows(log, document, after=head.compacted_seq) if each.seq <= end]
    if count is not None:
        rows = rows[:count]
        end = rows[-1].seq
    before = await snapshot_and_later(log, document, head, through=head.compacted_seq)
    snapshot = Snapshot(end, (*before, *data_of(rows)), summary)
    base_seq = head.snapshot.seq if head.snapshot else None
    return Compaction(head.epoch, head.compacted_seq, rows, snapshot, base_seq)


async def snapshot_and_later(
    log: UpdateLog, document: str, head: Head, *, through: int | None = None
) -> list[bytes]:
    """What somebody who opens the document reads: its snapshot, and the rows since."""
    parts = list(head.snapshot.updates) if head.snapshot else []
    rows = await stored_rows(log, document, after=head.snapshot.seq if head.snapshot else 0)
    return parts + data_of(each for each in rows if through is None or each.seq <= through)


async def opened(log: UpdateLog, document: str) -> list[bytes]:
    """The same, without what was read before."""
    return await snapshot_and_later(log, document, await log.head(document))


async def compact(log: UpdateLog, document: str, *, count: int | None = None) -> Compaction:
    """Compact, and say what was done; nobody else may compact at the same time."""
    compaction = await compaction_of(log, document, count=count)
    assert await log.compact(document, compaction)
    return compaction


async def quarantine(log: UpdateLog, document: str, *entries: tuple[int, int, str]) -> None:
    """Put these aside, as somebody who has just read the document."""
    head = await log.head(document)
    assert await log.quarantine(document, entries, epoch=head.epoch, compacted_seq=head.compacted_seq)


def with_rows(compaction: Compaction, rows: Iterable[StoredRow]) -> Compaction:
    """The same with other rows."""
    return replace(compaction, rows=list(rows))


async def cancelled_after_each_step(
    open_log: OpenLog,
    prepare: Callable[[UpdateLog, str], Awaitable[object]],
    begin: Callable[[UpdateLog, str], Awaitable[object]],
) -> AsyncIterator[str]:
    """Prepare a document, begin something with it, cancel that later each time; ends when it came too late.

    Yields the document's name each time, when all that has begun has ended, to look at what is left.
    """
    for steps in growing():
        log = await open_log()
        document = f"cancelled:{steps}"
        await prepare(log, document)
        task = asyncio.ensure_future(begin(log, document))
        for _ in range(steps):
            await checkpoint()
        came_too_late = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await log.close()
        yield document
        if came_too_late:
            return


def growing() -> Iterator[int]:
    """Turns of the event loop: each number at first, then less and less of them."""
    steps = 0
    while True:
        yield steps
        steps += 1 + steps // 8
