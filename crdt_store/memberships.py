"""Who has which role where. A role is a number, 0 (none) to 4 (admin); a scope is the canonical name of a room."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from crdt_store.database import Conflict, Database
from crdt_store.notifications_jobs import enqueue_invitation
from crdt_store.projects import ADMIN, lock_project, numbered, page
from crdt_store.tables import memberships, possible_id, users, utc_now
from crdt_store.texts import check_name
from crdt_store.users import require_users


class LastAdmin(Exception):
    """The project would be left without an admin; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A user's role in one scope; `name` and `subject` are the user's."""

    user_id: int
    name: str
    subject: str
    role: int


class Memberships:
    """Those of a database. All raise LogUnavailable; BadDocumentName is one, for a scope that names no room."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def roles_of(self, user_id: int) -> dict[str, int]:
        """Scope -> role, wherever the user has one, be it 0."""
        return await self._database.read(partial(_roles_of, user_id=user_id))

    async def members_of(self, scope: str, *, limit: int, after: int = 0) -> list[Membership]:
        """Who has a role in just this scope, by user id, from above `after`."""
        check_name(scope)
        return await self._database.read(partial(_members_of, scope=scope, limit=limit, after=after))

    async def set_role(self, scope: str, user_id: int, role: int, *, set_by: int) -> None:
        """Give the user this role in the scope, instead of the one there was.

        Raises NoSuchUser, LastAdmin, NotThere for the scope of a project that is not there, ValueError.
        """
        check_name(scope)
        if not 0 <= role <= ADMIN:
            raise ValueError(f"no role {role}")
        change = partial(
            _set_role, scope=scope, user_id=user_id, role=role, set_by=set_by, set_at=self._clock()
        )
        try:
            await self._database.write(change)
        except Conflict:  # somebody else gave the user a first role here at the same moment: now it is found
            await self._database.write(change)

    async def remove(self, scope: str, user_id: int) -> bool:
        """Take the role away; False if there was none. Raises LastAdmin, NotThere as `set_role` does."""
        check_name(scope)
        return await self._database.write(partial(_remove, scope=scope, user_id=user_id))


def _roles_of(connection: Connection, user_id: int) -> dict[str, int]:
    query = select(memberships.c.scope, memberships.c.role)
    found = connection.execute(query.where(memberships.c.user_id == possible_id(user_id)))
    return {scope: role for scope, role in found}  # noqa: C416 - of Rows


def _members_of(connection: Connection, scope: str, limit: int, after: int) -> list[Membership]:
    query = select(users.c.id, users.c.name, users.c.subject, memberships.c.role)
    query = query.join_from(memberships, users, memberships.c.user_id == users.c.id)
    of_scope = query.where(memberships.c.scope == scope)
    found = connection.execute(page(of_scope, memberships.c.user_id, limit=limit, after=after))
    return [Membership(*columns) for columns in found]


def _set_role(
    connection: Connection, scope: str, user_id: int, role: int, set_by: int, set_at: datetime
) -> None:
    if role == ADMIN:
        _lock(connection, scope)
    else:
        _require_other_admin(connection, scope, user_id)
    require_users(connection, user_id, set_by)
    values = {"role": role, "set_by": set_by, "set_at": set_at}
    if connection.execute(update(memberships).where(*_is(scope, user_id)).values(values)).rowcount == 0:
        connection.execute(insert(memberships), {"scope": scope, "user_id": user_id, **values})
        if role > 0 and user_id != set_by:
            enqueue_invitation(connection, scope, user_id, role, set_by, int(set_at.timestamp() * 1000))


def _remove(connection: Connection, scope: str, user_id: int) -> bool:
    _require_other_admin(connection, scope, user_id)
    return connection.execute(delete(memberships).where(*_is(scope, user_id))).rowcount > 0


def _require_other_admin(connection: Connection, scope: str, user_id: int) -> None:
    """Raises LastAdmin if the user is all the admins that the project has."""
    if not _lock(connection, scope):
        return
    is_admin = memberships.c.scope == scope, memberships.c.role == ADMIN
    query = select(memberships.c.user_id).where(*is_admin).limit(2)
    if list(connection.scalars(query)) == [user_id]:
        raise LastAdmin(f"user {user_id} is the only admin of {scope}")


def _lock(connection: Connection, scope: str) -> bool:
    """Whether the scope is a project, whose admins nobody else changes now. Raises NotThere."""
    kind, project_id = numbered(scope) or ("", 0)
    if kind == "project":
        lock_project(connection, project_id)
    return kind == "project"


def _is(scope: str, user_id: int) -> tuple[ColumnElement[bool], ...]:
    return memberships.c.scope == scope, memberships.c.user_id == possible_id(user_id)
