"""All locks of the database, in memory: who holds what is answered at once, and changes are told.

Other servers' changes are known a moment after they were made. That a lock has expired is known to the millisecond.
"""

import logging
from collections.abc import Callable, Iterable, Iterator

from crdt_store.lock_rows import Lock, LockChange, LockEvent, with_parents

Listener = Callable[[LockChange], None]
logger = logging.getLogger(__name__)


class LockBook:
    """`now_ms`: since 1970. Paths are normalised, as rooms' names have them."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._of_workspace: dict[int, dict[str, Lock]] = {}
        self._listeners: dict[object, Listener] = {}

    def __iter__(self) -> Iterator[Lock]:
        """All of them; those too that have expired and were not cleared away yet."""
        for of_path in tuple(self._of_workspace.values()):
            yield from tuple(of_path.values())

    def holder_of(self, workspace_id: int, path: str) -> Lock | None:
        """The nearest lock on the path, or on a folder above; all that there are have the same holder."""
        of_path = self._of_workspace.get(workspace_id)
        if not of_path:
            return None
        now_ms = self._now_ms()
        for each in with_parents(path):
            lock = of_path.get(each)
            if lock is not None and lock.is_live(now_ms):
                return lock
        return None

    def blocks(self, workspace_id: int, path: str, user_id: int | None) -> Lock | None:
        """What keeps this user from changing the path: somebody else's lock."""
        lock = self.holder_of(workspace_id, path)
        return None if lock is None or lock.holder_id == user_id else lock

    def overlapping(self, workspace_id: int, path: str) -> list[Lock]:
        """The locks on the path, above and below it: what a move or a removal of all of it has to mind."""
        now_ms = self._now_ms()
        of_path = self._of_workspace.get(workspace_id, {})
        return [lock for lock in tuple(of_path.values()) if lock.is_live(now_ms) and lock.overlaps(path)]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call it after each change, on the event loop. Returns what ends that; it may be called again."""
        subscription = object()
        self._listeners[subscription] = listener

        def end() -> None:
            self._listeners.pop(subscription, None)

        return end

    # For the service

    def apply(self, changes: Iterable[LockChange]) -> None:
        """They were committed, in this order; tell of them once all of them are known."""
        changes = tuple(changes)
        for change in changes:
            self._put(change)
        for change in changes:
            for listener in tuple(self._listeners.values()):
                try:
                    listener(change)
                except Exception:
                    logger.exception("a listener failed at a lock that was %s", change.event)

    def refresh(self, locks: Iterable[Lock]) -> None:
        """These are all that the database has now: whatever is new to this server, others have done."""
        found = {lock.id: lock for lock in locks}
        known = {lock.id: lock for lock in self}
        changes = [self._gone(lock) for lock in known.values() if lock.id not in found]
        for lock in found.values():
            before = known.get(lock.id)
            if before is None:
                changes.append(LockChange(LockEvent.ACQUIRED, lock, None))
            elif before.fence != lock.fence:
                changes.append(LockChange(LockEvent.TRANSFERRED, lock, None, before))
            elif before.path != lock.path:
                changes.append(LockChange(LockEvent.MOVED, lock, None, before))
            elif before != lock:
                changes.append(LockChange(LockEvent.RENEWED, lock, None))
        self.apply(changes)

    def _gone(self, lock: Lock) -> LockChange:
        is_over = not lock.is_live(self._now_ms())
        return LockChange(LockEvent.EXPIRED if is_over else LockEvent.RELEASED, lock, None)

    def _put(self, change: LockChange) -> None:
        lock = change.lock
        of_path = self._of_workspace.setdefault(lock.workspace_id, {})
        if change.event is LockEvent.MOVED and change.before is not None:
            left = of_path.get(change.before.path)
            if left is not None and left.id == lock.id:
                del of_path[left.path]
        if not change.event.ends:
            of_path[lock.path] = lock
        elif (known := of_path.get(lock.path)) is not None and known.id == lock.id:
            del of_path[lock.path]
        if not of_path:
            del self._of_workspace[lock.workspace_id]
