"""Snapshots in SQL: what a document begins from when it is opened, and how rows give way to one."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from crdt_store.ends import with_true_end
from crdt_store.places import Place, find, in_chunks, lock_one
from crdt_store.quarantine import Gone, active_entries, deactivate, is_gone, remaining_positions
from crdt_store.row_codec import DAMAGE, decode_parts, encode_parts, snapshot_checksum
from crdt_store.tables import clients, documents, history, snapshots, updates
from crdt_store.update_log import Compaction, Head, Snapshot, StoredRow

_SNAPSHOTS = (
    select(snapshots)
    .where(snapshots.c.document_id == bindparam("document"), snapshots.c.seq > bindparam("after"))
    .order_by(snapshots.c.seq.desc())
)
_CLIENTS = select(
    clients.c.client_id, clients.c.author_id, clients.c.retired_epoch, clients.c.renamed_to
).where(clients.c.document_id == bindparam("document"))


def head(connection: Connection, document: str) -> Head:
    """All about the document but its rows."""
    found = find(connection, document)
    if found is None:
        return Head()
    place = with_true_end(connection, found)
    snapshot, damage = _newest_intact(connection, document, place)
    authors: dict[int, int] = {}
    retired: dict[int, int | None] = {}
    for client_id, author_id, retired_epoch, renamed_to in connection.execute(
        _CLIENTS, {"document": place.id}
    ):
        if retired_epoch is not None:
            retired[client_id] = renamed_to
        elif author_id is not None:
            authors[client_id] = author_id
    return Head(
        place.epoch, place.last_seq, place.compacted_seq, snapshot, authors, retired, damage=tuple(damage)
    )


def _newest_intact(connection: Connection, document: str, place: Place) -> tuple[Snapshot | None, list[str]]:
    damage: list[str] = []
    if place.compacted_seq > place.base_seq:
        for record in connection.execute(
            _SNAPSHOTS, {"document": place.id, "after": place.base_seq}
        ).mappings():
            try:
                snapshot = checked_snapshot(document, record)
            except DAMAGE as error:
                damage.append(f"snapshot {record['seq']} of {document!r}: {error}")
                continue
            if snapshot.seq < place.compacted_seq and not damage:
                damage.append(f"snapshot {place.compacted_seq} of {document!r}: missing")
            return snapshot, damage
        damage = damage or [f"snapshot {place.compacted_seq} of {document!r}: missing"]
    return None, damage


def checked_snapshot(document: str, record: RowMapping) -> Snapshot:
    """The one that a record of the table holds. Raises DAMAGE."""
    seq, data, summary = record["seq"], record["data"], record["summary"]
    if snapshot_checksum(document, seq, data, summary, record["created_at_ms"]) != record["checksum"]:
        raise ValueError("the checksum does not match")
    return Snapshot(seq, decode_parts(data), summary)


def compact(
    connection: Connection,
    document: str,
    compaction: Compaction,
    packed: Sequence[dict[str, Any]],
    created_at_ms: int,
) -> bool:
    """Put the snapshot and the `packed` rows in the place of the rows that they were made of."""
    found = lock_one(connection, document)
    after, through = compaction.after, compaction.snapshot.seq
    if found is None or (found.epoch, found.compacted_seq) != (compaction.epoch, after):
        return False
    place = with_true_end(connection, found)
    if not after < through <= place.last_seq:
        return False
    gone = active_entries(connection, place, after, through)
    if not _is_all(connection, place, compaction, gone):
        return False
    connection.execute(insert(history), [{"document_id": place.id, **record} for record in packed])
    connection.execute(
        delete(updates).where(
            updates.c.document_id == place.id, updates.c.seq > after, updates.c.seq <= through
        )
    )
    _bind(connection, place.id, compaction.rows)
    _keep_snapshot(connection, document, place.id, compaction, created_at_ms)
    # The end too: it is now as it should be, if it was damaged.
    ends = {"compacted_seq": through, "last_seq": place.last_seq}
    connection.execute(update(documents).where(documents.c.id == place.id).values(ends))
    if gone:
        deactivate(connection, place, after, through)
    return True


def _is_all(connection: Connection, place: Place, compaction: Compaction, gone: Gone) -> bool:
    """Whether its rows are all that there are between its ends, in order, but for what is put aside."""
    after, through = compaction.after, compaction.snapshot.seq
    span = updates.c.document_id == place.id, updates.c.seq > after, updates.c.seq <= through
    seqs = list(connection.scalars(select(updates.c.seq).where(*span).order_by(updates.c.seq)))
    if any(end > start + 1 and not is_gone(gone, end - 1) for start, end in pairwise([after, *seqs])):
        return False
    if (seqs[-1] if seqs else after) < through and not is_gone(gone, through):
        return False
    remaining = remaining_positions(connection, place, gone)
    expected = [(seq, remaining.get(seq)) for seq in seqs if seq not in gone or remaining.get(seq)]
    return expected == [(stored.seq, stored.positions) for stored in compaction.rows]


def _bind(connection: Connection, document_id: int, rows: Sequence[StoredRow]) -> None:
    """Keep whose the client ids of these rows are: the first one who used it."""
    authors: dict[int, int] = {}
    for stored in rows:
        if stored.row.author_id is not None:
            for client_id in stored.row.client_ids:
                authors.setdefault(client_id, stored.row.author_id)
    add_clients(
        connection, document_id, {client_id: {"author_id": user} for client_id, user in authors.items()}
    )


def add_clients(connection: Connection, document_id: int, fields: Mapping[int, Mapping[str, Any]]) -> None:
    """Record client ids (-> `author_id`, `retired_epoch`, `renamed_to`); those that are there stay as they are."""
    known: set[int] = set()
    for chunk in in_chunks(list(fields)):
        known.update(
            connection.scalars(
                select(clients.c.client_id).where(
                    clients.c.document_id == document_id, clients.c.client_id.in_(chunk)
                )
            )
        )
    empty = {"author_id": None, "retired_epoch": None, "renamed_to": None}
    new = [
        {"document_id": document_id, "client_id": client_id, **empty, **values}
        for client_id, values in fields.items()
        if client_id not in known
    ]
    if new:
        connection.execute(insert(clients), new)


def _keep_snapshot(
    connection: Connection, document: str, document_id: int, compaction: Compaction, created_at_ms: int
) -> None:
    """Add it, and of the older ones keep only the one that it went on from."""
    snapshot, kept = compaction.snapshot, compaction.base_seq
    of_document = snapshots.c.document_id == document_id
    if kept is None:
        older = of_document, snapshots.c.seq < snapshot.seq
        kept = connection.scalar(select(func.max(snapshots.c.seq)).where(*older))
    connection.execute(delete(snapshots).where(of_document, snapshots.c.seq.is_distinct_from(kept)))
    data = encode_parts(snapshot.updates)
    connection.execute(
        insert(snapshots),
        {
            "document_id": document_id,
            "seq": snapshot.seq,
            "data": data,
            "summary": snapshot.summary,
            "checksum": snapshot_checksum(document, snapshot.seq, data, snapshot.summary, created_at_ms),
            "created_at_ms": created_at_ms,
        },
    )
