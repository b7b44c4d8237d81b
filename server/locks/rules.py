"""How long locks of each kind last, and when those of sessions are renewed. PURE."""

from collections.abc import Container, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from crdt_store.lock_rows import Beat, Lock

_RENEW_SHARE = 3
"""A session's lock is renewed once such a part of its time has passed."""


_MAX_CLOCK_DIFFERENCE_MS = 60_000
"""Between servers of one database; a clock that is set back by less lets locks last so much longer."""


class LockKind(StrEnum):
    """`SESSION`: for as long as its holder has a connection. `LEASE`: until its time is over, unless it is renewed.

    `STANDING`: until it is released, or as many days as the server gives.
    """

    SESSION = "session"
    LEASE = "lease"
    STANDING = "standing"


class BadDuration(ValueError):
    """A time that no lock of the kind may last."""


class LockPolicy(NamedTuple):
    """`grace_ms`: for how long a session's lock survives its holder's last connection. None: for ever."""

    session_ttl_ms: int
    grace_ms: int
    lease_ttl_ms: int
    max_lease_ttl_ms: int
    standing_ttl_ms: int | None

    def ttl_ms(self, kind: LockKind, asked_seconds: float | None = None) -> int | None:
        """How long a lock that is acquired or renewed now lasts; None: it does not end. Raises BadDuration."""
        if asked_seconds is not None and kind is not LockKind.LEASE:
            raise BadDuration(f"ttl_seconds is for leases: a {kind} lock lasts as long as the server says")
        match kind:
            case LockKind.SESSION:
                return self.session_ttl_ms
            case LockKind.STANDING:
                return self.standing_ttl_ms
            case LockKind.LEASE if asked_seconds is None:
                return self.lease_ttl_ms
        if not 0.001 <= asked_seconds <= self.max_lease_ttl_ms / 1000:
            most = self.max_lease_ttl_ms // 1000
            raise BadDuration(f"ttl_seconds: a lease lasts up to {most} seconds (max_lease_seconds)")
        return int(asked_seconds * 1000)

    def beats(
        self, locks: Iterable[Lock], connected: Container[int], node_id: str, now_ms: int
    ) -> Iterator[Beat]:
        """Those of sessions whose end is another one by now, and any that would last longer than they may.

        The clock may have been set back. Locks of users who are `connected` to this server are renewed in time, and
        taken over from a server that does so no more. Of its own, those of users who have left end with the grace, if
        not before.
        """
        for lock in locks:
            if lock.expires_at_ms is None or not lock.is_live(now_ms):
                continue
            left_ms = lock.expires_at_ms - now_ms
            if lock.ttl_ms is not None and left_ms > lock.ttl_ms + _MAX_CLOCK_DIFFERENCE_MS:
                yield Beat(lock, now_ms + lock.ttl_ms, lock.node_id)
                continue
            if lock.kind != LockKind.SESSION:
                continue
            is_own = lock.node_id == node_id
            if lock.holder_id in connected:
                due_ms = self.session_ttl_ms * (_RENEW_SHARE - (1 if is_own else 2)) // _RENEW_SHARE
                if left_ms <= due_ms:
                    yield Beat(lock, now_ms + self.session_ttl_ms, node_id)
            elif is_own and left_ms > self.grace_ms:
                yield Beat(lock, now_ms + self.grace_ms, node_id)
