"""How often one may come: connections begun, rooms entered, requests, and tokens that were no good."""

from collections.abc import Callable

from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter

from server.limits.too_many import TooMany
from server.limits.windows import BoundedMemory
from server.settings import Settings


class PerMinute:
    """At most so many of something in a minute, for each key; the minute begins with the first."""

    def __init__(self, limit_name: str, limit: int, what: str, now_seconds: Callable[[], float]) -> None:
        self._limit_name = limit_name
        self._text = f"more than {limit} {what} in a minute"
        self._now_seconds = now_seconds
        self._item = RateLimitItemPerMinute(limit)
        self._limiter = FixedWindowRateLimiter(BoundedMemory(now_seconds))

    def count(self, key: str) -> None:
        """Count one. Raises TooMany where the minute has no more."""
        if not self.note(key):
            raise self.refusal(key)

    def note(self, key: str) -> bool:
        """Count one; whether it is within the limit."""
        return self._limiter.hit(self._item, key)

    def refusal(self, key: str) -> TooMany:
        """What whoever is over the limit is told."""
        ends_at_seconds = self._limiter.get_window_stats(self._item, key).reset_time
        return TooMany(self._limit_name, self._text, ends_at_seconds - self._now_seconds())


class Gate:
    """The limits of Settings that count by the minute. Methods that begin with `check` raise TooMany.

    An address is what `address_of` says; `now_seconds` is a clock that nobody sets back.
    """

    def __init__(self, settings: Settings, now_seconds: Callable[[], float]) -> None:
        def limit(name: str, what: str) -> PerMinute:
            return PerMinute(name, getattr(settings, name), what, now_seconds)

        self._handshakes = limit("max_handshakes_per_minute_per_address", "connections from one address")
        self._joins = limit("max_joins_per_minute_per_user", "rooms entered by one user")
        self._address_requests = limit("max_requests_per_minute_per_address", "requests from one address")
        self._user_requests = limit("max_requests_per_minute_per_user", "requests of one user")
        self._messages = limit("max_chat_messages_per_minute_per_user", "chat messages of one user")
        self._failures = limit("max_failures_per_minute_per_address", "refused tokens from one address")

    def check_handshake(self, address: str) -> None:
        """A connection begins."""
        self._handshakes.count(address)

    def check_join(self, user_id: int) -> None:
        """A user enters a room."""
        self._joins.count(str(user_id))

    def check_request(self, address: str) -> None:
        """A request has come; nobody has looked at its token."""
        self._address_requests.count(address)

    def check_message(self, user_id: int) -> None:
        """A user writes in a chat."""
        self._messages.count(str(user_id))

    def check_user(self, user_id: int) -> None:
        """The request was this user's."""
        self._user_requests.count(str(user_id))

    def note_refused(self, address: str) -> bool:
        """A token or a ticket was no good; whether the address has had too many of them.

        Others are looked at all the same: whoever has a good one must not be shut out by a neighbour's guesses.
        """
        return not self._failures.note(address)

    def refused_too_often(self, address: str) -> TooMany:
        """What an address is told of which `note_refused` said so."""
        return self._failures.refusal(address)
