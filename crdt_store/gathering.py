"""All that a document is made of, in the order in which it is to be applied; what is damaged goes to quarantine."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from crdt_store.update_log import (
    WHOLE_ROW,
    DocumentDamaged,
    Head,
    LogUnavailable,
    Snapshot,
    StoredRow,
    UpdateLog,
)

_ATTEMPTS = 5

logger = logging.getLogger(__name__)


class _Changed(LogUnavailable):
    """What was read does not belong to the head that was read before."""


@dataclass(slots=True)
class Gathered:
    """A snapshot, and the rows after it. `reached`: the seq up to which there is nothing else."""

    head: Head
    snapshot: Snapshot | None
    reached: int
    rows: list[StoredRow] = field(default_factory=list)

    @property
    def tail(self) -> list[bytes]:
        """The updates of the rows."""
        return [update.data for stored in self.rows for update in stored.row.updates]

    def places(self) -> list[tuple[int, int]]:
        """Where each update of the tail is stored: (seq of its row, position there)."""
        return [
            (stored.seq, stored.position(index))
            for stored in self.rows
            for index in range(len(stored.row.updates))
        ]

    def authors(self) -> dict[int, int]:
        """Client id -> the user it is bound to: the first one who used it."""
        authors = dict(self.head.authors)
        for stored in self.rows:
            if stored.row.author_id is not None:
                for client_id in stored.row.client_ids:
                    authors.setdefault(client_id, stored.row.author_id)
        return authors


@dataclass(frozen=True, slots=True)
class Limits:
    """At most about so much of what is not compacted yet."""

    new_bytes: int
    new_rows: int


async def gather(
    log: UpdateLog, document: str, *, from_snapshot: bool = True, limits: Limits | None = None
) -> Gathered:
    """Read the document: from its snapshot on, or from its first row. Raises LogUnavailable, DocumentDamaged.

    Somebody else may compact, replace or delete it meanwhile; then it is read again, a few times.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await _gather_once(log, document, from_snapshot, limits)
        except _Changed:
            continue
    return await _gather_once(log, document, from_snapshot, limits)


async def _gather_once(log: UpdateLog, document: str, from_snapshot: bool, limits: Limits | None) -> Gathered:
    head = await log.head(document)
    for damage in head.damage:
        logger.error("%s: the one before it is used, with the history", damage)
    snapshot = head.snapshot if from_snapshot else None
    gathered = Gathered(head, snapshot, snapshot.seq if snapshot is not None else 0)
    new_bytes = new_rows = 0
    async for stored in _read_intact(log, document, head, after=gathered.reached):
        if stored.row.epoch != head.epoch:
            raise _Changed(f"{document!r} was replaced while it was read")
        gathered.rows.append(stored)
        gathered.reached = stored.seq
        if limits is not None and stored.seq > head.compacted_seq:
            new_rows += 1
            new_bytes += sum(len(update.data) for update in stored.row.updates)
            if new_bytes >= limits.new_bytes or new_rows >= limits.new_rows:
                return gathered
    if gathered.reached < head.last_seq:
        # The last rows are in quarantine, or the document is deleted.
        if head.compacted_seq < head.last_seq and not await log.exists(document):
            raise _Changed(f"{document!r} was deleted while it was read")
        gathered.reached = head.last_seq
    return gathered


async def _read_intact(
    log: UpdateLog, document: str, head: Head, *, after: int = 0
) -> AsyncIterator[StoredRow]:
    """The rows after `after`; one that is damaged or missing is put in quarantine, and left out.

    Raises LogUnavailable, DocumentDamaged if that does not help.
    """
    put_aside: int | None = None
    while True:
        try:
            async for stored in log.read(document, after=after):
                after = stored.seq
                yield stored
            return
        except DocumentDamaged as damage:
            if damage.seq == put_aside:
                raise
            put_aside = damage.seq
            entry = (damage.seq, WHOLE_ROW, damage.reason)
            if not await log.quarantine(
                document, [entry], epoch=head.epoch, compacted_seq=head.compacted_seq
            ):
                raise _Changed(f"{document!r} was compacted or replaced while it was read") from damage
            logger.error("%s; it is put in quarantine, the rest of the document is served", damage)
