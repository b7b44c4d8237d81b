"""All that a document is made of, in the order in which it is to be applied; what is damaged goes to quarantine."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from crdt_store.update_log import WHOLE_ROW, DocumentDamaged, Head, Snapshot, StoredRow, UpdateLog

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Gathered:
    """A snapshot, and the rows after it. `reached`: the seq of the last row, or of the snapshot."""

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


async def gather(
    log: UpdateLog, document: str, *, from_snapshot: bool = True, max_bytes: int | None = None
) -> Gathered:
    """Read the document: from its snapshot on, or from its first row.

    At most about `max_bytes` of rows that are not compacted yet. Raises LogUnavailable, DocumentDamaged.
    """
    head = await log.head(document)
    for damage in head.damage:
        logger.error("%s: the one before it is used, with the history", damage)
    snapshot = head.snapshot if from_snapshot else None
    gathered = Gathered(head, snapshot, snapshot.seq if snapshot is not None else 0)
    new_bytes = 0
    async for stored in read_intact(log, document, after=gathered.reached):
        gathered.rows.append(stored)
        gathered.reached = stored.seq
        if max_bytes is not None and stored.seq > head.compacted_seq:
            new_bytes += sum(len(update.data) for update in stored.row.updates)
            if new_bytes >= max_bytes:
                break
    return gathered


async def read_intact(log: UpdateLog, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
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
            logger.error("%s; it is put in quarantine, the rest of the document is served", damage)
            await log.quarantine(document, [(damage.seq, WHOLE_ROW, damage.reason)])
