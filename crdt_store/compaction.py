"""Compaction: rows give way to a snapshot, in the background, so that opening stays quick however long a log gets.

What a snapshot is, the store does not know: whoever owns the document engine passes `condense` in.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import anyio

from crdt_store.gathering import Gathered, Limits, gather
from crdt_store.update_log import Compaction, DocumentDamaged, LogUnavailable, Snapshot, UpdateLog

_ROUND = Limits(
    new_bytes=8 * 2**20, new_rows=5000
)  # its transaction locks the document, in SQLite all of them
_ATTEMPTS = 16  # each of them has found something that changed, or that is at fault
_TICK_SECONDS = 0.5
_PAUSE_AFTER_FAILURE_SECONDS = 60.0
_QUARANTINE_BATCH = 1000  # entries for one transaction
_MAX_LOGGED_FAULTS = 10  # one by one

logger = logging.getLogger(__name__)


class CondenseFailed(Exception):
    """No snapshot could be made; the document stays as it is."""


class SnapshotRefused(CondenseFailed):
    """The snapshot that was to be gone on from cannot be used."""


class Fault(Protocol):
    """Update number `index` of those that were given cannot be applied."""

    @property
    def index(self) -> int: ...
    @property
    def error(self) -> str: ...


class Condensed(Protocol):
    """A document as updates to be applied in order, and what its maker wants to know of it when it is loaded."""

    @property
    def updates(self) -> tuple[bytes, ...]: ...
    @property
    def summary(self) -> bytes: ...
    @property
    def faults(self) -> Sequence[Fault]: ...


Condense = Callable[[Snapshot | None, Sequence[bytes]], Awaitable[Condensed]]
"""(snapshot, updates after it, in order) -> their state without those at fault, whose indexes count the updates.

