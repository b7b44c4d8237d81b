"""The documents of which a long thread is made, and messages found by their id alone.

Revision 0005.
"""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chat_segments",
        sa.Column("chat_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("next_first_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", "number", name="pk_chat_segments"),
    )
    op.create_index("ix_messages_chat_id_uuid", "messages", ["chat_id", "uuid"])


def downgrade() -> None:
    count = op.get_bind().scalar(sa.text("SELECT count(*) FROM chat_segments"))
    if count:
        raise RuntimeError(
            f"there are {count} chat_segments, which revision 0004 would not serve: "
            "nothing was changed; restore a backup instead"
        )
    op.drop_index("ix_messages_chat_id_uuid", "messages")
    op.drop_table("chat_segments")
