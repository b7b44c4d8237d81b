"""Snapshots in SQL: what a document begins from when it is opened, and how rows give way to one."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from crdt_store.places import Place, find, in_chunks, lock_one
from crdt_store.quarantine import active_entries, deactivate, remaining_positions
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
    place = find(connection, document)
    if place is None:
        return Head()
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
                snapshot = _checked(document, record)
            except DAMAGE as error:
                damage.append(f"snapshot {record['seq']} of {document!r}: {error}")
                continue
            if snapshot.seq < place.compacted_seq and not damage:
                damage.append(f"snapshot {place.compacted_seq} of {document!r}: missing")
            return snapshot, damage
        damage = damage or [f"snapshot {place.compacted_seq} of {document!r}: missing"]
    return None, damage


def _checked(document: str, record: RowMapping) -> Snapshot:
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
    place = lock_one(connection, document)
    after, through = compaction.after, compaction.snapshot.seq
    if place is None or (place.epoch, place.compacted_seq) != (compaction.epoch, after):
        return False
    entries = active_entries(connection, place.id, after) if place.quarantined else set()
    if not after < through <= place.last_seq or not _is_all(connection, place, compaction, entries):
        return False
    if packed:
        connection.execute(insert(history), [{"document_id": place.id, **record} for record in packed])
    connection.execute(
        delete(updates).where(
            updates.c.document_id == place.id, updates.c.seq > after, updates.c.seq <= through
        )
    )
    _bind(connection, place.id, compaction.rows)
    _keep_snapshot(connection, document, place.id, compaction.snapshot, created_at_ms)
    connection.execute(update(documents).where(documents.c.id == place.id).values(compacted_seq=through))
    if entries:
        deactivate(connection, place.id, after, through)
    return True


def _is_all(
    connection: Connection, place: Place, compaction: Compaction, entries: Collection[tuple[int, int]]
) -> bool:
    """Whether its rows are all that there are between its ends, in order, but for what is put aside."""
    put_aside: dict[int, set[int]] = {}
    for seq, position in entries:
        put_aside.setdefault(seq, set()).add(position)
    expected: list[tuple[int, tuple[int, ...] | None]] = []
    for seq in range(compaction.after + 1, compaction.snapshot.seq + 1):
        if seq not in put_aside:
            expected.append((seq, None))
        elif positions := remaining_positions(connection, place.id, seq, put_aside[seq]):
            expected.append((seq, positions))
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
    connection: Connection, document: str, document_id: int, snapshot: Snapshot, created_at_ms: int
) -> None:
    """Add it, and of the older ones keep only the newest."""
    of_document = snapshots.c.document_id == document_id
    newest = connection.scalar(select(func.max(snapshots.c.seq)).where(of_document))
    if newest is not None:
        connection.execute(delete(snapshots).where(of_document, snapshots.c.seq < newest))
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
