"""Locks of paths, for all servers of a database: never two holders of one path at once.

Whether a lock holds is told by its row and `now_ms` alone: one that has expired is in nobody's way, though it is
there until somebody clears it away. No method knows a clock.
"""

from collections.abc import Sequence
from functools import partial

from crdt_store import lock_changes as changing
from crdt_store import lock_time as passing
from crdt_store.database import Database
from crdt_store.lock_audit import AuditEntry, read_audit
from crdt_store.lock_queries import LockFilter, read_locks, stop_waiting, waiting_for_each
from crdt_store.lock_rows import Beat, Lock, LockChange, LockTaken, NoSuchLock, WantedLock


class Locks:
    """Those of a database. All raise LogUnavailable; ids may be any that a client sent."""

    def __init__(self, database: Database, *, max_per_user: int) -> None:
        """`max_per_user`: locks that a user may hold and wait for."""
        self._database = database
        self._max_per_user = max_per_user

    async def acquire(self, wanted: WantedLock, now_ms: int, *, wait: bool) -> list[LockChange]:
        """What has changed: the last is the acquisition. `wait`: stand in line where it is taken.

        Locks that the user holds above or below are in nobody's way. Raises LockTaken, TooManyLocks.
        """
        acquire = partial(
            changing.acquire, wanted=wanted, now_ms=now_ms, wait=wait, max_per_user=self._max_per_user
        )
        found = await self._database.write(acquire)
        if isinstance(found, LockTaken):
            raise found
        return found

    async def renew(
        self, lock_id: int, holder_id: int, ttl_ms: int | None, now_ms: int, *, node_id: str | None = None
    ) -> LockChange:
        """Have it end `ttl_ms` from now; None: not by itself. Raises NoSuchLock, NotHolder."""
        return await self._database.write(
            partial(
                changing.renew,
                lock_id=lock_id,
                holder_id=holder_id,
                ttl_ms=ttl_ms,
                now_ms=now_ms,
                node_id=node_id,
            )
        )

    async def release(self, lock_id: int, holder_id: int, now_ms: int) -> LockChange:
        """End one's own. Raises NoSuchLock, NotHolder."""
        return await self._database.write(
            partial(changing.release, lock_id=lock_id, holder_id=holder_id, now_ms=now_ms)
        )

    async def transfer(
        self, lock_id: int, to_user_id: int, actor_id: int, now_ms: int, *, is_admin: bool
    ) -> list[LockChange]:
        """Make it somebody else's, under a new fencing number; it lasts as if acquired now. The last is the transfer.

        Raises NoSuchLock, NoSuchUser, TooManyLocks; NotHolder, unless `is_admin`; LockTaken where that would leave
        two holders.
        """
        return await self._database.write(
            partial(
                changing.transfer,
                lock_id=lock_id,
                to_user_id=to_user_id,
                actor_id=actor_id,
                now_ms=now_ms,
                is_admin=is_admin,
                max_per_user=self._max_per_user,
            )
        )

    async def force(self, lock_id: int, actor_id: int, reason: str, now_ms: int) -> LockChange:
        """End it, whosever it is; who did so, and why, is kept. Raises NoSuchLock."""
        return await self._database.write(
            partial(changing.force, lock_id=lock_id, actor_id=actor_id, reason=reason, now_ms=now_ms)
        )

    async def end_expired(self, now_ms: int) -> list[LockChange]:
        """Clear those away that hold no more, and tell who waits."""
        return await self._database.write(partial(passing.end_expired, now_ms=now_ms))

    async def beat(self, beats: Sequence[Beat], now_ms: int) -> list[LockChange]:
        """Renew or shorten locks of sessions; of what holds no more, nothing."""
        return await self._database.write(partial(passing.beat, beats=beats, now_ms=now_ms))

    async def resume(self, node_id: str, expires_at_ms: int) -> None:
        """This server has started: the locks of its sessions end then, and not before."""
        await self._database.write(partial(passing.resume, node_id=node_id, expires_at_ms=expires_at_ms))

    async def get(self, lock_id: int, now_ms: int) -> Lock:
        """One that holds. Raises NoSuchLock."""
        found = await self.page(LockFilter(lock_id=lock_id), now_ms, limit=1)
        if not found:
            raise NoSuchLock(f"there is no lock {lock_id}")
        return found[0]

    async def page(self, wanted: LockFilter, now_ms: int, *, after: int = 0, limit: int) -> list[Lock]:
        """Those that hold: the first by id with an id above `after`."""
        page = partial(read_locks, wanted=wanted, after=after, limit=limit, live_at_ms=now_ms)
        return await self._database.read(page)

    async def waiting_for_each(self, found: Sequence[Lock]) -> dict[int, list[int]]:
        """The users who wait for each to end, by its id; who came first comes first."""
        return await self._database.read(partial(waiting_for_each, found=found))

    async def stop_waiting(self, workspace_id: int, path: str, user_id: int) -> None:
        """The user waits for this path no more, if they did."""
        await self._database.write(
            partial(stop_waiting, workspace_id=workspace_id, path=path, user_id=user_id)
        )

    async def audit(
        self, workspace_id: int, path: str | None, *, before: int | None, limit: int
    ) -> list[AuditEntry]:
        """As `read_audit`."""
        return await self._database.read(
            partial(read_audit, workspace_id=workspace_id, path=path, before=before, limit=limit)
        )

    async def all(self) -> list[Lock]:
        """All that there are, expired or not."""
        return await self._database.read(partial(read_locks, wanted=LockFilter()))
