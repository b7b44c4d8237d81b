"""All parts of locks, put together."""

from collections.abc import Callable, Iterable, Set

from crdt_store.engine import Database
from crdt_store.locks import Locks
from server.locks.book import LockBook
from server.locks.rules import LockPolicy
from server.locks.service import LockService
from server.locks.telling import LockNews
from server.news.hub import Hub
from server.settings import Settings


class LockParts:
    """`book` answers who holds what and tells of changes, `service` makes them. As for `LockService`, `LockNews`."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        settings: Settings,
        *,
        node_id: str,
        connected: Callable[[], Set[int]],
        wake: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self.rooms_at: Callable[[int, str], Iterable[str]] = lambda workspace_id, path: ()
        """As for `LockNews`; set once there are rooms."""
        self.book = LockBook(now_ms)
        self.service = LockService(
            Locks(database, max_per_user=settings.max_locks_per_user),
            self.book,
            _policy(settings),
            node_id=node_id,
            connected=connected,
            now_ms=now_ms,
        )
        news = LockNews(hub, lambda workspace_id, path: self.rooms_at(workspace_id, path), wake, now_ms)
        self.book.subscribe(news.changed)


def _policy(settings: Settings) -> LockPolicy:
    days = settings.lock_standing_days
    return LockPolicy(
        session_ttl_ms=_ms(settings.lock_session_seconds),
        grace_ms=_ms(settings.lock_grace_seconds),
        lease_ttl_ms=_ms(min(settings.lock_lease_seconds, settings.max_lease_seconds)),
        max_lease_ttl_ms=_ms(settings.max_lease_seconds),
        standing_ttl_ms=None if days is None else _ms(days * 86_400),
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
