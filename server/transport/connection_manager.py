"""The Connection Manager: every open connection, kept alive while its client is, and ended when it is not."""

import asyncio
import math
from collections.abc import Callable, Container
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import KEEPALIVE
from server.transport.watched import Guest, Line, Watched

SWEEP_SECONDS = 2.0
"""y-sweet's client gives up after 3 s of silence while it waits for a status."""

STALE_SWEEPS = 5
"""A client of an earlier epoch that owes us its copy may be silent for so many; then it is sent away."""

_TOO_MANY = (
    "too many messages for too long"
    " (max_messages_per_second_per_connection, max_messages_per_second_per_user)"
)
_KEEPALIVE_FRAME = Frame(KEEPALIVE)


class Presence(Protocol):
    """Who keeps in mind who is online."""

    def connected(self, connection: object, user_id: int) -> None:
        """A connection of the user is open."""

    def disconnected(self, connection: object) -> None:
        """It is closed."""

    def at_once(self) -> AbstractContextManager[None]:
        """Connections that are closed in the block were so long silent that nobody waits for their return."""


class ConnectionManager:
    """Counts sweeps, not time, so that a stall of this process is not taken for one of the clients'."""

    def __init__(
        self,
        *,
        keepalive_seconds: float,
        silence_close_seconds: float,
        lagging_close_seconds: float,
        throttled_close_seconds: float,
        leeway_seconds: float,
        now_seconds: Callable[[], float],
        presence: Presence | None = None,
    ) -> None:
        """`leeway_seconds`: for how long after its `exp` a token still counts, by the clock `now_seconds`.

        `presence` hears of every connection that is added and removed.
        """
        self._presence = presence
        self._lines: set[Line] = set()
        self._guests: set[Guest] = set()
        self._quiet_sweeps = max(1, math.floor(keepalive_seconds / SWEEP_SECONDS) - 1)
        self._silent_sweeps = math.ceil(silence_close_seconds / SWEEP_SECONDS)
        self._lagging_sweeps = math.ceil(lagging_close_seconds / SWEEP_SECONDS)
        self._throttled_sweeps = math.ceil(throttled_close_seconds / SWEEP_SECONDS)
        self._leeway_seconds = leeway_seconds
        self._now_seconds = now_seconds

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, connection: Watched) -> None:
        """Watch over it until it is removed."""
        self.add_line(connection)
        self.add_guest(connection)

    def remove(self, connection: Watched) -> None:
        """It has closed."""
        self.remove_line(connection)
        self.remove_guest(connection)

    def add_line(self, line: Line) -> None:
        """A socket, whoever is behind it."""
        self._lines.add(line)

    def remove_line(self, line: Line) -> None:
        """It has closed."""
        self._lines.discard(line)

    def add_guest(self, guest: Guest) -> None:
        """Somebody has come, maybe not alone on a socket."""
        self._guests.add(guest)
        if self._presence is not None:
            self._presence.connected(guest, guest.user_id)
        self._watch_expiry(guest, self._now_seconds())

    def remove_guest(self, guest: Guest) -> None:
        """Somebody has left."""
        if self._presence is not None and guest in self._guests:
            self._presence.disconnected(guest)
        self._guests.discard(guest)

    def of_users(self, user_ids: Container[int] | None) -> list[Guest]:
        """Who is here of these users; None: everybody."""
        return [each for each in self._guests if user_ids is None or each.user_id in user_ids]

    async def run(self) -> None:
        """Sweep for as long as the server runs."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Look at every connection once."""
        now = self._now_seconds()
        for guest in tuple(self._guests):
            self._watch_expiry(guest, now)
        for line in tuple(self._lines):
            self._sweep(line)

    def _watch_expiry(self, connection: Guest, now: float) -> None:
        """Be there in time, if its token ends before the next sweep."""
        left_seconds = self._left_seconds(connection, now)
        if left_seconds < 2 * SWEEP_SECONDS:
            asyncio.get_running_loop().call_later(max(0.0, left_seconds), self._end_if_expired, connection)

    def _end_if_expired(self, connection: Guest) -> None:
        if self._left_seconds(connection, self._now_seconds()) <= 0:
            connection.close(CloseCode.TOKEN_EXPIRED, "the token has expired: come back with a fresh one")

    def _left_seconds(self, connection: Guest, now: float) -> float:
        return connection.identity.principal.expires_at_seconds + self._leeway_seconds - now

    def _sweep(self, connection: Line) -> None:
        if connection.is_lagging:
            connection.lagging_sweeps += 1
            if connection.lagging_sweeps >= self._lagging_sweeps:
                connection.close(CloseCode.TRY_AGAIN_LATER, "too slow to read what it was sent")
            return
        self._judge_throttle(connection)
        connection.quiet_sweeps += 1
        if connection.quiet_sweeps >= self._quiet_sweeps or connection.awaits_status:
            connection.deliver(_KEEPALIVE_FRAME)
        if connection.is_paused:
            return
        connection.silent_sweeps += 1
        if connection.silent_sweeps == STALE_SWEEPS:
            connection.end_if_stale()
        if connection.silent_sweeps >= self._silent_sweeps:
            self._give_up(connection)
        elif connection.silent_sweeps >= self._silent_sweeps // 2:
            connection.ping()

    def _give_up(self, connection: Line) -> None:
        """Its client is gone, and has been for so long that nobody expects it back in a moment."""
        with nullcontext() if self._presence is None else self._presence.at_once():
            connection.abort()

    def _judge_throttle(self, connection: Line) -> None:
        """Who had to be slowed down all the time is told, then closed."""
        connection.throttled_sweeps = connection.throttled_sweeps + 1 if connection.was_throttled else 0
        connection.was_throttled = connection.is_throttled
        if connection.throttled_sweeps >= self._throttled_sweeps:
            connection.close(CloseCode.TRY_AGAIN_LATER, _TOO_MANY)
        elif connection.throttled_sweeps == max(1, self._throttled_sweeps // 2):
            connection.warn(_TOO_MANY)
