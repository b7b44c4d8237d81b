"""Compaction: history, snapshots in parts, quarantine. Epochs: client ids that are retired, updates that are stale.

Revision 0002. No server wrote a snapshot before it.
"""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOCUMENT_COLUMNS = ("base_seq", "compacted_seq", "quarantined", "deleted")


def upgrade() -> None:
    # One by one: to copy the table, as batches do, would drop it, which the rows that refer to it forbid.
    for name in _DOCUMENT_COLUMNS[:3]:
        column = sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        op.add_column("documents", column)
    op.add_column("documents", sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.drop_table("snapshots")
    _create_snapshots(sa.Column("summary", sa.LargeBinary(), nullable=False))
    op.create_table(
        "history",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("client_ids", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("first_received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_history_document_id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_history_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sa.UniqueConstraint("document_id", "last_seq", name="uq_history_document_id_last_seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "clients",
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("retired_epoch", sa.Integer(), nullable=True),
        sa.Column("renamed_to", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_clients_document_id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_clients_author_id"),
        sa.PrimaryKeyConstraint("document_id", "client_id", name="pk_clients"),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("found_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_quarantine_document_id"),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_quarantine_document_id_seq", "quarantine", ["document_id", "seq"])
    op.create_table(
        "stale_updates",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_stale_updates_document_id"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_stale_updates_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_stale_updates"),
        sa.UniqueConstraint("document_id", "digest", name="uq_stale_updates_document_id_digest"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    _refuse_to_lose_anything()
    for table in ("stale_updates", "quarantine", "clients", "history"):
        op.drop_table(table)
    op.drop_table("snapshots")
    _create_snapshots()
    for name in reversed(_DOCUMENT_COLUMNS):
        op.drop_column("documents", name)


def _refuse_to_lose_anything() -> None:
    """What is compacted is in the tables that go; before this revision nothing was deleted or replaced either."""
    changed = "compacted_seq > 0 OR deleted OR epoch > 1"
    count = op.get_bind().scalar(sa.text(f"SELECT count(*) FROM documents WHERE {changed}"))
    if count:
        raise RuntimeError(
            f"{count} documents are compacted, deleted or in a later epoch, which revision 0001 cannot keep: "
            "nothing was changed; restore a backup instead"
        )


def _create_snapshots(*more: sa.Column[bytes]) -> None:
    op.create_table(
        "snapshots",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        *more,
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_snapshots_document_id"),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.UniqueConstraint("document_id", "seq", name="uq_snapshots_document_id_seq"),
        sqlite_autoincrement=True,
    )
