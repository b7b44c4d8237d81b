"""Finding and locking documents: where one is, and how far it goes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, select

from crdt_store.prepared import Prepared
from crdt_store.tables import documents
from crdt_store.update_log import LogUnavailable

T = TypeVar("T")

_PARAMETERS_PER_QUERY = 500  # databases limit the parameters of one statement


class Place(NamedTuple):
    """A document's record; of one that is `deleted` it is all that is left."""

    id: int
    epoch: int
    last_seq: int
    base_seq: int
    compacted_seq: int
    quarantined: int
    deleted: bool


_FIELDS = select(documents.c.name, *(documents.c[name] for name in Place._fields))
_PLACE = _FIELDS.where(documents.c.name == bindparam("name"))
_PLACES = _FIELDS.where(documents.c.name.in_(bindparam("names", expanding=True)))
_FOUND = Prepared(_PLACE)
# SQLite needs no such lock and leaves it out.
_LOCKED_ONE = Prepared(_PLACE.with_for_update())
_LOCKED = _PLACES.order_by(documents.c.name).with_for_update()


def find(connection: Connection, document: str) -> Place | None:
    """The place of the document, if there is one, deleted or not."""
    return _checked(_FOUND.fetch(connection, {"name": document})).get(document)


def lock(connection: Connection, names: Sequence[str]) -> dict[str, Place]:
    """The places of those that there are; nobody else changes them before this transaction has ended.

    In order of their names, within a statement and from one to the next: so two writers never wait for each other.
    """
    if len(names) == 1:
        return _checked(_LOCKED_ONE.fetch(connection, {"name": names[0]}))
    found: dict[str, Place] = {}
    for chunk in in_chunks(sorted(names)):
        found |= _checked(connection.execute(_LOCKED, {"names": chunk}))
    return found


def lock_one(connection: Connection, document: str, *, deleted: bool = False) -> Place | None:
    """The same for one document, which must not be deleted unless `deleted` says that it may."""
    place = lock(connection, [document]).get(document)
    return None if place is None or (place.deleted and not deleted) else place


def in_chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one statement takes."""
    for start in range(0, len(values), _PARAMETERS_PER_QUERY):
        yield values[start : start + _PARAMETERS_PER_QUERY]


def _checked(records: Iterable[Sequence[Any]]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for name, *fields in records:
        if not all(isinstance(field, int) for field in fields):  # as a damaged file may have it
            raise LogUnavailable(f"the record of {name!r} is damaged: {fields}")
        found[name] = Place(*fields)
    return found
