"""Who somebody is: the number that stands for an issuer's subject in every table."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, insert, select, text, update

from crdt_store.engine import Conflict, Database
from crdt_store.tables import possible_id, users, utc_now

_MAX_FIXED_ID = 2**30 - 1  # whatever an issuer picks, the upper half is left for those who are numbered here

# Others who make a user wait for it; who refers to one does not.
_LOCK = text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
_RESERVE_IN_SQLITE = (
    text(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'users', 0"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'users')"
    ),
    text("UPDATE sqlite_sequence SET seq = :id WHERE name = 'users' AND seq < :id"),
)
_ADVANCE = text("SELECT setval('users_id_seq', :id) FROM users_id_seq WHERE last_value <= :id")


class IdTaken(Exception):
    """A fixed id that is somebody else's, or that nobody can have; nothing was stored."""


class NoSuchUser(Exception):
    """There is no user with this id."""


@dataclass(frozen=True, slots=True)
class User:
    """`name` is the one that was given last."""

    id: int
    issuer: str
    subject: str
    name: str


class UserDirectory:
    """Ids of users, remembered for the `cache_size` who were asked for last."""

    def __init__(
        self, database: Database, *, cache_size: int = 10_000, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._cache_size = cache_size
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()

    async def find_id(self, issuer: str, subject: str) -> int | None:
        """The id of a user who has been here, or was added. Raises LogUnavailable."""
        found = await self._database.read(partial(_find, issuer=issuer, subject=subject))
        return None if found is None else found[0]

    async def id_of(self, issuer: str, subject: str, name: str, *, fixed_id: int | None = None) -> int:
        """The user's id, made on first use; keeps the name that was given last.

        `fixed_id` (1 to 2**30 - 1) becomes the id of a user who is new; who has another one keeps it.
        Raises LogUnavailable, IdTaken.
        """
        key = (issuer, subject)
        known = self._known.get(key)
        if known is None or known[1] != name:
            known = await self._database.read(partial(_find, issuer=issuer, subject=subject))
        if known is None or known[1] != name:
            record = partial(
                _record,
                issuer=issuer,
                subject=subject,
                name=name,
                fixed_id=fixed_id,
                created_at=self._clock(),
            )
            try:
                user_id = await self._database.write(record)
            except Conflict:  # another process made the user at the same moment: now it is found
                user_id = await self._database.write(record)
            known = (user_id, name)
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > self._cache_size:
            self._known.popitem(last=False)
        return known[0]

    async def reserve_low_ids(self) -> None:
        """Number those who come from now on from 2**30 on: below, an issuer gives the ids. Raises LogUnavailable.

        Idempotent; who has a low id already keeps it.
        """
        await self._database.write(_reserve)

    async def find(self, user_id: int) -> User | None:
        """Who has this id. Raises LogUnavailable."""
        return await self._database.read(partial(_get, user_id=user_id))


def require_users(connection: Connection, *user_ids: int) -> None:
    """Raises NoSuchUser unless there are all of them; a user is never removed."""
    for user_id in user_ids:
        if _get(connection, user_id) is None:
            raise NoSuchUser(f"no user {user_id}")


def _get(connection: Connection, user_id: int) -> User | None:
    columns = users.c.id, users.c.issuer, users.c.subject, users.c.name
    query = select(*columns).where(users.c.id == possible_id(user_id))
    found = connection.execute(query).one_or_none()
    return None if found is None else User(*found)


def _find(connection: Connection, issuer: str, subject: str) -> tuple[int, str] | None:
    query = select(users.c.id, users.c.name).where(users.c.issuer == issuer, users.c.subject == subject)
    found = connection.execute(query).one_or_none()
    return None if found is None else (found.id, found.name)


def _record(
    connection: Connection,
    issuer: str,
    subject: str,
    name: str,
    fixed_id: int | None,
    created_at: datetime,
) -> int:
    found = _find(connection, issuer, subject)
    if found is None and fixed_id is not None:
        _hold(connection, fixed_id)
        found = _find(connection, issuer, subject)  # who made the user before the lock was ours has ended
        if found is None and _get(connection, fixed_id) is not None:
            raise IdTaken(f"another user has the id {fixed_id}")
    if found is None:
        values = {"issuer": issuer, "subject": subject, "name": name, "created_at": created_at}
        fixed = {} if fixed_id is None else {"id": fixed_id}
        return int(connection.execute(insert(users).returning(users.c.id), values | fixed).scalar_one())
    user_id, known_name = found
    if known_name != name:
        connection.execute(update(users).where(users.c.id == user_id).values(name=name))
    return user_id


def _reserve(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        _hold(connection, _MAX_FIXED_ID)
        return
    for statement in _RESERVE_IN_SQLITE:
        connection.execute(statement, {"id": _MAX_FIXED_ID})


def _hold(connection: Connection, user_id: int) -> None:
    """See that nobody else takes the id meanwhile, and that the database never gives it to anybody."""
    if not 0 < user_id <= _MAX_FIXED_ID:
        raise IdTaken(f"{user_id} cannot be the id of a user: 1 to {_MAX_FIXED_ID} can")
    # SQLite has one writer, and goes on from the highest id by itself; a sequence has to be told.
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)
        connection.execute(_ADVANCE, {"id": user_id})
