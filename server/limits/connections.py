"""What open connections may take: how many there are, and how much they send."""

from collections import Counter
from functools import lru_cache

from auth.limits import TokenBucket
from server.limits.too_many import TooMany
from server.settings import Settings

_BURST_SECONDS = 2
"""After a rest one may send at once what else takes so long."""

_MAX_REMEMBERED_USERS = 10_000
"""Leaving and coming back clears no debt, for so many users."""


class ConnectionCounts:
    """The connections of this node, by user and by address."""

    def __init__(self, settings: Settings) -> None:
        self._max_per_user = settings.max_connections_per_user
        self._max_per_address = settings.max_connections_per_address
        self._messages_per_second = settings.max_messages_per_second_per_connection
        self._of_user: Counter[int | str] = Counter()
        self._of_address: Counter[int | str] = Counter()

        def bucket_of(user_id: int) -> TokenBucket:
            return _bucket(settings.max_messages_per_second_per_user)

        self._bucket_of = lru_cache(_MAX_REMEMBERED_USERS)(bucket_of)

    def __len__(self) -> int:
        return self._of_user.total()

    def enter(self, user_id: int, address: str) -> "Admission":
        """One more. Raises TooMany."""
        if self._of_user[user_id] >= self._max_per_user:
            raise TooMany(
                "max_connections_per_user", f"{self._max_per_user} connections of one user are open"
            )
        if self._of_address[address] >= self._max_per_address:
            text = f"{self._max_per_address} connections from one address are open"
            raise TooMany("max_connections_per_address", text)
        self._of_user[user_id] += 1
        self._of_address[address] += 1
        return Admission(self, user_id, address, _bucket(self._messages_per_second), self._bucket_of(user_id))

    def leave(self, user_id: int, address: str) -> None:
        """One less; whoever has none takes no memory."""
        _subtract(self._of_user, user_id)
        _subtract(self._of_address, address)


class Admission:
    """What a connection holds while it is open."""

    __slots__ = ("_address", "_counts", "_has_left", "_own", "_user_id", "_users")

    def __init__(
        self, counts: ConnectionCounts, user_id: int, address: str, own: TokenBucket, users: TokenBucket
    ) -> None:
        self._counts = counts
        self._user_id = user_id
        self._address = address
        self._own = own
        self._users = users
        self._has_left = False

    def spend(self, messages: int, now_seconds: float) -> float:
        """Count so many messages; how long to read nothing more, 0.0 if they were within the limits."""
        own_seconds = self._own.spend(messages, now_seconds)
        user_seconds = self._users.spend(messages, now_seconds)
        return own_seconds if own_seconds > user_seconds else user_seconds

    def leave(self) -> None:
        """The connection is gone; idempotent."""
        if not self._has_left:
            self._has_left = True
            self._counts.leave(self._user_id, self._address)


def _bucket(messages_per_second: int) -> TokenBucket:
    return TokenBucket(messages_per_second, messages_per_second * _BURST_SECONDS)


def _subtract(counter: Counter[int | str], key: int | str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
