"""Jobs, notifications, and what users want to be notified of.

Revision 0006.
"""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_name = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    _create_jobs()
    _create_notifications()
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("room", _name, nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("level BETWEEN 0 AND 2", name=op.f("ck_notification_preferences_level")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_notification_preferences_user_id"),
        sa.PrimaryKeyConstraint("user_id", "room", name="pk_notification_preferences"),
    )
    op.create_index("ix_notification_preferences_room_level", "notification_preferences", ["room", "level"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("dedupe_key", sa.String(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("dead", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("kind", "dedupe_key", name="uq_jobs_kind_dedupe_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_dead_due_at_ms", "jobs", ["dead", "due_at_ms"])


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("room", _name, nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("message_id", _big_id, nullable=True),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("dedupe_key", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("read_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name="fk_notifications_actor_id"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_notifications_message_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_notifications_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("user_id", "dedupe_key", name="uq_notifications_user_id_dedupe_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notifications_user_id_id", "notifications", ["user_id", "id"])
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["user_id", "id"],
        sqlite_where=sa.text("read_at_ms IS NULL"),
        postgresql_where=sa.text("read_at_ms IS NULL"),
    )


def downgrade() -> None:
    _refuse_to_forget_anything()
    for table in ("notification_preferences", "notifications", "jobs"):
        op.drop_table(table)


def _refuse_to_forget_anything() -> None:
    for table in ("jobs", "notifications"):
        count = op.get_bind().scalar(sa.text(f"SELECT count(*) FROM {table}"))
        if count:
            raise RuntimeError(
                f"there are {count} {table}, which revision 0005 cannot keep: "
                "nothing was changed; restore a backup instead"
            )