Raises CondenseFailed, SnapshotRefused.
"""


@dataclass(frozen=True, slots=True)
class CompactionPolicy:
    """When a document is compacted: as soon as one of these is true of what its snapshot does not cover."""

    max_updates: int = 10_000
    max_bytes: int = 2**20  # or as much as the snapshot has, if that is more
    max_age_seconds: float = 3600.0
    quiet_seconds: float = 5.0  # nobody has written for this long, and there are at least:
    min_updates: int = 200
    stop_seconds: float = 2.0  # what is open at the end is compacted then, within this time


@dataclass(slots=True)
class Tail:
    """What of an open document the snapshot does not cover."""

    updates: int = 0
    data_bytes: int = 0
    snapshot_bytes: int = 0
    since: float = 0.0
    last: float = 0.0
    not_before: float = 0.0
    is_closed: bool = False

    def is_due(self, policy: CompactionPolicy, now: float) -> bool:
        """Whether to compact now."""
        if not self.updates or now < self.not_before:
            return False
        worth_it = self.updates >= policy.min_updates and self.data_bytes * 64 >= self.snapshot_bytes
        return (
            self.updates >= policy.max_updates
            or self.data_bytes >= max(policy.max_bytes, self.snapshot_bytes)
            or now - self.since >= policy.max_age_seconds
            or (worth_it and (self.is_closed or now - self.last >= policy.quiet_seconds))
        )


@dataclass(frozen=True, slots=True)
class Covered:
    """What one round has moved to the history, and how large the snapshot is now."""

    updates: int
    data_bytes: int
    snapshot_bytes: int


async def compact(log: UpdateLog, condense: Condense, document: str) -> Covered | None:
    """One round: make a snapshot of the document, as far as is read at once, and move its rows to the history.

    None if there is nothing that is not compacted. Updates that cannot be applied are put in quarantine.
    Raises LogUnavailable, DocumentDamaged, CondenseFailed.
    """
    from_snapshot = True
    for _ in range(_ATTEMPTS):
        gathered = await gather(log, document, from_snapshot=from_snapshot, limits=_ROUND)
        if gathered.reached <= gathered.head.compacted_seq:
            return None
        try:
            condensed = await condense(gathered.snapshot, gathered.tail)
        except SnapshotRefused as error:
            if gathered.snapshot is None:
                raise
            logger.error("%r: %s; making another snapshot from the history", document, error)
            from_snapshot = False
            continue
        if condensed.faults:
            await put_aside(log, document, gathered, condensed.faults)
        elif (covered := await _cover(log, document, gathered, condensed)) is not None:
            return covered
    raise CondenseFailed(f"{document!r} changed, or had updates at fault, {_ATTEMPTS} times in a row")


async def _cover(log: UpdateLog, document: str, gathered: Gathered, condensed: Condensed) -> Covered | None:
    """Store it as a snapshot; None if the rows are other ones by now."""
    head, base = gathered.head, gathered.snapshot
    rows = [stored for stored in gathered.rows if stored.seq > head.compacted_seq]
    snapshot = Snapshot(gathered.reached, condensed.updates, condensed.summary)
    compaction = Compaction(
        head.epoch, head.compacted_seq, rows, snapshot, base_seq=None if base is None else base.seq
    )
    if not await log.compact(document, compaction):
        return None
    sizes = [len(update.data) for stored in rows for update in stored.row.updates]
    return Covered(len(sizes), sum(sizes), _size(snapshot))


async def put_aside(log: UpdateLog, document: str, gathered: Gathered, faults: Sequence[Fault]) -> bool:
    """Put these updates of `gathered.tail` in quarantine. Raises LogUnavailable.

    False if the document was compacted, replaced or deleted meanwhile: then its updates have other places now,
    and whoever reads them again finds the same faults there.
    """
    places = gathered.places()
    entries = [(*places[fault.index], fault.error) for fault in faults]
    head = gathered.head
    for first in range(0, len(entries), _QUARANTINE_BATCH):
        batch = entries[first : first + _QUARANTINE_BATCH]
        if not await log.quarantine(document, batch, epoch=head.epoch, compacted_seq=head.compacted_seq):
            logger.warning("%r: changed while it was read; faults in it are put aside later", document)
            return False
    for seq, position, error in entries[:_MAX_LOGGED_FAULTS]:
        logger.error("%r: update %d of row %d is put in quarantine: %s", document, position, seq, error)
    if len(entries) > _MAX_LOGGED_FAULTS:
        logger.error("%r: %d updates are put in quarantine", document, len(entries))
    return True


def _size(snapshot: Snapshot | None) -> int:
    return 0 if snapshot is None else sum(map(len, snapshot.updates))


class Compactor:
    """Owns the task that compacts open documents, one after another; an async context manager."""

    def __init__(
        self,
        log: UpdateLog,
        condense: Condense,
        policy: CompactionPolicy,
        *,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._condense = condense
        self._policy = policy
        self._now_seconds = now_seconds
        self._tails: dict[str, Tail] = {}
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
        with anyio.move_on_after(self._policy.stop_seconds, shield=True):
            by_size = sorted(self._tails.items(), key=lambda item: item[1].data_bytes, reverse=True)
            for document, tail in by_size:
                tail.is_closed = True
                while tail.is_due(self._policy, self._now_seconds()):
                    await self._try(document, tail)

    def opened(self, document: str, gathered: Gathered) -> None:
        """A document was loaded; what it has to replay may already be worth a compaction."""
        tail = self._tails[document] = Tail(snapshot_bytes=_size(gathered.snapshot))
        sizes = [len(update) for update in gathered.tail]
        if sizes:
            self._add(tail, len(sizes), sum(sizes), self._now_seconds())

    def stored(self, document: str, updates: int, data_bytes: int) -> None:
        """So much was committed for an open document."""
        tail = self._tails.get(document)
        if tail is not None:
            self._add(tail, updates, data_bytes, self._now_seconds())

    def closed(self, document: str) -> None:
        """The document is open no more."""
        tail = self._tails.get(document)
        if tail is not None:
            tail.is_closed = True
            if not tail.is_due(self._policy, self._now_seconds()):
                del self._tails[document]

    def stored_bytes(self, document: str) -> int:
        """What an open document has: its snapshot, and the updates beyond it; 0 if it is not open."""
        tail = self._tails.get(document)
        return 0 if tail is None else tail.snapshot_bytes + tail.data_bytes

    async def compact(self, document: str) -> None:
        """Compact all that there is of a document, now. Raises as the function `compact` does."""
        async with self._turn:
            while await compact(self._log, self._condense, document) is not None:
                pass

    @staticmethod
    def _add(tail: Tail, updates: int, data_bytes: int, now: float) -> None:
        if not tail.updates:
            tail.since = now
        tail.last = now
        tail.updates += updates
        tail.data_bytes += data_bytes

    async def _run(self) -> None:
        while True:
            await anyio.sleep(_TICK_SECONDS)
            now = self._now_seconds()
            for document, tail in list(self._tails.items()):
                if tail.is_due(self._policy, now):
                    await self._try(document, tail)

    async def _try(self, document: str, tail: Tail) -> None:
        """One round. A failure is this document's alone, and is not tried again at once."""
        known = tail.updates, tail.data_bytes
        try:
            async with self._turn:
                covered = await compact(self._log, self._condense, document)
        except (LogUnavailable, DocumentDamaged, CondenseFailed) as error:
            logger.warning("%r was not compacted: %s", document, error)
            tail.not_before = self._now_seconds() + _PAUSE_AFTER_FAILURE_SECONDS
        except Exception:
            logger.exception("%r was not compacted", document)
            tail.not_before = self._now_seconds() + _PAUSE_AFTER_FAILURE_SECONDS
        else:
            self._settle(tail, covered or Covered(*known, tail.snapshot_bytes))
        is_over = tail.is_closed and not tail.is_due(self._policy, self._now_seconds())
        if is_over and self._tails.get(document) is tail:
            del self._tails[document]

    def _settle(self, tail: Tail, covered: Covered) -> None:
        tail.updates = max(0, tail.updates - covered.updates)
        tail.data_bytes = max(0, tail.data_bytes - covered.data_bytes)
        tail.snapshot_bytes = covered.snapshot_bytes
        tail.since = self._now_seconds()
