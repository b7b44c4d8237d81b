"""Who somebody is: the number that stands for an issuer's subject in every table."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, insert, select, update

from crdt_store.engine import Conflict, Database
from crdt_store.tables import users


def _now() -> datetime:
    return datetime.now(UTC)


class UserDirectory:
    """Ids of users, remembered for the `cache_size` who were asked for last."""

    def __init__(
        self, database: Database, *, cache_size: int = 10_000, clock: Callable[[], datetime] = _now
    ) -> None:
        self._database = database
        self._cache_size = cache_size
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()

    async def id_of(self, issuer: str, subject: str, name: str) -> int:
        """The user's id, made on first use; keeps the name that was given last. Raises LogUnavailable."""
        key = (issuer, subject)
        known = self._known.get(key)
        if known is None or known[1] != name:
            known = await self._database.read(partial(_find, issuer=issuer, subject=subject))
        if known is None or known[1] != name:
            record = partial(_record, issuer=issuer, subject=subject, name=name, created_at=self._clock())
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


def _find(connection: Connection, issuer: str, subject: str) -> tuple[int, str] | None:
    query = select(users.c.id, users.c.name).where(users.c.issuer == issuer, users.c.subject == subject)
    found = connection.execute(query).one_or_none()
    return None if found is None else (found.id, found.name)


def _record(connection: Connection, issuer: str, subject: str, name: str, created_at: datetime) -> int:
    found = _find(connection, issuer, subject)
    if found is None:
        made = connection.execute(
            insert(users).returning(users.c.id),
            {"issuer": issuer, "subject": subject, "name": name, "created_at": created_at},
        )
        return int(made.scalar_one())
    user_id, known_name = found
    if known_name != name:
        connection.execute(update(users).where(users.c.id == user_id).values(name=name))
    return user_id
