"""Who may read a room, as far as the database tells: the same rule as for who asks, without a token."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, Table, select

from crdt_store.places import in_chunks
from crdt_store.projects import numbered, project_scope
from crdt_store.tables import chats, memberships, possible_id, projects, users, workspaces

_TABLES: dict[str, Table] = {"project": projects, "workspace": workspaces, "chat": chats}


class _Place(NamedTuple):
    """`project_id` is None for what belongs to no project."""

    project_id: int | None
    is_deleted: bool


def readers_of(
    connection: Connection, room: str, user_ids: Collection[int], *, by_membership: bool
) -> set[int]:
    """Those of these who have a role there; what is deleted has no readers.

    What belongs to no project is left to whoever knows the token, and so is everything without `by_membership`.
    """
    kind, number = numbered(room) or ("", 0)
    place = _place_of(connection, kind, number) if kind else _Place(None, False)
    if place.is_deleted:
        return set()
    if place.project_id is None or not by_membership:
        return set(user_ids)
    scopes = list(dict.fromkeys((room, f"{kind}:{number}", project_scope(place.project_id))))  # nearest first
    roles: dict[int, dict[str, int]] = {}
    for chunk in in_chunks(sorted(set(user_ids))):
        query = select(memberships.c.user_id, memberships.c.scope, memberships.c.role)
        found = query.where(memberships.c.user_id.in_(chunk), memberships.c.scope.in_(scopes))
        for user_id, scope, role in connection.execute(found):
            roles.setdefault(user_id, {})[scope] = role
    return {
        user_id
        for user_id, of_user in roles.items()
        if next(of_user[scope] for scope in scopes if scope in of_user) > 0
    }


def _place_of(connection: Connection, kind: str, number: int) -> _Place:
    table = _TABLES[kind]
    project_id = table.c.id if kind == "project" else table.c.project_id
    query = select(project_id, table.c.deleted).where(table.c.id == possible_id(number))
    found = connection.execute(query).one_or_none()
    return _Place(None, False) if found is None else _Place(found[0], bool(found[1]))


def user_ids_after(connection: Connection, after: int, limit: int) -> list[int]:
    """The first users with an id above `after`, in order."""
    return list(
        connection.scalars(select(users.c.id).where(users.c.id > after).order_by(users.c.id).limit(limit))
    )
