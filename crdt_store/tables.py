"""The tables of users, documents, projects, rights and messages: only here are their columns named. Alembic follows.

A feature declares its own tables in its own `store.py`, on the `metadata` of this file.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    event,
    false,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC: SQLite drops the zone, so it is added again on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


MAX_ID = 2**31 - 1  # what PostgreSQL's INTEGER holds


def possible_id(value: int) -> int:
    """The value, or 0, which no row has, if it is no id: databases fail at numbers that do not fit."""
    return value if 0 < value <= MAX_ID else 0


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


# SQLite numbers rows by itself only in a column of type INTEGER, which holds 64 bits there.
_BigId = BigInteger().with_variant(Integer(), "sqlite")

# By code point on every database: the order of Python's str, whatever the locale of the server.
_Name = String().with_variant(String(collation="C"), "postgresql")

# No id is ever given twice (`sqlite_autoincrement`): tokens, caches and cursors outlive the rows they name.
users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("name", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime),
    Column("is_online", Boolean, nullable=False, server_default=false()),
    Column("is_invisible", Boolean, nullable=False, server_default=false()),  # wants to be offline for others
    Column("last_room", String),  # where the user was seen last
    UniqueConstraint("issuer", "subject"),
    sqlite_autoincrement=True,
)

# The servers that say that they are alive, and who is online on each: `users.is_online` follows from these.
presence_nodes = Table(
    "presence_nodes",
    metadata,
    Column("node_id", String, primary_key=True),
    Column("alive_at_ms", BigInteger, nullable=False),
)

online_users = Table(
    "online_users",
    metadata,
    Column("node_id", ForeignKey(presence_nodes.c.node_id), primary_key=True),
    Column("user_id", ForeignKey(users.c.id), primary_key=True, index=True),
)

documents = Table(
    "documents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _Name, nullable=False, unique=True),
    Column("epoch", Integer, nullable=False, server_default="1"),
    Column("last_seq", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("base_seq", BigInteger, nullable=False, server_default="0"),  # what is before: earlier epochs
    Column("compacted_seq", BigInteger, nullable=False, server_default="0"),  # what is before: in the history
    Column("quarantined", BigInteger, nullable=False, server_default="0"),  # how many updates
    Column("deleted", Boolean, nullable=False, server_default=false()),
    sqlite_autoincrement=True,
)

updates = Table(
    "updates",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document_id", ForeignKey(documents.c.id), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("author_id", ForeignKey(users.c.id)),
    Column("client_ids", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("first_received_at_ms", BigInteger, nullable=False),
    Column("last_received_at_ms", BigInteger, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("run_id", _BigId),  # of an agent
    UniqueConstraint("document_id", "seq"),
    sqlite_autoincrement=True,
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document_id", ForeignKey(documents.c.id), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("summary", LargeBinary, nullable=False),
    UniqueConstraint("document_id", "seq"),
    sqlite_autoincrement=True,
)

# Where compaction moves rows to: neighbours of one author and run packed into one, its payload compressed.
history = Table(
    "history",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document_id", ForeignKey(documents.c.id), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("author_id", ForeignKey(users.c.id)),
    Column("client_ids", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("first_received_at_ms", BigInteger, nullable=False),
    Column("last_received_at_ms", BigInteger, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("packed_seqs", LargeBinary),  # of rows that were packed: which seq each update had
    Column("run_id", _BigId),
    Column("thinned_at_ms", BigInteger),  # when its updates became one for each step of time
    UniqueConstraint("document_id", "last_seq"),
    Index(None, "thinned_at_ms", "last_received_at_ms"),
    sqlite_autoincrement=True,
)

# Whose a Yjs client id is, known from compaction on, and which ids are of an earlier epoch.
clients = Table(
    "clients",
    metadata,
    Column("document_id", ForeignKey(documents.c.id), primary_key=True),
    Column("client_id", BigInteger, primary_key=True),
    Column("author_id", ForeignKey(users.c.id)),
    Column("retired_epoch", Integer),  # the one that it was retired in
    Column("renamed_to", BigInteger),
)

# Updates that are no longer read: they did not pass the checker or the engine, or are not what was written.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document_id", ForeignKey(documents.c.id), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("error", String, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("found_at_ms", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),  # while the row still holds it
    Index(None, "document_id", "seq"),
    sqlite_autoincrement=True,
)

# What clients of an earlier epoch wanted to bring.
stale_updates = Table(
    "stale_updates",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document_id", ForeignKey(documents.c.id), nullable=False),
    Column("author_id", ForeignKey(users.c.id)),
    Column("data", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("run_id", _BigId),
    UniqueConstraint("document_id", "digest"),
    sqlite_autoincrement=True,
)

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", ForeignKey(users.c.id), nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    sqlite_autoincrement=True,
)

# The id of a workspace or chat is the number in its rooms' names.
workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", ForeignKey(projects.c.id), nullable=False),
    Column("name", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    Index(None, "project_id", "id"),
    sqlite_autoincrement=True,
)

chats = Table(
    "chats",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", ForeignKey(projects.c.id), nullable=False),
    Column("title", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    Index(None, "project_id", "id"),
    sqlite_autoincrement=True,
)

# Who has which role where. A scope is the canonical name of a room.
memberships = Table(
    "memberships",
    metadata,
    Column("scope", _Name, primary_key=True),
    Column("user_id", ForeignKey(users.c.id), primary_key=True, index=True),
    Column("role", SmallInteger, CheckConstraint("role BETWEEN 0 AND 4", name="role"), nullable=False),
    Column("set_by", ForeignKey(users.c.id), nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
)

# One-use tickets that nobody has used: only who holds one knows more than its digest.
tickets = Table(
    "tickets",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("claims", String, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
)

# Tokens that are refused: one by its id, or all that a user got until a moment.
revocations = Table(
    "revocations",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("token_id", String, index=True),
    Column("user_id", ForeignKey(users.c.id), index=True),
    Column("before_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_by", ForeignKey(users.c.id), nullable=False),
    Column("revoked_at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# What the chats' documents hold, in the order of `seq`. `chat_id` is the number in the name of the room, which may be
# in no project. A message that is deleted stays, without its text.
messages = Table(
    "messages",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("chat_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("uuid", String, nullable=False),
    Column("sender_id", ForeignKey(users.c.id), nullable=False),
    Column("body", String, nullable=False),
    Column("reply_to", String),
    Column("sent_at", String, nullable=False),  # as the client wrote it
    Column("server_time_ms", BigInteger, nullable=False),
    Column("edited_at_ms", BigInteger),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    Column("mentions", String, nullable=False),  # ids of users, in JSON
    Column("agent", String),  # in JSON: which one wrote it, and in which run
    UniqueConstraint("chat_id", "seq"),
    UniqueConstraint("chat_id", "sender_id", "uuid"),
    Index(None, "chat_id", "sender_id", "seq"),
    Index(None, "chat_id", "uuid"),
    sqlite_autoincrement=True,
)
Index(
    "ix_messages_deleted",
    messages.c.chat_id,
    messages.c.seq,
    sqlite_where=messages.c.deleted.is_(True),
    postgresql_where=messages.c.deleted.is_(True),
)

# The words of messages, to be searched: each database has its own kind of index. By their names these are no tables
# of `metadata`, which is the same on every database: see `is_compared`.
_WORDS = "message_words"
for _dialect, _statement in (
    (
        "sqlite",
        f"CREATE VIRTUAL TABLE {_WORDS} USING fts5(words, tokenize='ascii', detail='none', columnsize=0)",
    ),
    (
        "postgresql",
        f"CREATE TABLE {_WORDS} (rowid BIGINT CONSTRAINT pk_{_WORDS} PRIMARY KEY"
        f" CONSTRAINT fk_{_WORDS}_rowid REFERENCES messages (id), words TSVECTOR NOT NULL)",
    ),
    ("postgresql", f"CREATE INDEX ix_{_WORDS}_words ON {_WORDS} USING gin (words)"),
):
    _ddl = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
    event.listen(messages, "after_create", _ddl)


def is_compared(name: str | None, kind: str, parent_names: object) -> bool:
    """For Alembic's `include_name`: whether `metadata` tells what a table of this name has to be."""
    return kind != "table" or name is None or not name.startswith(_WORDS)


