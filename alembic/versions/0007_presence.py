"""Who is online on which node, where users were last, and who wants to be invisible.

Revision 0007.
"""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("is_invisible", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("users", sa.Column("last_room", sa.String(), nullable=True))
    op.create_table(
        "presence_nodes",
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("alive_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", name="pk_presence_nodes"),
    )
    op.create_table(
        "online_users",
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["presence_nodes.node_id"], name="fk_online_users_node_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_online_users_user_id"),
        sa.PrimaryKeyConstraint("node_id", "user_id", name="pk_online_users"),
    )
    op.create_index("ix_online_users_user_id", "online_users", ["user_id"])


def downgrade() -> None:
    """What is lost comes again by itself, but for the wish to be invisible."""
    count = op.get_bind().scalar(sa.text("SELECT count(*) FROM users WHERE is_invisible"))
    if count:
        raise RuntimeError(
            f"there are {count} users who want to be invisible, which revision 0006 would not know: "
            "nothing was changed; restore a backup instead"
        )
    op.drop_table("online_users")
    op.drop_table("presence_nodes")
    op.drop_column("users", "last_room")
    op.drop_column("users", "is_invisible")
