"""The chats of which a user has got something are found without reading the receipts of all.

Revision 0008.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_receipts_user_id", "receipts", ["user_id"])


def downgrade() -> None:
    op.drop_index("ix_receipts_user_id", "receipts")
