"""What a held edit's author had not seen, and since when the file was locked.

Revision 0011.
"""

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("held_edits", sa.Column("locked_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("held_edits", sa.Column("lacked", sa.LargeBinary(), nullable=True))
    op.create_index("ix_held_edits_author_id", "held_edits", ["author_id"])


def downgrade() -> None:
    op.drop_index("ix_held_edits_author_id", "held_edits")
    op.drop_column("held_edits", "lacked")
    op.drop_column("held_edits", "locked_at_ms")
