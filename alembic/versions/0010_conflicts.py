"""Where two changes of a file touched the same lines.

Revision 0010.
"""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "conflicts",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("document", _NAME, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("write_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("after_client", sa.BigInteger(), nullable=True),
        sa.Column("after_clock", sa.BigInteger(), nullable=True),
        sa.Column("before_client", sa.BigInteger(), nullable=True),
        sa.Column("before_clock", sa.BigInteger(), nullable=True),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("yours", sa.String(), nullable=False),
        sa.Column("theirs", sa.String(), nullable=False),
        sa.Column("merged", sa.String(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("others", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("resolution", sa.String(), nullable=True),
        sa.Column("resolved_by", sa.Integer(), nullable=True),
        sa.Column("resolved_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_conflicts_author_id"),
        sa.ForeignKeyConstraint(["resolved_by"], ["users.id"], name="fk_conflicts_resolved_by"),
        sa.PrimaryKeyConstraint("id", name="pk_conflicts"),
        sa.UniqueConstraint(
            "document", "epoch", "write_id", "number", name="uq_conflicts_document_epoch_write_id_number"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_conflicts_document_id", "conflicts", ["document", "id"])


def downgrade() -> None:
    """Conflicts are what people have not looked at yet: none is dropped in silence."""
    count = op.get_bind().scalar(sa.text("SELECT count(*) FROM conflicts WHERE resolution IS NULL"))
    if count:
        raise RuntimeError(
            f"there are {count} open conflicts, which revision 0009 would not know: nothing was changed;"
            " resolve them, or restore a backup instead"
        )
    op.drop_table("conflicts")
