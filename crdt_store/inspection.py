"""All that is stored of a document, with what is wrong with it; nothing is changed, or put in quarantine."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, Table, select, text

from crdt_store.ends import with_true_end
from crdt_store.history import checked_row as checked_history
from crdt_store.places import Place, find
from crdt_store.quarantine import Gone, active_entries, is_gone, without_quarantined
from crdt_store.row_codec import DAMAGE
from crdt_store.snapshots import checked_snapshot
from crdt_store.tables import history, metadata, snapshots, updates
from crdt_store.transactions import checked_row
from crdt_store.update_log import DocumentDamaged, Snapshot, StoredRow

TABLES = tuple(table.name for table in metadata.sorted_tables if table not in (history, snapshots, updates))
"""Those whose rows are not a document's."""

_ROWS_AT_ONCE = 1000


class Inspected(NamedTuple):
    """A document in its epoch: rows and snapshots that are intact, without what is in quarantine (`put_aside`).

    `damage`: (what it is of, what is wrong).
    """

    rows: list[StoredRow]
    snapshots: list[Snapshot]
    put_aside: int
    damage: list[tuple[str, str]]


def inspect_document(connection: Connection, document: str) -> Inspected:
    """Read every row of it; what there is not has nothing. Raises LogUnavailable if its own record is damaged."""
    inspected = Inspected([], [], 0, [])
    found = find(connection, document)
    if found is None or found.deleted:
        return inspected
    place = with_true_end(connection, found)
    gone = active_entries(connection, place, place.base_seq, place.last_seq)
    for stored in _rows(connection, document, place, gone, inspected.damage):
        kept = without_quarantined(stored, gone)
        inspected.rows.extend([] if kept is None else [kept])
    for record in _records(connection, snapshots, place, place.base_seq):
        try:
            inspected.snapshots.append(checked_snapshot(document, record))
        except DAMAGE as error:
            inspected.damage.append((f"snapshot {record['seq']}", str(error)))
    return inspected._replace(put_aside=sum(map(len, gone.values())))


def inspect_table(connection: Connection, name: str) -> int:
    """Read every value; how many rows there are. What cannot be read raises what the database says of it."""
    rows = connection.execute(select(metadata.tables[name]), execution_options={"yield_per": _ROWS_AT_ONCE})
    return sum(len(batch) for batch in rows.partitions())


def inspect_file(connection: Connection) -> list[str]:
    """What SQLite finds wrong with its file, indexes and all; of PostgreSQL nothing is known."""
    if connection.dialect.name != "sqlite":
        return []
    return [said for said in connection.scalars(text("PRAGMA integrity_check(20)")) if said != "ok"]


def _rows(
    connection: Connection, document: str, place: Place, gone: Gone, damage: list[tuple[str, str]]
) -> Iterator[StoredRow]:
    """From the first one of its epoch on, those of the history first."""
    after = place.base_seq
    packed = _records(connection, history, place, after) if after < place.compacted_seq else []
    hot = _records(connection, updates, place, max(place.compacted_seq, after))
    for record in [*packed, *hot]:
        is_packed = "first_seq" in record
        damage += _hole(after, (record["first_seq"] if is_packed else record["seq"]) - 1, gone)
        after = record["last_seq"] if is_packed else record["seq"]
        if is_gone(gone, after):
            continue
        try:
            read = checked_history if is_packed else partial(checked_row, epoch=place.epoch)
            stored = read(document, record=record)
        except DocumentDamaged as error:
            damage.append((f"row {error.seq}", error.reason))
        else:
            yield from [] if stored is None else [stored]
    damage += _hole(after, place.last_seq, gone)


def _hole(after: int, last: int, gone: Gone) -> list[tuple[str, str]]:
    if after >= last or is_gone(gone, last):
        return []
    return [(f"rows {after + 1} to {last}", "missing")]


def _records(connection: Connection, table: Table, place: Place, after: int) -> list[RowMapping]:
    """Of the document and behind that seq, in order."""
    seq = table.c.last_seq if table is history else table.c.seq
    query = select(table).where(table.c.document_id == place.id, seq > after).order_by(seq)
    return list(connection.execute(query).mappings())
