"""Whether all that is stored can be read and loaded: every row is, in a process with limits; nothing is changed."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from crdt_store.compaction import Condense, CondenseFailed
from crdt_store.database import Database
from crdt_store.inspection import TABLES, inspect_document, inspect_file, inspect_table
from crdt_store.long_transactions import read_at_length
from crdt_store.update_log import LogUnavailable, Snapshot, StoredRow


class Finding(NamedTuple):
    """`what` of the document, or of the database if it is none, cannot be read or loaded, and why."""

    document: str | None
    what: str
    error: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part is not None)


class Verified(NamedTuple):
    """What was looked at, and what is wrong. `put_aside`: updates that were found before, and are in quarantine."""

    rows: int
    updates: int
    put_aside: int
    findings: list[Finding]


async def verify_document(database: Database, condense: Condense, name: str) -> Verified:
    """Load it from its first row on, and from each of its snapshots. Raises LogUnavailable."""
    inspected = await database.read(partial(inspect_document, document=name))
    wrong = dict(inspected.damage)
    wrong |= await _load(condense, None, inspected.rows)
    for snapshot in inspected.snapshots:
        after = [stored for stored in inspected.rows if stored.seq > snapshot.seq]
        wrong |= await _load(condense, snapshot, after)
    updates = sum(len(stored.row.updates) for stored in inspected.rows)
    findings = [Finding(name, what, error) for what, error in wrong.items()]
    return Verified(len(inspected.rows), updates, inspected.put_aside, findings)


async def _load(condense: Condense, snapshot: Snapshot | None, rows: Sequence[StoredRow]) -> dict[str, str]:
    """What of it cannot be applied, and why."""
    updates = [update.data for stored in rows for update in stored.row.updates]
    places = [(stored.seq, stored.position(nth)) for stored in rows for nth in range(len(stored.row.updates))]
    try:
        faults = (await condense(snapshot, updates)).faults
    except CondenseFailed as error:
        return {"all rows" if snapshot is None else f"snapshot {snapshot.seq}": str(error)}
    at = [(places[fault.index], fault.error) for fault in faults]
    return {f"update {position} of row {seq}": error for (seq, position), error in at}


def verify_tables(database_url: str) -> Verified:
    """Everything that is no document's. Blocks."""
    findings, rows = [], 0
    for name in TABLES:
        try:
            rows += read_at_length(database_url, partial(inspect_table, name=name))
        except (LogUnavailable, ValueError, TypeError) as error:  # a value that is not of its column's type
            findings.append(Finding(None, f"table {name}", str(error)))
    try:
        findings += [Finding(None, "file", said) for said in read_at_length(database_url, inspect_file)]
    except LogUnavailable as error:
        findings.append(Finding(None, "file", str(error)))
    return Verified(rows, 0, 0, findings)
