"""The history: rows that a snapshot stands for, packed and compressed, in the clients' own bytes."""

import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from crdt_store.places import Place
from crdt_store.quarantine import unexplained
from crdt_store.row_codec import (
    DAMAGE,
    decode_client_ids,
    decode_updates,
    encode_client_ids,
    encode_updates,
    history_checksum,
)
from crdt_store.tables import history
from crdt_store.update_log import WHOLE_ROW, DocumentDamaged, Row, StoredRow

_MAX_PACKED_BYTES = 2**20  # more only if one row has
_BATCH_ROWS = 16

_ROWS = (
    select(history)
    .where(history.c.document_id == bindparam("document"), history.c.last_seq > bindparam("after"))
    .order_by(history.c.last_seq)
    .limit(_BATCH_ROWS)
)


def pack(document: str, after: int, rows: Sequence[StoredRow]) -> list[dict[str, Any]]:
    """Records of the history for rows in their order, the first one after seq `after`; without the document's id.

    Each covers the seqs from the end of the one before: what lies between two rows is in quarantine.
    """
    records = []
    for packed in _neighbours(rows):
        first, last = packed[0].row, packed[-1]
        client_ids = encode_client_ids(dict.fromkeys(i for stored in packed for i in stored.row.client_ids))
        updates = [update for stored in packed for update in stored.row.updates]
        payload = zlib.compress(encode_updates(updates))
        times = updates[0].received_at_ms, updates[-1].received_at_ms
        seqs = after + 1, last.seq
        after = last.seq
        records.append(
            {
                "epoch": first.epoch,
                "first_seq": seqs[0],
                "last_seq": seqs[1],
                "author_id": first.author_id,
                "client_ids": client_ids,
                "payload": payload,
                "first_received_at_ms": times[0],
                "last_received_at_ms": times[1],
                "checksum": history_checksum(
                    document, first.epoch, seqs, first.author_id, client_ids, payload, times
                ),
            }
        )
    return records


def _neighbours(rows: Sequence[StoredRow]) -> Iterator[list[StoredRow]]:
    """Rows of one author that follow one another, within the size of one record."""
    for _, run in groupby(rows, key=lambda stored: stored.row.author_id):
        packed: list[StoredRow] = []
        packed_bytes = 0
        for stored in run:
            row_bytes = sum(len(update.data) for update in stored.row.updates)
            if packed and packed_bytes + row_bytes > _MAX_PACKED_BYTES:
                yield packed
                packed, packed_bytes = [], 0
            packed.append(stored)
            packed_bytes += row_bytes
        yield packed


def read_history(
    connection: Connection, document: str, place: Place, after: int, put_aside: set[tuple[int, int]]
) -> tuple[list[StoredRow], int]:
    """The next rows after `after`, and the seq that they reach: the end of what is compacted, if there is none.

    A row that reaches beyond `after` is given whole. Raises DocumentDamaged.
    """
    rows: list[StoredRow] = []
    records = connection.execute(_ROWS, {"document": place.id, "after": after}).mappings().all()
    for record in records:
        _check_hole(connection, document, place, after + 1, record["first_seq"] - 1)
        after = record["last_seq"]
        if (after, WHOLE_ROW) not in put_aside:
            rows.append(_checked_row(document, record))
    if not records:
        _check_hole(connection, document, place, after + 1, place.compacted_seq)
    return rows, after if records else place.compacted_seq


def _check_hole(connection: Connection, document: str, place: Place, first: int, last: int) -> None:
    """Raises DocumentDamaged if anything from `first` to `last` is neither stored nor in quarantine."""
    missing = unexplained(connection, place.id, first, last) if first <= last else None
    if missing is not None:
        raise DocumentDamaged(document, missing, "missing in the history")


def _checked_row(document: str, record: RowMapping) -> StoredRow:
    author_id, client_ids, payload = record["author_id"], record["client_ids"], record["payload"]
    seqs = record["first_seq"], record["last_seq"]
    times = record["first_received_at_ms"], record["last_received_at_ms"]
    try:
        checksum = history_checksum(document, record["epoch"], seqs, author_id, client_ids, payload, times)
        if checksum != record["checksum"]:
            raise ValueError("the checksum does not match")
        updates = decode_updates(zlib.decompress(payload))
        row = Row(document, author_id, decode_client_ids(client_ids), updates, record["epoch"])
    except (*DAMAGE, zlib.error) as error:
        raise DocumentDamaged(document, seqs[1], str(error)) from error
    return StoredRow(seqs[1], row)
