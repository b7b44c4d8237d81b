"""Locks, their fencing numbers, who waits for them, and the edits of others that they hold up.

Revision 0009.
"""

import sqlalchemy as sa

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_name = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    _create_locks()
    _create_waits()
    _create_audit()
    op.create_table(
        "held_edits",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("document", _name, nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_held_edits_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_held_edits"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_held_edits_document_id", "held_edits", ["document", "id"])


def _create_locks() -> None:
    op.create_table(
        "locks",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("path", _name, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("holder_id", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("ttl_ms", sa.BigInteger(), nullable=True),
        sa.Column("acquired_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("node_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["holder_id"], ["users.id"], name="fk_locks_holder_id"),
        sa.PrimaryKeyConstraint("id", name="pk_locks"),
        sa.UniqueConstraint("workspace_id", "path", name="uq_locks_workspace_id_path"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_locks_holder_id", "locks", ["holder_id"])
    op.create_index("ix_locks_expires_at_ms", "locks", ["expires_at_ms"])
    op.create_table(
        "lock_fences",
        sa.Column("workspace_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name="pk_lock_fences"),
    )


def _create_waits() -> None:
    op.create_table(
        "lock_waits",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("path", _name, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_lock_waits_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lock_waits"),
        sa.UniqueConstraint(
            "workspace_id", "path", "user_id", name="uq_lock_waits_workspace_id_path_user_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lock_waits_user_id", "lock_waits", ["user_id"])


def _create_audit() -> None:
    op.create_table(
        "lock_audit",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("path", _name, nullable=False),
        sa.Column("lock_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("holder_id", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=False),
        sa.Column("new_holder_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name="fk_lock_audit_actor_id"),
        sa.ForeignKeyConstraint(["holder_id"], ["users.id"], name="fk_lock_audit_holder_id"),
        sa.ForeignKeyConstraint(["new_holder_id"], ["users.id"], name="fk_lock_audit_new_holder_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lock_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lock_audit_workspace_id", "lock_audit", ["workspace_id"])


def downgrade() -> None:
    """Fencing numbers would begin anew, so who was once locked out could write again."""
    for table in ("lock_fences", "held_edits"):
        count = op.get_bind().scalar(sa.text(f"SELECT count(*) FROM {table}"))
        if count:
            raise RuntimeError(
                f"there are {count} {table}, which revision 0008 cannot keep: "
                "nothing was changed; restore a backup instead"
            )
    for table in ("held_edits", "lock_audit", "lock_waits", "lock_fences", "locks"):
        op.drop_table(table)
