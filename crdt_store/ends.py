"""How far a document really goes: `documents.last_seq` has no checksum, and may be damaged."""

from sqlalchemy import Connection, bindparam, func, select

from crdt_store.places import Place
from crdt_store.prepared import Prepared
from crdt_store.tables import updates

_LAST = Prepared(select(func.max(updates.c.seq)).where(updates.c.document_id == bindparam("document")))


def with_true_end(connection: Connection, place: Place) -> Place:
    """The place with a `last_seq` that no row lies beyond."""
    ((last,),) = _LAST.fetch(connection, {"document": place.id})
    rows_end = last if isinstance(last, int) else 0
    return place._replace(last_seq=max(place.last_seq, place.base_seq, place.compacted_seq, rows_end))
