"""Changes of locks as JSON clients hear of them: in the workspace, and in the files that a lock is on."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from crdt_store.lock_rows import Lock, LockChange, LockEvent
from server.locks.rules import LockKind
from server.news.hub import Hub, News


class LockNews:
    """Listens to a `LockBook`. `rooms_at`: (workspace, path) -> the rooms of open files there, and below.

    `wake`: somebody may be to be notified.
    """

    def __init__(
        self,
        hub: Hub,
        rooms_at: Callable[[int, str], Iterable[str]],
        wake: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._hub = hub
        self._rooms_at = rooms_at
        self._wake = wake
        self._now_ms = now_ms

    def changed(self, change: LockChange) -> None:
        """Tell who is there, and see that who waits is notified."""
        event, lock, actor_id, _ = change
        if event is LockEvent.RENEWED and lock.kind == LockKind.SESSION:
            return  # that it goes on is no news
        news = News("lock_changed", told(lock, str(event), ends=event.ends), actor_id, self._now_ms())
        self._hub.publish(f"workspace:{lock.workspace_id}", news)
        for room in tuple(self._rooms_at(lock.workspace_id, lock.path)):
            self._hub.publish(room, news)
        self._wake()


def told(lock: Lock, change: str, *, ends: bool = False) -> Mapping[str, Any]:
    """The payload of a `lock_changed` event."""
    expires_at_ms = None if ends or lock.kind == LockKind.SESSION else lock.expires_at_ms
    return {
        "change": change,
        "lock_id": lock.id,
        "path": lock.path,
        "kind": lock.kind,
        "fence": lock.fence,
        "holder_id": None if ends else lock.holder_id,
        "expires_at": None if expires_at_ms is None else iso(expires_at_ms),
    }


def iso(at_ms: int) -> str:
    """ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
