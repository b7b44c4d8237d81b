"""What others wrote to a document while somebody had it locked: kept outside of it until the lock ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from crdt_store.database import Database
from crdt_store.places import in_chunks
from crdt_store.tables import held_edits

_DIGEST_BYTES = 16
_AUTHORS_PER_DOCUMENT = 4  # who have room beside each other


class TooManyHeldEdits(Exception):
    """As many bytes of held edits are kept of the document, or of this author, as may be; the message says which."""


@dataclass(frozen=True, slots=True)
class HeldEdit:
    """An update, in its author's own bytes. `locked_at_ms`: since when the document was locked, if that is known.

    `lacked`: an encoded state vector, from which clocks on its author lacked what was there; None: nothing. `run_id`:
    of the agent that is its author, if it is one.
    """

    id: int
    author_id: int
    received_at_ms: int
    data: bytes
    locked_at_ms: int | None
    lacked: bytes | None
    run_id: int | None = None


class HeldBy(NamedTuple):
    """What one author has held of a document: how much, and since when."""

    author_id: int
    updates: int
    size_bytes: int
    since_ms: int


_FIELDS = [held_edits.c[name] for name in HeldEdit.__dataclass_fields__]
_LENGTH = func.length(held_edits.c.data)


class HeldEdits:
    """Those of all documents in a database. All raise LogUnavailable.

    A document goes by its name: it may have been written to by nobody yet. An author who has some held already
    may have no more than a quarter of the document's bytes in all.
    """

    def __init__(self, database: Database, *, max_bytes: int, max_bytes_per_user: int) -> None:
        """`max_bytes` for each document, `max_bytes_per_user` in all documents."""
        self._database = database
        self._max_bytes = max_bytes
        self._max_bytes_per_user = max_bytes_per_user

    async def keep(
        self,
        document: str,
        author_id: int,
        data: bytes,
        now_ms: int,
        *,
        locked_at_ms: int | None = None,
        lacked: bytes | None = None,
        run_id: int | None = None,
    ) -> int:
        """The id under which it is kept, durably; the same bytes are kept once. Raises TooManyHeldEdits."""
        row = {
            "document": document,
            "author_id": author_id,
            "data": data,
            "digest": blake2b(data, digest_size=_DIGEST_BYTES).digest(),
            "received_at_ms": now_ms,
            "locked_at_ms": locked_at_ms,
            "lacked": lacked,
            "run_id": run_id,
        }
        return await self._database.write(partial(self._keep, row=row))

    async def of(self, document: str) -> list[HeldEdit]:
        """Those that the document has, in the order in which they came."""
        return await self._database.read(partial(read_held, document=document))

    async def documents(self) -> list[str]:
        """The names of those that have any."""
        query = select(held_edits.c.document).distinct().order_by(held_edits.c.document)
        return await self._database.read(lambda connection: list(connection.scalars(query)))

    async def authors_of(self, document: str) -> list[HeldBy]:
        """Who has how much held of the document."""
        query = (
            select(
                held_edits.c.author_id,
                func.count(),
                func.sum(_LENGTH),
                func.min(held_edits.c.received_at_ms),
            )
            .where(held_edits.c.document == document)
            .group_by(held_edits.c.author_id)
            .order_by(held_edits.c.author_id)
        )
        return await self._database.read(
            lambda connection: [HeldBy(*record) for record in connection.execute(query)]
        )

    async def discard(self, ids: Sequence[int]) -> int:
        """Forget them; how many there were."""
        return await self._database.write(partial(discard_held, ids=ids))

    def _keep(self, connection: Connection, row: dict[str, Any]) -> int:
        names = "document", "author_id", "digest"
        known = select(held_edits.c.id).where(*(held_edits.c[name] == row[name] for name in names))
        found: int | None = connection.scalar(known.limit(1))
        if found is not None:
            return found
        self._check_room(connection, row["document"], row["author_id"], len(row["data"]))
        made: int = connection.execute(insert(held_edits).returning(held_edits.c.id), row).scalar_one()
        return made

    def _check_room(self, connection: Connection, document: str, author_id: int, size_bytes: int) -> None:
        def beyond(max_bytes: int, *which: ColumnElement[bool], is_first_free: bool = False) -> bool:
            held = connection.scalar(select(func.sum(_LENGTH)).where(*which)) or 0
            return held + size_bytes > max_bytes and not (is_first_free and held == 0)

        of_document, of_author = held_edits.c.document == document, held_edits.c.author_id == author_id
        share = self._max_bytes // _AUTHORS_PER_DOCUMENT
        if beyond(self._max_bytes, of_document):
            what = f"{self._max_bytes} bytes of edits while it is locked (max_held_edits_bytes)"
        elif beyond(share, of_document, of_author, is_first_free=True):
            what = f"{share} bytes of one author's edits while it is locked (max_held_edits_bytes / 4)"
        elif beyond(self._max_bytes_per_user, of_author):
            most = self._max_bytes_per_user
            what = f"{most} bytes of one author's edits of locked files (max_held_edits_bytes_per_user)"
        else:
            return
        raise TooManyHeldEdits(f"more than {what}")


def read_held(connection: Connection, document: str) -> list[HeldEdit]:
    """In the order in which they came."""
    query = select(*_FIELDS).where(held_edits.c.document == document).order_by(held_edits.c.id)
    return [HeldEdit(*record) for record in connection.execute(query)]


def discard_held(connection: Connection, ids: Sequence[int]) -> int:
    """For the transaction that stores what has become of them: no crash can lose them, or merge them twice."""
    gone = 0
    for chunk in in_chunks(sorted(ids)):
        gone += connection.execute(delete(held_edits).where(held_edits.c.id.in_(chunk))).rowcount
    return gone
