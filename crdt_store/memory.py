"""The update log in memory: a verified fake for tests and demonstrations; the process takes it along."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from anyio.lowlevel import checkpoint

from crdt_store.update_log import LogUnavailable, Row, Snapshot, StoredRow, UpdateLog


@dataclass(slots=True, eq=False)
class _Document:
    rows: list[StoredRow] = field(default_factory=list)
    snapshot: Snapshot | None = None


class MemoryUpdateLog(UpdateLog):
    """Each operation is one step, after a checkpoint where it can be cancelled: all happens or nothing."""

    def __init__(self) -> None:
        self._documents: dict[str, _Document] = {}
        self._closed = False

    def reopen(self) -> "MemoryUpdateLog":
        """A log that finds what this one has stored, as after a restart."""
        log = MemoryUpdateLog()
        log._documents = self._documents
        return log

    async def append(self, rows: Sequence[Row]) -> None:
        await self._answer()
        for row in rows:
            stored = self._documents.setdefault(row.document, _Document()).rows
            stored.append(StoredRow(len(stored) + 1, row))

    async def exists(self, document: str) -> bool:
        await self._answer()
        return document in self._documents

    async def snapshot(self, document: str) -> Snapshot | None:
        await self._answer()
        found = self._documents.get(document)
        return None if found is None else found.snapshot

    async def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        await self._answer()
        found = self._documents.get(document)
        while found is not None and after < len(found.rows):
            yield found.rows[after]
            after += 1
            await self._answer()
            if self._documents.get(document) is not found:
                raise LogUnavailable(f"{document!r} was deleted while it was read")

    async def write_snapshot(self, document: str, snapshot: Snapshot) -> bool:
        await self._answer()
        found = self._documents.get(document)
        if found is None or snapshot.seq > len(found.rows):
            return False
        if found.snapshot is not None and found.snapshot.seq >= snapshot.seq:
            return False
        found.snapshot = snapshot
        return True

    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        await self._answer()
        return sorted(name for name in self._documents if name.startswith(prefix) and name > after)[:limit]

    async def delete(self, document: str) -> None:
        await self._answer()
        self._documents.pop(document, None)

    async def close(self) -> None:
        self._closed = True

    async def _answer(self) -> None:
        if self._closed:
            raise LogUnavailable("the log is closed")
        await checkpoint()
