"""Epochs in SQL: a document that is replaced or deleted begins a new one, and what belongs to the old is known."""

import dataclasses
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, select, update

from crdt_store.ends import with_true_end
from crdt_store.places import lock_one
from crdt_store.prepared import Prepared
from crdt_store.snapshots import add_clients
from crdt_store.tables import clients, documents, history, quarantine, snapshots, stale_updates, updates
from crdt_store.transactions import append
from crdt_store.update_log import LogUnavailable, Row, WrongEpoch

_NAME = Prepared(
    update(clients)
    .where(
        clients.c.document_id == bindparam("document"),
        clients.c.client_id == bindparam("old"),
        clients.c.renamed_to.is_(None),
    )
    .values(renamed_to=bindparam("new"))
)


def replace(connection: Connection, row: Row, renamed: Mapping[int, int | None]) -> int:
    """End the row's epoch, also that of a deleted document; the row begins the next. Returns its number."""
    found = lock_one(connection, row.document, deleted=True)
    if found is None or found.epoch != row.epoch:
        raise WrongEpoch(f"{row.document!r} is no more in epoch {row.epoch}")
    place = with_true_end(connection, found)
    if place.compacted_seq != place.last_seq:
        raise LogUnavailable(f"{row.document!r} has rows that are not compacted")
    authors = _authors(connection, place.id)
    _retire(connection, place.id, place.epoch, renamed)
    add_clients(
        connection,
        place.id,
        {
            new: {"author_id": authors[old]}
            for old, new in renamed.items()
            if new is not None and old in authors
        },
    )
    epoch = place.epoch + 1
    connection.execute(
        update(documents).where(documents.c.id == place.id).values(epoch=epoch, base_seq=place.last_seq)
    )
    append(connection, [dataclasses.replace(row, epoch=epoch)])
    return epoch


def delete_document(connection: Connection, document: str, client_ids: Iterable[int]) -> None:
    """Remove all but its number, its epoch, the end of its rows and the client ids that are now retired."""
    found = lock_one(connection, document)
    if found is None:
        return
    place = with_true_end(connection, found)
    for table in (updates, snapshots, history, quarantine, stale_updates):
        connection.execute(delete(table).where(table.c.document_id == place.id))
    _retire(connection, place.id, place.epoch, dict.fromkeys(client_ids))
    connection.execute(update(clients).where(clients.c.document_id == place.id).values(author_id=None))
    connection.execute(
        update(documents)
        .where(documents.c.id == place.id)
        .values(
            epoch=place.epoch + 1,
            last_seq=place.last_seq,
            base_seq=place.last_seq,
            compacted_seq=place.last_seq,
            quarantined=0,
            deleted=True,
        )
    )


def _authors(connection: Connection, document_id: int) -> dict[int, int]:
    query = select(clients.c.client_id, clients.c.author_id)
    query = query.where(clients.c.document_id == document_id, clients.c.author_id.is_not(None))
    return {client_id: author_id for client_id, author_id in connection.execute(query)}  # noqa: C416 - of Rows


def _retire(connection: Connection, document_id: int, epoch: int, renamed: Mapping[int, int | None]) -> None:
    """All client ids of the document so far, and these, belong to what was until `epoch`.

    Those that nothing stood for yet, retired earlier or not, learn what does now.
    """
    add_clients(connection, document_id, {client_id: {} for client_id in renamed})
    named = [
        {"document": document_id, "old": old, "new": new} for old, new in renamed.items() if new is not None
    ]
    if named:
        _NAME.run(connection, named)
    current = clients.c.document_id == document_id, clients.c.retired_epoch.is_(None)
    connection.execute(update(clients).where(*current).values(retired_epoch=epoch))
