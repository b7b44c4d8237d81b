"""Projects with their workspaces and chats, memberships, one-use tickets, revocations.

Revision 0003.
"""

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_name = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_projects_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sqlite_autoincrement=True,
    )
    _create_rooms("workspaces", "name")
    _create_rooms("chats", "title")
    op.create_table(
        "memberships",
        sa.Column("scope", _name, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role BETWEEN 0 AND 4", name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id"),
        sa.ForeignKeyConstraint(["set_by"], ["users.id"], name="fk_memberships_set_by"),
        sa.PrimaryKeyConstraint("scope", "user_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])
    op.create_table(
        "tickets",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("claims", sa.String(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tickets"),
    )
    op.create_index("ix_tickets_expires_at_ms", "tickets", ["expires_at_ms"])
    op.create_table(
        "revocations",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("token_id", sa.String(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("before_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.Integer(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_revocations_user_id"),
        sa.ForeignKeyConstraint(["revoked_by"], ["users.id"], name="fk_revocations_revoked_by"),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_revocations_token_id", "revocations", ["token_id"])
    op.create_index("ix_revocations_user_id", "revocations", ["user_id"])


def downgrade() -> None:
    _refuse_to_open_anything()
    for table in ("revocations", "tickets", "memberships", "chats", "workspaces", "projects"):
        op.drop_table(table)


def _refuse_to_open_anything() -> None:
    """Without its project a room is anybody's, without its revocation a token is good again."""
    for table in ("projects", "memberships", "revocations"):
        count = op.get_bind().scalar(sa.text(f"SELECT count(*) FROM {table}"))
        if count:
            raise RuntimeError(
                f"there are {count} {table}, which revision 0002 cannot keep: "
                "nothing was changed; restore a backup instead"
            )


def _create_rooms(table: str, title: str) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column(title, sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=f"fk_{table}_project_id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{table}_project_id_id", table, ["project_id", "id"])
