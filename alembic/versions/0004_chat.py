"""Messages with their words, receipts, and the events of rooms.

Revision 0004.
"""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_name = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    _create_messages()
    _create_words()
    op.create_table(
        "chat_heads",
        sa.Column("chat_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", name="pk_chat_heads"),
    )
    op.create_table(
        "message_reads",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("message_id", _big_id, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_message_reads_message_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_message_reads_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_message_reads"),
        sa.UniqueConstraint("message_id", "user_id", name="uq_message_reads_message_id_user_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "receipts",
        sa.Column("chat_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("delivered_seq", sa.BigInteger(), nullable=False),
        sa.Column("read_seq", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_receipts_user_id"),
        sa.PrimaryKeyConstraint("chat_id", "user_id", name="pk_receipts"),
    )
    op.create_table(
        "room_heads",
        sa.Column("room", _name, nullable=False),
        sa.Column("last_event_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room", name="pk_room_heads"),
    )
    op.create_table(
        "room_events",
        sa.Column("room", _name, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["sender_id"], ["users.id"], name="fk_room_events_sender_id"),
        sa.PrimaryKeyConstraint("room", "seq", name="pk_room_events"),
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("sender_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("reply_to", sa.String(), nullable=True),
        sa.Column("sent_at", sa.String(), nullable=False),
        sa.Column("server_time_ms", sa.BigInteger(), nullable=False),
        sa.Column("edited_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("mentions", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["sender_id"], ["users.id"], name="fk_messages_sender_id"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("chat_id", "seq", name="uq_messages_chat_id_seq"),
        sa.UniqueConstraint("chat_id", "sender_id", "uuid", name="uq_messages_chat_id_sender_id_uuid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_chat_id_sender_id_seq", "messages", ["chat_id", "sender_id", "seq"])
    op.create_index(
        "ix_messages_deleted",
        "messages",
        ["chat_id", "seq"],
        sqlite_where=sa.text("deleted IS 1"),
        postgresql_where=sa.text("deleted IS true"),
    )


def _create_words() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE message_words USING fts5(words, tokenize='ascii', detail='none', columnsize=0)"
        )
        return
    op.execute(
        "CREATE TABLE message_words (rowid BIGINT CONSTRAINT pk_message_words PRIMARY KEY"
        " CONSTRAINT fk_message_words_rowid REFERENCES messages (id), words TSVECTOR NOT NULL)"
    )
    op.execute("CREATE INDEX ix_message_words_words ON message_words USING gin (words)")


def downgrade() -> None:
    _refuse_to_forget_anything()
    for table in (
        "room_events",
        "room_heads",
        "receipts",
        "message_reads",
        "chat_heads",
        "message_words",
        "messages",
    ):
        op.drop_table(table)


def _refuse_to_forget_anything() -> None:
    """The order of messages and who has read them is in these tables alone."""
    for table in ("messages", "receipts"):
        count = op.get_bind().scalar(sa.text(f"SELECT count(*) FROM {table}"))
        if count:
            raise RuntimeError(
                f"there are {count} {table}, which revision 0003 cannot keep: "
                "nothing was changed; restore a backup instead"
            )
