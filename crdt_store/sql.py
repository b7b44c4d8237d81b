"""The update log in SQL: SQLite and PostgreSQL alike."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from crdt_store import epochs, quarantine, snapshots, transactions
from crdt_store.effects import Effect
from crdt_store.engine import Conflict, Database
from crdt_store.history import pack
from crdt_store.texts import check_name
from crdt_store.update_log import (
    Compaction,
    Head,
    LogUnavailable,
    Quarantined,
    Row,
    StoredRow,
    UpdateLog,
)

T = TypeVar("T")


def now_ms() -> int:
    """Milliseconds since 1970, by the wall clock."""
    return time.time_ns() // 1_000_000


class SqlUpdateLog(UpdateLog):
    """The log in a `Database`, which it closes. `clock_ms` dates snapshots; rows bring their own times."""

    def __init__(self, database: Database, *, clock_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._clock_ms = clock_ms

    async def append(self, rows: Sequence[Row], effects: Sequence[Effect] = ()) -> None:
        for document in {row.document for row in rows}:
            check_name(document)
        if rows:
            body = partial(transactions.append, rows=rows, effects=effects)
            await self._write(body, again=partial(body, find_ends=True))

    async def exists(self, document: str) -> bool:
        check_name(document)
        return await self._database.read(partial(transactions.exists, document=document))

    async def head(self, document: str) -> Head:
        check_name(document)
        return await self._database.read(partial(snapshots.head, document=document))

    async def read(self, document: str, *, after: int = 0) -> AsyncIterator[StoredRow]:
        check_name(document)
        known = None
        while True:
            batch = await self._database.read(
                partial(transactions.read_batch, document=document, after=after)
            )
            if known not in (None, batch.epoch_id):
                raise LogUnavailable(f"{document!r} was deleted or replaced while it was read")
            known = batch.epoch_id
            for stored in batch.rows:
                yield stored
            after = batch.reached
            if after >= batch.last_seq:
                return

    async def compact(self, document: str, compaction: Compaction) -> bool:
        check_name(document)
        packed = await asyncio.to_thread(pack, document, compaction)
        return await self._write(
            partial(
                snapshots.compact,
                document=document,
                compaction=compaction,
                packed=packed,
                created_at_ms=self._clock_ms(),
            )
        )

    async def quarantine(
        self, document: str, entries: Sequence[tuple[int, int, str]], *, epoch: int, compacted_seq: int
    ) -> bool:
        check_name(document)
        return await self._write(
            partial(
                quarantine.put_aside,
                document=document,
                entries=entries,
                found_at_ms=self._clock_ms(),
                epoch=epoch,
                compacted_seq=compacted_seq,
            )
        )

    async def quarantined(self, document: str) -> list[Quarantined]:
        check_name(document)
        return await self._database.read(partial(quarantine.list_quarantined, document=document))

    async def replace(self, row: Row, renamed: Mapping[int, int | None]) -> int:
        check_name(row.document)
        return await self._write(partial(epochs.replace, row=row, renamed=renamed))

    async def documents(self, *, prefix: str = "", limit: int = 1000, after: str = "") -> list[str]:
        check_name(prefix)
        check_name(after)
        if limit < 0:
            raise ValueError("a negative limit")
        return await self._database.read(
            partial(transactions.list_documents, prefix=prefix, limit=limit, after=after)
        )

    async def delete(self, document: str, *, client_ids: Iterable[int] = ()) -> None:
        check_name(document)
        ids = tuple(client_ids)
        await self._write(partial(epochs.delete_document, document=document, client_ids=ids))

    async def close(self) -> None:
        await self._database.close()

    async def _write(
        self, body: Callable[[Connection], T], *, again: Callable[[Connection], T] | None = None
    ) -> T:
        try:
            return await self._database.write(body)
        except Conflict:
            # Another process made the same at the same moment: it is there now. Where every writer takes the
            # lock first, as in SQLite, that cannot be, and the second attempt says the same again.
            return await self._database.write(again or body)
