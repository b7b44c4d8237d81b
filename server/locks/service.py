"""Locks at work: what users ask for is done in the database, then in memory, one after the other."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence, Set
from contextlib import asynccontextmanager

from crdt_store.lock_audit import AuditEntry
from crdt_store.lock_queries import LockFilter
from crdt_store.lock_rows import Lock, LockChange, TooManyLocks, WantedLock
from crdt_store.locks import Locks
from crdt_store.update_log import LogUnavailable
from server.limits.too_many import TooMany
from server.locks.book import LockBook
from server.locks.rules import LockKind, LockPolicy

SWEEP_SECONDS = 1.0
"""So soon it is seen that a lock has expired, that a holder has left, and what other servers have done."""

logger = logging.getLogger(__name__)


class LockService:
    """`begin` it, then `run` it while the server serves. `connected`: the users who have a connection to it.

    All raise LogUnavailable. What is answered is committed, and in the book.
    """

    def __init__(
        self,
        store: Locks,
        book: LockBook,
        policy: LockPolicy,
        *,
        node_id: str,
        connected: Callable[[], Set[int]],
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._policy = policy
        self._book = book
        self._node_id = node_id
        self._connected = connected
        self._now_ms = now_ms
        self._turn = asyncio.Lock()  # the book has changes in the order of their commits

    async def begin(self) -> None:
        """Before anybody is let in: what was locked is locked still; sessions have a grace to come back in."""
        await self._store.resume(self._node_id, self._now_ms() + self._policy.grace_ms)
        self._book.refresh(await self._store.all())

    async def run(self) -> None:
        """Sweep for as long as the server runs."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except LogUnavailable as error:
                logger.error("locks cannot be looked after, trying again: %s", error)

    async def sweep(self) -> None:
        """See what others have done, renew what goes on, clear away what has expired."""
        async with self._turn:
            self._book.refresh(await self._store.all())
            now_ms = self._now_ms()
            has_sessions = any(lock.kind == LockKind.SESSION for lock in self._book)
            connected = self._connected() if has_sessions else frozenset()
            beats = list(self._policy.beats(self._book, connected, self._node_id, now_ms))
            if beats:
                self._book.apply(await self._store.beat(beats, now_ms))
            if not all(lock.is_live(now_ms) for lock in self._book):
                self._book.apply(await self._store.end_expired(now_ms))

    # What users do

    async def get(self, lock_id: int) -> Lock:
        """One that holds. Raises NoSuchLock."""
        return await self._store.get(lock_id, self._now_ms())

    async def page(self, wanted: LockFilter, *, after: int = 0, limit: int) -> list[Lock]:
        """Those that hold: the first by id with an id above `after`."""
        return await self._store.page(wanted, self._now_ms(), after=after, limit=limit)

    async def waiting_for_each(self, found: Sequence[Lock]) -> dict[int, list[int]]:
        """The users who stand in line for each, by its id."""
        return await self._store.waiting_for_each(found)

    async def audit(
        self, workspace_id: int, path: str | None, *, before: int | None, limit: int
    ) -> list[AuditEntry]:
        """What others did to locks, newest first, with an id below `before`; on the path, above it and below it."""
        return await self._store.audit(workspace_id, path, before=before, limit=limit)

    async def stop_waiting(self, workspace_id: int, path: str, user_id: int) -> None:
        """Stand in line for this path no more."""
        await self._store.stop_waiting(workspace_id, path, user_id)

    async def acquire(
        self,
        workspace_id: int,
        path: str,
        user_id: int,
        kind: LockKind,
        *,
        ttl_seconds: float | None = None,
        wait: bool = False,
    ) -> Lock:
        """`wait`: be notified when what is in the way is gone. Raises BadDuration, LockTaken, TooMany."""
        ttl_ms = self._policy.ttl_ms(kind, ttl_seconds)
        async with self._changing() as now_ms:
            expires_at_ms = None if ttl_ms is None else now_ms + ttl_ms
            node_id = self._node_of(kind)
            wanted = WantedLock(workspace_id, path, kind, user_id, ttl_ms, expires_at_ms, node_id)
            changes = await self._store.acquire(wanted, now_ms, wait=wait)
            self._book.apply(changes)
        return changes[-1].lock

    async def renew(self, lock: Lock, user_id: int, ttl_seconds: float | None = None) -> Lock:
        """Have it last as if acquired now. Raises BadDuration, NoSuchLock, NotHolder."""
        kind = LockKind(lock.kind)
        ttl_ms = self._policy.ttl_ms(kind, ttl_seconds)
        async with self._changing() as now_ms:
            node_id = self._node_of(kind)
            return self._apply(await self._store.renew(lock.id, user_id, ttl_ms, now_ms, node_id=node_id))

    async def release(self, lock: Lock, user_id: int) -> Lock:
        """Raises NoSuchLock, NotHolder."""
        async with self._changing() as now_ms:
            return self._apply(await self._store.release(lock.id, user_id, now_ms))

    async def transfer(self, lock: Lock, to_user_id: int, actor_id: int, *, is_admin: bool) -> Lock:
        """Raises NoSuchLock, NoSuchUser, NotHolder, LockTaken, TooMany."""
        async with self._changing() as now_ms:
            changes = await self._store.transfer(lock.id, to_user_id, actor_id, now_ms, is_admin=is_admin)
            self._book.apply(changes)
        return changes[-1].lock

    async def force(self, lock: Lock, actor_id: int, reason: str) -> Lock:
        """Raises NoSuchLock."""
        async with self._changing() as now_ms:
            return self._apply(await self._store.force(lock.id, actor_id, reason, now_ms))

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[int]:
        """One at a time; at which moment."""
        async with self._turn:
            try:
                yield self._now_ms()
            except TooManyLocks as error:
                raise TooMany("max_locks_per_user", str(error)) from error

    def _apply(self, change: LockChange) -> Lock:
        self._book.apply([change])
        return change.lock

    def _node_of(self, kind: LockKind) -> str | None:
        return self._node_id if kind is LockKind.SESSION else None
