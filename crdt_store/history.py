"""The history: rows that a snapshot stands for, packed and compressed, in the clients' own bytes."""

import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from crdt_store.places import Place
from crdt_store.quarantine import Gone, active_entries, is_gone, without_quarantined
from crdt_store.row_codec import (
    DAMAGE,
    decode_client_ids,
    decode_seqs,
    decode_updates,
    encode_client_ids,
    encode_seqs,
    encode_updates,
    history_checksum,
)
from crdt_store.tables import history
from crdt_store.update_log import Compaction, DocumentDamaged, Row, StoredRow

_MAX_PACKED_BYTES = 2**20  # more only if one row has
_BATCH_ROWS = 16

_ROWS = (
    select(history)
    .where(history.c.document_id == bindparam("document"), history.c.last_seq > bindparam("after"))
    .order_by(history.c.last_seq)
    .limit(_BATCH_ROWS)
)


def pack(document: str, compaction: Compaction) -> list[dict[str, Any]]:
    """Records of the history that cover all its seqs without a hole; without the document's id.

    Each begins where the one before ends: what lies between two rows is in quarantine. What lies after the last row
    gets a record without an update, so that a record that is lost later is noticed.
    """
    records = []
    after, epoch = compaction.after, compaction.epoch
    for packed in _neighbours(compaction.rows):
        records.append(_record(document, epoch, (after + 1, packed[-1].seq), packed))
        after = packed[-1].seq
    if after < compaction.snapshot.seq:
        records.append(_record(document, epoch, (after + 1, compaction.snapshot.seq), []))
    return records


def repacked(document: str, record: RowMapping, stored: StoredRow) -> dict[str, Any]:
    """The same record with other updates, which say the same and begin and end with the same seqs."""
    return _record(document, record["epoch"], (record["first_seq"], record["last_seq"]), [stored])


def _record(document: str, epoch: int, seqs: tuple[int, int], packed: Sequence[StoredRow]) -> dict[str, Any]:
    rows = [stored.row for stored in packed]
    author_id, run_id = (rows[0].author_id, rows[0].run_id) if rows else (None, None)
    client_ids = encode_client_ids(dict.fromkeys(client_id for row in rows for client_id in row.client_ids))
    updates = [update for row in rows for update in row.updates]
    payload = zlib.compress(encode_updates(updates))
    packed_seqs = encode_seqs([seq for stored in packed for seq in stored.seqs], seqs[0])
    times = (updates[0].received_at_ms, updates[-1].received_at_ms) if updates else (0, 0)
    return {
        "epoch": epoch,
        "first_seq": seqs[0],
        "last_seq": seqs[1],
        "author_id": author_id,
        "run_id": run_id,
        "client_ids": client_ids,
        "payload": payload,
        "packed_seqs": packed_seqs,
        "first_received_at_ms": times[0],
        "last_received_at_ms": times[1],
        "checksum": history_checksum(
            document, epoch, seqs, author_id, client_ids, payload, times, packed_seqs, run_id
        ),
    }


def _neighbours(rows: Sequence[StoredRow]) -> Iterator[list[StoredRow]]:
    """Rows of one author and run that follow one another, within the size of one record."""
    for _, neighbours in groupby(rows, key=lambda stored: (stored.row.author_id, stored.row.run_id)):
        packed: list[StoredRow] = []
        packed_bytes = 0
        for stored in neighbours:
            row_bytes = sum(len(update.data) for update in stored.row.updates)
            if packed and packed_bytes + row_bytes > _MAX_PACKED_BYTES:
                yield packed
                packed, packed_bytes = [], 0
            packed.append(stored)
            packed_bytes += row_bytes
        yield packed


def read_history(
    connection: Connection, document: str, place: Place, after: int
) -> tuple[list[StoredRow], int]:
    """The next rows after `after`, and the seq that they reach: the end of what is compacted, if there is none.

    A row that reaches beyond `after` is given whole. Raises DocumentDamaged.
    """
    records = connection.execute(_ROWS, {"document": place.id, "after": after}).mappings().all()
    reached = records[-1]["last_seq"] if records else place.compacted_seq
    gone = active_entries(connection, place, after, reached)
    rows: list[StoredRow] = []
    for record in records:
        _check_hole(document, after + 1, record["first_seq"] - 1, gone)
        after = record["last_seq"]
        if not is_gone(gone, after) and (stored := checked_row(document, record)) is not None:
            kept = without_quarantined(stored, gone)
            rows += [] if kept is None else [kept]
    _check_hole(document, after + 1, reached, gone)
    return rows, reached


def _check_hole(document: str, first: int, last: int, gone: Gone) -> None:
    """Raises DocumentDamaged if there is one that quarantine knows nothing of."""
    if first <= last and not is_gone(gone, last):
        raise DocumentDamaged(document, last, f"missing in the history, from row {first} on")


def checked_row(document: str, record: RowMapping) -> StoredRow | None:
    """The row that a record of the table holds; None if it has no update. Raises DocumentDamaged."""
    author_id, client_ids, payload = record["author_id"], record["client_ids"], record["payload"]
    run_id, epoch, packed_seqs = record["run_id"], record["epoch"], record["packed_seqs"]
    seqs = record["first_seq"], record["last_seq"]
    times = record["first_received_at_ms"], record["last_received_at_ms"]
    try:
        checksum = history_checksum(
            document, epoch, seqs, author_id, client_ids, payload, times, packed_seqs, run_id
        )
        if checksum != record["checksum"]:
            raise ValueError("the checksum does not match")
        updates = decode_updates(zlib.decompress(payload))
        if not updates:
            return None
        row = Row(document, author_id, decode_client_ids(client_ids), updates, epoch, run_id)
        seqs_of_updates = None if packed_seqs is None else decode_seqs(packed_seqs, seqs[0], len(updates))
    except (*DAMAGE, zlib.error) as error:
        raise DocumentDamaged(document, seqs[1], str(error)) from error
    return StoredRow(seqs[1], row, packed_seqs=seqs_of_updates)
