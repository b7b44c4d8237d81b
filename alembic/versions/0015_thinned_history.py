"""Which records of the history have been thinned.

Revision 0015.
"""

import sqlalchemy as sa

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_INDEX = "ix_history_thinned_at_ms_last_received_at_ms"


def upgrade() -> None:
    op.add_column("history", sa.Column("thinned_at_ms", sa.BigInteger(), nullable=True))
    op.create_index(_INDEX, "history", ["thinned_at_ms", "last_received_at_ms"])


def downgrade() -> None:
    op.drop_index(_INDEX, "history")
    op.drop_column("history", "thinned_at_ms")
