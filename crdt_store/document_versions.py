"""Named versions: moments of a document that somebody has given a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from crdt_store.engine import Conflict, Database
from crdt_store.tables import document_versions


class NameTaken(Exception):
    """The document has a version of this name."""


class TooManyVersions(Exception):
    """The document has as many versions as it may have; the message names the limit."""


@dataclass(frozen=True, slots=True)
class NamedVersion:
    """All up to the row `seq` of an epoch of a document."""

    id: int
    document: str
    epoch: int
    seq: int
    name: str
    author_id: int
    created_at_ms: int


class DocumentVersions:
    """In a database. Every method raises LogUnavailable."""

    def __init__(self, database: Database, *, max_versions: int) -> None:
        self._database = database
        self._max_versions = max_versions

    async def list(self, document: str, epoch: int) -> Sequence[NamedVersion]:
        """Of a document's epoch, newest moment first."""
        return await self._database.read(partial(_list, document=document, epoch=epoch))

    async def get(self, document: str, epoch: int, version_id: int) -> NamedVersion | None:
        """One of them."""
        found = await self._database.read(partial(_list, document=document, epoch=epoch))
        return next((each for each in found if each.id == version_id), None)

    async def add(
        self, document: str, epoch: int, seq: int, name: str, author_id: int, now_ms: int
    ) -> NamedVersion:
        """Raises NameTaken, TooManyVersions."""
        record = {
            "document": document,
            "epoch": epoch,
            "seq": seq,
            "name": name,
            "author_id": author_id,
            "created_at_ms": now_ms,
        }
        try:
            return await self._database.write(partial(_add, record=record, max_versions=self._max_versions))
        except Conflict:
            raise NameTaken(f"there is a version called {name!r}") from None

    async def rename(self, version_id: int, name: str) -> bool:
        """False if there is none. Raises NameTaken."""
        try:
            return await self._database.write(partial(_rename, version_id=version_id, name=name))
        except Conflict:
            raise NameTaken(f"there is a version called {name!r}") from None

    async def remove(self, version_id: int) -> bool:
        """Forget the name; False if there is none."""
        return await self._database.write(partial(_remove, version_id=version_id))


def _list(connection: Connection, document: str, epoch: int) -> list[NamedVersion]:
    query = (
        select(document_versions)
        .where(document_versions.c.document == document, document_versions.c.epoch == epoch)
        .order_by(document_versions.c.seq.desc(), document_versions.c.id.desc())
    )
    return [_version(record) for record in connection.execute(query).mappings()]


def _add(connection: Connection, record: dict[str, object], max_versions: int) -> NamedVersion:
    of_document = document_versions.c.document == record["document"]
    count = connection.scalar(select(func.count()).select_from(document_versions).where(of_document))
    if (count or 0) >= max_versions:
        raise TooManyVersions(f"{max_versions} named versions (max_versions_per_document)")
    made = connection.execute(insert(document_versions).values(record).returning(document_versions))
    return _version(made.mappings().one())


def _rename(connection: Connection, version_id: int, name: str) -> bool:
    query = update(document_versions).where(document_versions.c.id == version_id).values(name=name)
    return connection.execute(query).rowcount > 0


def _remove(connection: Connection, version_id: int) -> bool:
    return (
        connection.execute(delete(document_versions).where(document_versions.c.id == version_id)).rowcount > 0
    )


def _version(record: RowMapping) -> NamedVersion:
    return NamedVersion(**record)
