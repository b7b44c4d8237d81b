"""Runs of agents: which one each row is of, and what each has written.

Revision 0014.
"""

import sqlalchemy as sa

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MARKED = ("updates", "history", "stale_updates", "held_edits")


def upgrade() -> None:
    for table in _MARKED:
        op.add_column(table, sa.Column("run_id", _big_id, nullable=True))
    op.add_column("messages", sa.Column("agent", sa.String(), nullable=True))
    op.create_table(
        "runs",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("on_behalf_of", sa.String(), nullable=True),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_runs_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("user_id", "run", name="uq_runs_user_id_run"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_documents",
        sa.Column("run_id", _big_id, nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("edits", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name="fk_run_documents_decided_by"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_run_documents_document_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_documents_run_id"),
        sa.PrimaryKeyConstraint("run_id", "document_id", name="pk_run_documents"),
    )
    op.create_index("ix_run_documents_document_id", "run_documents", ["document_id"])


def downgrade() -> None:
    """The checksum of an agent's row has its run in it, and what a run has used up would be forgotten."""
    count = op.get_bind().scalar(sa.text("SELECT count(*) FROM runs"))
    if count:
        raise RuntimeError(
            f"there are {count} runs, which revision 0013 cannot keep: "
            "nothing was changed; restore a backup instead"
        )
    for table in ("run_documents", "runs"):
        op.drop_table(table)
    op.drop_column("messages", "agent")
    for table in _MARKED:
        op.drop_column(table, "run_id")
