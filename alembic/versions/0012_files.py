"""The files of workspaces, by path, and the trash.

Revision 0012.
"""

import sqlalchemy as sa

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("workspace_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("file_id", _NAME, nullable=False),
        sa.Column("path", _NAME, nullable=False),
        sa.Column("folded_path", _NAME, nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_by", sa.Integer(), nullable=True),
        sa.Column("batch", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["deleted_by"], ["users.id"], name="fk_files_deleted_by"),
        sa.PrimaryKeyConstraint("workspace_id", "file_id", name="pk_files"),
    )
    op.create_index("ix_files_workspace_id_folded_path", "files", ["workspace_id", "folded_path"])
    op.create_index("ix_files_deleted_at_ms", "files", ["deleted_at_ms"])


def downgrade() -> None:
    """The trash is known to this table alone: nothing in it is dropped in silence."""
    count = op.get_bind().scalar(sa.text("SELECT count(*) FROM files WHERE deleted_at_ms IS NOT NULL"))
    if count:
        raise RuntimeError(
            f"there are {count} files in the trash, which revision 0011 would not know: nothing was changed;"
            " restore or purge them, or restore a backup instead"
        )
    op.drop_table("files")
