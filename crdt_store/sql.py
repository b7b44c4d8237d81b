"""The update log in SQL: SQLite, and any database that SQLAlchemy speaks."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from crdt_store import transactions
from crdt_store.engine import Conflict, Database
from crdt_store.update_log import LogUnavailable, Row, Snapshot, StoredRow, UpdateLog


def now_ms() -> int:
    """Milliseconds since 1970, by the wall clock."""
    return time.time_ns() // 1_000_000


class SqlUpdateLog(UpdateLog):
    """The log in a `Database`, which it closes. `clock_ms` dates snapshots; rows bring their own times."""

    def __init__(self, database: Database, *, clock_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._clock_ms = clock_ms

    async def append(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        append = partial(transactions.append, rows=rows)
        try:
            await self._database.write(append)
        except Conflict:
            # Another process made the document at the same moment: it is there now. Where every writer takes
            # the lock first, as in SQLite, that cannot be, and the second attempt says the same again.
            await self._database.write(append)

    async def exists(self, document: str) -> bool:
        return await self._database.read(partial(transactions.exists, document=document))

    async def snapshot(self, document: str) -> Snapshot | None:
        return await self._database.read(partial(transactions.newest_snapshot, document=document))

    async def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        known_id = None
        while True:
            batch = await self._database.read(
                partial(transactions.read_batch, document=document, after=after)
            )
            if known_id not in (None, batch.document_id):
                raise LogUnavailable(f"{document!r} was deleted while it was read")
            known_id = batch.document_id
            for stored in batch.rows:
                yield stored
            after += len(batch.rows)
            if after >= batch.last_seq:
                return

    async def write_snapshot(self, document: str, snapshot: Snapshot) -> bool:
        return await self._database.write(
            partial(
                transactions.write_snapshot,
                document=document,
                snapshot=snapshot,
                created_at_ms=self._clock_ms(),
            )
        )

    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        return await self._database.read(
            partial(transactions.list_documents, prefix=prefix, limit=limit, after=after)
        )

    async def delete(self, document: str) -> None:
        await self._database.write(partial(transactions.delete_document, document=document))

    async def close(self) -> None:
        await self._database.close()
