"""The update log in memory: a verified fake for tests and demonstrations; the process takes it along."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anyio.lowlevel import checkpoint

from crdt_store.effects import Effect
from crdt_store.texts import check_name, storable_error
from crdt_store.update_log import (
    WHOLE_ROW,
    Compaction,
    Head,
    LogUnavailable,
    Quarantined,
    Row,
    Snapshot,
    StoredRow,
    UpdateLog,
    WrongEpoch,
)


@dataclass(slots=True, eq=False)
class _Document:
    epoch: int = 1
    base_seq: int = 0
    compacted_seq: int = 0
    deleted: bool = False
    rows: list[StoredRow] = field(default_factory=list)  # of this epoch; row n has the seq base_seq + 1 + n
    snapshot: Snapshot | None = None
    quarantined: list[Quarantined] = field(default_factory=list)
    authors: dict[int, int] = field(default_factory=dict)
    retired: dict[int, int | None] = field(default_factory=dict)

    @property
    def last_seq(self) -> int:
        return self.base_seq + len(self.rows)

    def kept(self, stored: StoredRow) -> StoredRow | None:
        """The row without what is in quarantine."""
        gone = {entry.position for entry in self.quarantined if entry.seq == stored.seq}
        positions = tuple(i for i in range(len(stored.row.updates)) if i not in gone)
        if WHOLE_ROW in gone or not positions:
            return None
        if not gone:
            return stored
        updates = tuple(stored.row.updates[i] for i in positions)
        return StoredRow(stored.seq, replace(stored.row, updates=updates), positions)

    def data(self, seq: int, position: int) -> bytes | None:
        """The bytes of an update, or of all in a row; None, if there is none."""
        if not self.base_seq < seq <= self.last_seq:
            return None
        data = [update.data for update in self.rows[seq - self.base_seq - 1].row.updates]
        if position == WHOLE_ROW:
            return b"".join(data)
        return data[position] if 0 <= position < len(data) else None

    def begin_epoch(self, renamed: Mapping[int, int | None]) -> None:
        """`renamed` tells of ids that were retired earlier too, if nothing stood for them yet."""
        for client_id in (*self.authors, *renamed):
            self.retired.setdefault(client_id, None)
        for old, new in renamed.items():
            if self.retired[old] is None:
                self.retired[old] = new
        self.base_seq = self.compacted_seq = self.last_seq
        self.rows.clear()
        self.snapshot = None
        self.epoch += 1


class MemoryUpdateLog(UpdateLog):
    """Each operation is one step, after a checkpoint where it can be cancelled: all happens or nothing.

    It has no tables: what effects would store is left out.
    """

    def __init__(self) -> None:
        self._documents: dict[str, _Document] = {}
        self._closed = False

    def reopen(self) -> "MemoryUpdateLog":
        """A log that finds what this one has stored, as after a restart."""
        log = MemoryUpdateLog()
        log._documents = self._documents
        return log

    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
        await self._answer(*(row.document for row in rows))
        for row in rows:
            found = self._documents.get(row.document)
            if row.epoch != (1 if found is None else found.epoch):
                raise WrongEpoch(f"{row.document!r} is not in epoch {row.epoch}")
        for row in rows:
            self._append(row)

    def _append(self, row: Row) -> None:
        found = self._documents.setdefault(row.document, _Document())
        found.deleted = False
        found.rows.append(StoredRow(found.last_seq + 1, row))

    async def exists(self, document: str) -> bool:
        await self._answer(document)
        return self._find(document) is not None

    async def head(self, document: str) -> Head:
        await self._answer(document)
        found = self._documents.get(document)
        if found is None:
            return Head()
        return Head(
            found.epoch,
            found.last_seq,
            found.compacted_seq,
            found.snapshot,
            dict(found.authors),
            dict(found.retired),
        )

    async def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        await self._answer(document)
        found = self._find(document)
        if found is None:
            return
        epoch, after = found.epoch, max(after, found.base_seq)
        while after < found.last_seq:
            after += 1
            stored = found.kept(found.rows[after - found.base_seq - 1])
            if stored is not None:
                yield stored
            await self._answer()
            if self._find(document) is not found or found.epoch != epoch:
                raise LogUnavailable(f"{document!r} was deleted or replaced while it was read")

    async def compact(self, document: str, compaction: Compaction) -> bool:
        await self._answer(document)
        found = self._find(document)
        if found is None or (found.epoch, found.compacted_seq) != (compaction.epoch, compaction.after):
            return False
        if not compaction.after < compaction.snapshot.seq <= found.last_seq:
            return False
        start, end = compaction.after - found.base_seq, compaction.snapshot.seq - found.base_seq
        rows = [kept for stored in found.rows[start:end] if (kept := found.kept(stored)) is not None]
        if rows != list(compaction.rows):
            return False
        found.snapshot = compaction.snapshot
        found.compacted_seq = compaction.snapshot.seq
        for stored in rows:
            if stored.row.author_id is not None:
                for client_id in stored.row.client_ids:
                    if client_id not in found.retired:
                        found.authors.setdefault(client_id, stored.row.author_id)
        return True

    async def quarantine(
        self, document: str, entries: Sequence[tuple[int, int, str]], *, epoch: int, compacted_seq: int
    ) -> bool:
        await self._answer(document)
        found = self._find(document)
        if found is None or (found.epoch, found.compacted_seq) != (epoch, compacted_seq):
            return False
        known = {(entry.seq, entry.position) for entry in found.quarantined}
        for seq, position, error in entries:
            data = found.data(seq, position)
            if data is not None and (seq, position) not in known:
                known.add((seq, position))
                found.quarantined.append(Quarantined(seq, position, storable_error(error), data, 0))
        return True

    async def quarantined(self, document: str) -> list[Quarantined]:
        await self._answer(document)
        found = self._find(document)
        if found is None:
            return []
        return sorted(found.quarantined, key=lambda entry: (entry.seq, entry.position))

    async def replace(self, row: Row, renamed: Mapping[int, int | None]) -> int:
        await self._answer(row.document)
        found = self._documents.get(row.document)
        if found is None or found.epoch != row.epoch:
            raise WrongEpoch(f"{row.document!r} is no more in epoch {row.epoch}")
        if found.compacted_seq != found.last_seq:
            raise LogUnavailable(f"{row.document!r} has rows that are not compacted")
        authors = {
            new: found.authors[old]
            for old, new in renamed.items()
            if new is not None and old in found.authors
        }
        found.begin_epoch(renamed)
        found.authors = authors
        self._append(replace(row, epoch=found.epoch))
        return found.epoch

    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        await self._answer(prefix, after)
        if limit < 0:
            raise ValueError("a negative limit")
        names = (name for name, found in self._documents.items() if not found.deleted)
        return sorted(name for name in names if name.startswith(prefix) and name > after)[:limit]

    async def delete(self, document: str, *, client_ids: Iterable[int] = ()) -> None:
        await self._answer(document)
        found = self._find(document)
        if found is not None:
            found.begin_epoch(dict.fromkeys(client_ids))
            found.authors.clear()
            found.quarantined.clear()
            found.deleted = True

    async def close(self) -> None:
        self._closed = True

    def _find(self, document: str) -> _Document | None:
        found = self._documents.get(document)
        return None if found is None or found.deleted else found

    async def _answer(self, *names: str) -> None:
        for name in names:
            check_name(name)
        if self._closed:
            raise LogUnavailable("the log is closed")
        await checkpoint()
