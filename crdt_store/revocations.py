"""Tokens that are refused though they are signed: one by its id, or all that a user got until a moment."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select

from crdt_store.database import Database
from crdt_store.tables import revocations
from crdt_store.users import require_users


@dataclass(frozen=True, slots=True)
class Revocation:
    """Either of the token `token_id`, or of the tokens that the user got up to `before_seconds`, inclusive.

    From `expires_at_seconds` on it is needed no more; None: always. Raises ValueError.
    """

    token_id: str | None
    user_id: int | None
    before_seconds: float
    expires_at_seconds: float | None
    revoked_by: int

    def __post_init__(self) -> None:
        if (self.token_id is None) == (self.user_id is None):
            raise ValueError("a revocation is of a token, or of a user")


class Revocations:
    """Those of a database, for all nodes. Times are kept to the next millisecond."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, revocation: Revocation) -> None:
        """Keep it, in place of those that say no more than it does. Raises LogUnavailable, NoSuchUser."""
        now_ms = _milliseconds(self._clock())
        await self._database.write(partial(_add, revocation=revocation, revoked_at_ms=now_ms))

    async def all(self, now_seconds: float) -> list[Revocation]:
        """Those that are needed at this moment, oldest first; the others are removed. Raises LogUnavailable."""
        now_ms = int(now_seconds * 1000)
        needed, others = await self._database.read(partial(_all, now_ms=now_ms))
        if others:
            await self._database.write(partial(_forget, now_ms=now_ms))
        return needed


def _milliseconds(seconds: float) -> int:
    """Rounded up: rather a token too many is refused, and for longer."""
    return ceil(seconds * 1000)


def _add(connection: Connection, revocation: Revocation, revoked_at_ms: int) -> None:
    require_users(connection, revocation.revoked_by)
    if revocation.user_id is not None:
        require_users(connection, revocation.user_id)
    expires_at = revocation.expires_at_seconds
    before_ms = _milliseconds(revocation.before_seconds)
    expires_at_ms = None if expires_at is None else _milliseconds(expires_at)
    connection.execute(delete(revocations).where(*_is_covered(revocation, before_ms, expires_at_ms)))
    connection.execute(
        insert(revocations),
        {
            "token_id": revocation.token_id,
            "user_id": revocation.user_id,
            "before_ms": before_ms,
            "expires_at_ms": expires_at_ms,
            "revoked_by": revocation.revoked_by,
            "revoked_at_ms": revoked_at_ms,
        },
    )


def _is_covered(
    revocation: Revocation, before_ms: int, expires_at_ms: int | None
) -> Iterator[ColumnElement[bool]]:
    """Those of the same token or user that refuse nothing else, and nothing for longer."""
    if revocation.token_id is not None:
        yield revocations.c.token_id == revocation.token_id
    else:
        yield revocations.c.user_id == revocation.user_id
    yield revocations.c.before_ms <= before_ms
    if expires_at_ms is not None:
        yield revocations.c.expires_at_ms <= expires_at_ms


def _all(connection: Connection, now_ms: int) -> tuple[list[Revocation], bool]:
    """Those that are needed, and whether there are others."""
    query = select(revocations).order_by(revocations.c.id)
    found = connection.execute(query).all()
    needed = [each for each in found if each.expires_at_ms is None or now_ms < each.expires_at_ms]
    return [_revocation(each) for each in needed], len(needed) < len(found)


def _revocation(found: Row[Any]) -> Revocation:
    expires_at_ms = found.expires_at_ms
    return Revocation(
        found.token_id,
        found.user_id,
        found.before_ms / 1000,
        None if expires_at_ms is None else expires_at_ms / 1000,
        found.revoked_by,
    )


def _forget(connection: Connection, now_ms: int) -> None:
    connection.execute(delete(revocations).where(revocations.c.expires_at_ms <= now_ms))