# Where each chat ends. Who writes in a chat locks its head first, so that its messages are in commit order.
chat_heads = Table(
    "chat_heads",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
)

# When a message of somebody else was read: of a message that was not among the last before the mark, only the mark
# in `receipts` tells that it was.
message_reads = Table(
    "message_reads",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("message_id", ForeignKey(messages.c.id), nullable=False),
    Column("user_id", ForeignKey(users.c.id), nullable=False),
    Column("read_at", UtcDateTime, nullable=False),
    UniqueConstraint("message_id", "user_id"),
    sqlite_autoincrement=True,
)

# How far each user has got in each chat: marks that only go up, and never beyond the chat's end.
receipts = Table(
    "receipts",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", ForeignKey(users.c.id), primary_key=True),
    Column("delivered_seq", BigInteger, nullable=False),
    Column("read_seq", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Index("ix_receipts_user_id", "user_id"),  # to list a user's chats
)

# Where the events of each room end, also when none is kept.
room_heads = Table(
    "room_heads",
    metadata,
    Column("room", _Name, primary_key=True),
    Column("last_event_seq", BigInteger, nullable=False),
)

# What happened in a room, for those who missed it; the oldest go.
room_events = Table(
    "room_events",
    metadata,
    Column("room", _Name, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String, nullable=False),
    Column("payload", String, nullable=False),
    Column("sender_id", ForeignKey(users.c.id)),
    Column("at_ms", BigInteger, nullable=False),
)

# Which messages each of a thread's closed documents, `chat:{chat_id}@{number}`, holds, and where the next one begins.
chat_segments = Table(
    "chat_segments",
    metadata,
    Column("chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("next_first_seq", BigInteger, nullable=False),
)

# Work that need not be done at once. Nobody else takes a job before `due_at_ms`, the end of the lease while it is
# claimed. What is done is gone; what has failed too often stays, dead.
jobs = Table(
    "jobs",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("kind", String, nullable=False),
    Column("payload", String, nullable=False),  # in JSON
    Column("dedupe_key", String),  # until it is claimed
    Column("created_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("claimed_by", String),
    Column("error", String),
    Column("dead", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("kind", "dedupe_key"),
    Index(None, "dead", "due_at_ms"),
    sqlite_autoincrement=True,
)

# What users should see, wherever it happened: each once, by its key.
notifications = Table(
    "notifications",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("user_id", ForeignKey(users.c.id), nullable=False),
    Column("kind", String, nullable=False),
    Column("room", _Name, nullable=False),
    Column("actor_id", ForeignKey(users.c.id)),
    Column("message_id", ForeignKey(messages.c.id)),  # whose text is shown as it is then
    Column("payload", String, nullable=False),  # in JSON
    Column("count", Integer, nullable=False),
    Column("dedupe_key", String, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("read_at_ms", BigInteger),
    Column("archived", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("user_id", "dedupe_key"),
    Index(None, "user_id", "id"),
    sqlite_autoincrement=True,
)
Index(
    "ix_notifications_unread",
    notifications.c.user_id,
    notifications.c.id,
    sqlite_where=notifications.c.read_at_ms.is_(None),
    postgresql_where=notifications.c.read_at_ms.is_(None),
)

# What users want to be told of in a room; the room '' is all that have no row of their own.
notification_preferences = Table(
    "notification_preferences",
    metadata,
    Column("user_id", ForeignKey(users.c.id), primary_key=True),
    Column("room", _Name, primary_key=True),
    Column("level", SmallInteger, CheckConstraint("level BETWEEN 0 AND 2", name="level"), nullable=False),
    Index(None, "room", "level"),
)

# Who keeps others from changing a path of a workspace, and all below it. `expires_at_ms` NULL: it does not by itself.
locks = Table(
    "locks",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("workspace_id", BigInteger, nullable=False),
    Column("path", _Name, nullable=False),
    Column("kind", String, nullable=False),
    Column("holder_id", ForeignKey(users.c.id), nullable=False, index=True),
    Column("fence", BigInteger, nullable=False),
    Column("ttl_ms", BigInteger),  # what a renewal is good for
    Column("acquired_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("node_id", String),  # where its holder is connected, of a session's lock
    UniqueConstraint("workspace_id", "path"),
    Index(None, "expires_at_ms"),
    sqlite_autoincrement=True,
)

# The last fencing number that a lock of each workspace got. Whoever changes its locks locks this row first.
lock_fences = Table(
    "lock_fences",
    metadata,
    Column("workspace_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_fence", BigInteger, nullable=False),
)

# Who is to be told when a path is locked no more, in the order of `id`.
lock_waits = Table(
    "lock_waits",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("workspace_id", BigInteger, nullable=False),
    Column("path", _Name, nullable=False),
    Column("user_id", ForeignKey(users.c.id), nullable=False, index=True),
    Column("since_ms", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "path", "user_id"),
    sqlite_autoincrement=True,
)

# What was done to locks by others than their holders, and what holders gave away.
lock_audit = Table(
    "lock_audit",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("workspace_id", BigInteger, nullable=False, index=True),
    Column("path", _Name, nullable=False),
    Column("lock_id", BigInteger, nullable=False),
    Column("action", String, nullable=False),
    Column("holder_id", ForeignKey(users.c.id), nullable=False),
    Column("actor_id", ForeignKey(users.c.id), nullable=False),
    Column("new_holder_id", ForeignKey(users.c.id)),
    Column("reason", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# What others wrote to a document while it was locked; it may have no row of its own yet.
held_edits = Table(
    "held_edits",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document", _Name, nullable=False),
    Column("author_id", ForeignKey(users.c.id)),
    Column("data", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("locked_at_ms", BigInteger),  # since when; unknown of what an earlier version held
    Column(
        "lacked", LargeBinary
    ),  # a state vector: from where on its author lacked what was there, if it came back
    Column("run_id", _BigId),
    Index(None, "document", "id"),
    Index(None, "author_id"),
    sqlite_autoincrement=True,
)

# Where two changes of a file touched the same lines, neither knowing of the other. `after_…` and `before_…` name the
# characters around the place; null: the file's beginning, its end. `write_id`: the later change, as a client id.
conflicts = Table(
    "conflicts",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document", _Name, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("write_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),  # of those of one change
    Column("path", String, nullable=False),  # at that time
    Column("after_client", BigInteger),
    Column("after_clock", BigInteger),
    Column("before_client", BigInteger),
    Column("before_clock", BigInteger),
    Column("base", String, nullable=False),
    Column("yours", String, nullable=False),
    Column("theirs", String, nullable=False),
    Column("merged", String, nullable=False),
    Column("author_id", ForeignKey(users.c.id), nullable=False),
    Column("others", String, nullable=False),  # ids of users, as JSON
    Column("created_at_ms", BigInteger, nullable=False),
    Column("resolution", String),
    Column("resolved_by", ForeignKey(users.c.id)),
    Column("resolved_at_ms", BigInteger),
    UniqueConstraint("document", "epoch", "write_id", "number"),
    Index(None, "document", "id"),
    sqlite_autoincrement=True,
)

# What the tree of each workspace says of its files, and those that it has no more: the trash. `folded_path` is the
# same for paths that differ in case alone. `created_by` is whom the tree names, be it a user or not.
files = Table(
    "files",
    metadata,
    Column("workspace_id", BigInteger, primary_key=True, autoincrement=False),
    Column("file_id", _Name, primary_key=True),
    Column("path", _Name, nullable=False),
    Column("folded_path", _Name, nullable=False),
    Column("language", String, nullable=False),
    Column("created_by", BigInteger),
    Column("created_at", String, nullable=False),
    Column("deleted_at_ms", BigInteger),
    Column("deleted_by", ForeignKey(users.c.id)),
    Column("batch", String),  # what went to the trash together
    Index(None, "workspace_id", "folded_path"),
    Index(None, "deleted_at_ms"),
)

# Moments of a document that somebody has given a name.
document_versions = Table(
    "document_versions",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("document", _Name, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),  # all up to this row
    Column("name", String, nullable=False),
    Column("author_id", ForeignKey(users.c.id), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("document", "epoch", "name"),
    sqlite_autoincrement=True,
)

# Runs of agents: each is its user's, under the id that the tokens have for it.
runs = Table(
    "runs",
    metadata,
    Column("id", _BigId, primary_key=True),
    Column("user_id", ForeignKey(users.c.id), nullable=False),
    Column("run", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("on_behalf_of", String),
    Column("started_at_ms", BigInteger, nullable=False),
    UniqueConstraint("user_id", "run"),
    sqlite_autoincrement=True,
)

# What each run has written in each document; `state`: what people have decided of that.
run_documents = Table(
    "run_documents",
    metadata,
    Column("run_id", ForeignKey(runs.c.id), primary_key=True),
    Column("document_id", ForeignKey(documents.c.id), primary_key=True, index=True),
    Column("edits", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("first_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("decided_by", ForeignKey(users.c.id)),
    Column("decided_at_ms", BigInteger),
)
