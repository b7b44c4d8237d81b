"""Updates of an earlier epoch, kept until somebody merges or discards them."""

from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from crdt_store.engine import Database
from crdt_store.places import Place, find, lock_one
from crdt_store.tables import stale_updates

_DIGEST_BYTES = 16
_AUTHORS_PER_DOCUMENT = 4  # who have room beside each other


class TooManyStaleUpdates(Exception):
    """The document keeps as many bytes of stale updates, or of this author's, as it may; the message says which."""


@dataclass(frozen=True, slots=True)
class StaleUpdate:
    """What a client of an earlier epoch wanted to bring, in its own bytes."""

    id: int
    author_id: int | None
    received_at_ms: int
    size_bytes: int
    run_id: int | None = None


class StaleUpdates:
    """Those of all documents in a database; `max_bytes` for each document.

    An author who has some of a document's already may have no more than a quarter of that in all.
    """

    def __init__(self, database: Database, *, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes

    async def add(
        self,
        document: str,
        author_id: int | None,
        data: bytes,
        received_at_ms: int,
        run_id: int | None = None,
    ) -> bool:
        """Keep an update; the same bytes are kept once. False if there never was such a document.

        Raises LogUnavailable, TooManyStaleUpdates.
        """
        return await self._database.write(
            partial(
                _add,
                document=document,
                author_id=author_id,
                data=data,
                received_at_ms=received_at_ms,
                run_id=run_id,
                max_bytes=self._max_bytes,
            )
        )

    async def list(self, document: str) -> list[StaleUpdate]:
        """Those that the document has, oldest first. Raises LogUnavailable."""
        return await self._database.read(partial(_list, document=document))

    async def get(self, document: str, stale_id: int) -> tuple[StaleUpdate, bytes] | None:
        """One of them, with its bytes. Raises LogUnavailable."""
        return await self._database.read(partial(_get, document=document, stale_id=stale_id))

    async def discard(self, document: str, stale_id: int) -> bool:
        """Remove it; False if there was none. Raises LogUnavailable."""
        return await self._database.write(partial(_discard, document=document, stale_id=stale_id))


_COLUMNS = (
    stale_updates.c.id,
    stale_updates.c.author_id,
    stale_updates.c.received_at_ms,
    func.length(stale_updates.c.data),
    stale_updates.c.run_id,
)


def _add(
    connection: Connection,
    document: str,
    author_id: int | None,
    data: bytes,
    received_at_ms: int,
    run_id: int | None,
    max_bytes: int,
) -> bool:
    place = lock_one(connection, document, deleted=True)
    if place is None:
        return False
    digest = blake2b(data, digest_size=_DIGEST_BYTES).digest()
    of_document = stale_updates.c.document_id == place.id
    if connection.scalar(select(stale_updates.c.id).where(of_document, stale_updates.c.digest == digest)):
        return True
    sizes = select(func.sum(func.length(stale_updates.c.data))).where(of_document)
    kept = connection.scalar(sizes) or 0
    if kept + len(data) > max_bytes:
        raise TooManyStaleUpdates(f"more than {max_bytes} bytes of stale updates (max_stale_bytes)")
    of_author = connection.scalar(sizes.where(stale_updates.c.author_id.is_not_distinct_from(author_id))) or 0
    share = max_bytes // _AUTHORS_PER_DOCUMENT
    if of_author and of_author + len(data) > share:
        raise TooManyStaleUpdates(
            f"more than {share} bytes of one author's stale updates (max_stale_bytes / 4)"
        )
    connection.execute(
        insert(stale_updates),
        {
            "document_id": place.id,
            "author_id": author_id,
            "data": data,
            "digest": digest,
            "received_at_ms": received_at_ms,
            "run_id": run_id,
        },
    )
    return True


def _list(connection: Connection, document: str) -> list[StaleUpdate]:
    place = find(connection, document)
    if place is None:
        return []
    query = select(*_COLUMNS).where(stale_updates.c.document_id == place.id).order_by(stale_updates.c.id)
    return [StaleUpdate(*found) for found in connection.execute(query)]


def _get(connection: Connection, document: str, stale_id: int) -> tuple[StaleUpdate, bytes] | None:
    place = find(connection, document)
    if place is None:
        return None
    query = select(*_COLUMNS, stale_updates.c.data).where(*_is(place, stale_id))
    found = connection.execute(query).one_or_none()
    return None if found is None else (StaleUpdate(*found[:-1]), found[-1])


def _discard(connection: Connection, document: str, stale_id: int) -> bool:
    place = lock_one(connection, document, deleted=True)
    if place is None:
        return False
    return connection.execute(delete(stale_updates).where(*_is(place, stale_id))).rowcount > 0


def _is(place: Place, stale_id: int) -> tuple[ColumnElement[bool], ...]:
    return stale_updates.c.document_id == place.id, stale_updates.c.id == stale_id
