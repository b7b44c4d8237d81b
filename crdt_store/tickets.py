"""One-use tickets: who brings what a digest was made of gets the claims, once."""

from functools import partial

from sqlalchemy import Connection, delete, insert, select

from crdt_store.database import Database
from crdt_store.tables import tickets

_EXPIRED_PER_TICKET = 100  # that go when one comes: so they cannot gather


class Tickets:
    """Those of a database, for all nodes. A ticket is valid until before the moment at which it expires."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(
        self, digest: bytes, claims: str, *, expires_at_seconds: float, now_seconds: float
    ) -> None:
        """Keep the claims for who takes them, and forget some that are expired.

        Raises LogUnavailable; Conflict if there is such a ticket already.
        """
        await self._database.write(
            partial(
                _keep,
                digest=digest,
                claims=claims,
                expires_at_ms=_milliseconds(expires_at_seconds),
                now_ms=_milliseconds(now_seconds),
            )
        )

    async def take(self, digest: bytes, *, now_seconds: float) -> str | None:
        """The ticket's claims, which nobody gets again; None if there is no such ticket, or no more.

        Raises LogUnavailable: the ticket may be spent then.
        """
        return await self._database.write(partial(_take, digest=digest, now_ms=_milliseconds(now_seconds)))


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _keep(connection: Connection, digest: bytes, claims: str, expires_at_ms: int, now_ms: int) -> None:
    # Who forgets the same at this moment is not waited for.
    expired = (
        select(tickets.c.digest)
        .where(tickets.c.expires_at_ms <= now_ms)
        .order_by(tickets.c.expires_at_ms)
        .limit(_EXPIRED_PER_TICKET)
        .with_for_update(skip_locked=True)
    )
    digests = list(connection.scalars(expired))
    if digests:
        connection.execute(delete(tickets).where(tickets.c.digest.in_(digests)))
    connection.execute(insert(tickets), {"digest": digest, "claims": claims, "expires_at_ms": expires_at_ms})


def _take(connection: Connection, digest: bytes, now_ms: int) -> str | None:
    spend = delete(tickets).where(tickets.c.digest == digest)
    found = connection.execute(spend.returning(tickets.c.claims, tickets.c.expires_at_ms)).one_or_none()
    return found.claims if found is not None and now_ms < found.expires_at_ms else None
