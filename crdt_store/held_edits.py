"""What others wrote to a document while somebody had it locked: kept outside of it until the lock ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from sqlalchemy import Connection, delete, func, insert, select

from crdt_store.database import Database
from crdt_store.places import in_chunks
from crdt_store.tables import held_edits

_DIGEST_BYTES = 16
_AUTHORS_PER_DOCUMENT = 4  # who have room beside each other


class TooManyHeldEdits(Exception):
    """The document keeps as many bytes of held edits, or of this author's, as it may; the message says which."""


@dataclass(frozen=True, slots=True)
class HeldEdit:
    """An update, in its author's own bytes."""

    id: int
    author_id: int | None
    received_at_ms: int
    data: bytes


class HeldEdits:
    """Those of all documents in a database; `max_bytes` for each document. All raise LogUnavailable.

    A document goes by its name: it may have been written to by nobody yet. An author who has some held already
    may have no more than a quarter of the bytes in all.
    """

    def __init__(self, database: Database, *, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes

    async def keep(self, document: str, author_id: int | None, data: bytes, now_ms: int) -> int:
        """The id under which it is kept, durably; the same bytes are kept once. Raises TooManyHeldEdits."""
        return await self._database.write(
            partial(
                _keep,
                document=document,
                author_id=author_id,
                data=data,
                now_ms=now_ms,
                max_bytes=self._max_bytes,
            )
        )

    async def of(self, document: str) -> list[HeldEdit]:
        """Those that the document has, in the order in which they came."""
        return await self._database.read(partial(read_held, document=document))

    async def documents(self) -> list[str]:
        """The names of those that have any."""
        query = select(held_edits.c.document).distinct().order_by(held_edits.c.document)
        return await self._database.read(lambda connection: list(connection.scalars(query)))

    async def discard(self, ids: Sequence[int]) -> int:
        """Forget them; how many there were."""
        return await self._database.write(partial(discard_held, ids=ids))


def read_held(connection: Connection, document: str) -> list[HeldEdit]:
    """In the order in which they came."""
    columns = held_edits.c.id, held_edits.c.author_id, held_edits.c.received_at_ms, held_edits.c.data
    query = select(*columns).where(held_edits.c.document == document).order_by(held_edits.c.id)
    return [HeldEdit(*record) for record in connection.execute(query)]


def discard_held(connection: Connection, ids: Sequence[int]) -> int:
    """For the transaction that stores what has become of them: no crash can lose them, or merge them twice."""
    gone = 0
    for chunk in in_chunks(sorted(ids)):
        gone += connection.execute(delete(held_edits).where(held_edits.c.id.in_(chunk))).rowcount
    return gone


def _keep(
    connection: Connection, document: str, author_id: int | None, data: bytes, now_ms: int, max_bytes: int
) -> int:
    digest = blake2b(data, digest_size=_DIGEST_BYTES).digest()
    of_document = held_edits.c.document == document
    of_author = held_edits.c.author_id.is_not_distinct_from(author_id)
    known = select(held_edits.c.id).where(of_document, of_author, held_edits.c.digest == digest)
    found: int | None = connection.scalar(known.limit(1))
    if found is not None:
        return found
    _check_room(connection, document, author_id, len(data), max_bytes)
    row = {
        "document": document,
        "author_id": author_id,
        "data": data,
        "digest": digest,
        "received_at_ms": now_ms,
    }
    made: int = connection.execute(insert(held_edits).returning(held_edits.c.id), row).scalar_one()
    return made


def _check_room(
    connection: Connection, document: str, author_id: int | None, size_bytes: int, max_bytes: int
) -> None:
    sizes = select(func.sum(func.length(held_edits.c.data))).where(held_edits.c.document == document)
    if (connection.scalar(sizes) or 0) + size_bytes > max_bytes:
        raise TooManyHeldEdits(
            f"more than {max_bytes} bytes of edits while it is locked (max_held_edits_bytes)"
        )
    of_author = connection.scalar(sizes.where(held_edits.c.author_id.is_not_distinct_from(author_id))) or 0
    share = max_bytes // _AUTHORS_PER_DOCUMENT
    if of_author and of_author + size_bytes > share:
        raise TooManyHeldEdits(
            f"more than {share} bytes of one author's edits while it is locked (max_held_edits_bytes / 4)"
        )
