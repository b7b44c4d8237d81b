"""What runs of agents have written: counted with the rows themselves, in their transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from crdt_store.prepared import Prepared
from crdt_store.update_log import Row

OPEN, KEPT, REVERTED = "open", "kept", "reverted"
"""What people have decided of what a run has written in a document; who writes more opens it again."""

_COUNT = Prepared(
    text(
        "INSERT INTO run_documents"
        " (run_id, document_id, edits, size_bytes, first_at_ms, last_at_ms, state)"
        f" VALUES (:run, :document, :edits, :size_bytes, :first_at_ms, :last_at_ms, '{OPEN}')"
        " ON CONFLICT (run_id, document_id) DO UPDATE SET"
        " edits = run_documents.edits + excluded.edits,"
        " size_bytes = run_documents.size_bytes + excluded.size_bytes,"
        " last_at_ms = excluded.last_at_ms,"
        f" state = '{OPEN}', decided_by = NULL, decided_at_ms = NULL"
    )
)


def count_edits(connection: Connection, written: Sequence[tuple[int, Row]]) -> None:
    """These rows of runs, each with its document's id, are being stored."""
    if written:
        _COUNT.run(connection, [_counted(document_id, row) for document_id, row in written])


def _counted(document_id: int, row: Row) -> dict[str, int | None]:
    return {
        "run": row.run_id,
        "document": document_id,
        "edits": len(row.updates),
        "size_bytes": sum(len(update.data) for update in row.updates),
        "first_at_ms": row.updates[0].received_at_ms,
        "last_at_ms": row.updates[-1].received_at_ms,
    }
