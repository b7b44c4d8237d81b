"""How fast a socket is read: in turns with the others, and more slowly where more comes than may."""

import asyncio
from typing import TYPE_CHECKING

from server.limits.connections import Admission

_MAX_TURN_BYTES = 64 * 1024
MESSAGE_COST_BYTES = 512
"""A client's share of one turn: so many bytes, a message counted as if it had these more; some milliseconds."""


class Pause:
    """Why nothing is taken from a client for now: bits, since enum flags cost 1 µs a look, at every delivery."""

    TURN = 1  # it has had its share of this turn of the event loop
    STANDSTILL = 2  # its room stands still
    DISK = 4  # more is waiting to be committed than may
    UNANSWERED = 8  # much that it asked for waits for the disk
    COSTLY = 16  # what it did took the room's time
    LAGGING = 32  # it has not read what it was sent: asking for more would not help
    IN_THREAD = 64  # something that it sent is looked at in another thread
    THROTTLED = 128  # it, or its user, sends more than may be sent
    RIGHTS = 256  # what it may do has changed, and is being looked up
    FULL = 512  # too much of what it has sent waits


class Paced:
    """A base of what listens to a socket, which pauses and releases."""

    __slots__ = ()

    _admission: Admission
    _pauses: int
    _turn: float
    _turn_bytes: int
    was_throttled: bool

    if TYPE_CHECKING:

        def _pause(self, reason: int) -> None: ...

        def _release(self, reason: int) -> None: ...

    def _count_turn(self, message: bytes) -> None:
        """Leave the rest to the next turns of the loop: a socket's whole buffer may be drained in one."""
        loop = asyncio.get_running_loop()
        now = loop.time()  # of uvloop: when this turn began
        if now != self._turn:
            self._turn, self._turn_bytes = now, 0  # type: ignore[misc]  # slots are the subclasses'
        self._turn_bytes += len(message) + MESSAGE_COST_BYTES  # type: ignore[misc]
        if self._turn_bytes > _MAX_TURN_BYTES and not self._pauses & Pause.TURN:
            self._pause(Pause.TURN)
            loop.call_soon(self._release, Pause.TURN)

    def _spend(self, messages: int, now: float) -> None:
        wait_seconds = self._admission.spend(messages, now)
        if wait_seconds and not self._pauses & Pause.THROTTLED:
            self._throttle(wait_seconds)

    def _throttle(self, wait_seconds: float) -> None:
        self.was_throttled = True  # type: ignore[misc]
        self._pause(Pause.THROTTLED)
        asyncio.get_running_loop().call_later(wait_seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        """What came before the socket stood still counted too."""
        wait_seconds = self._admission.spend(0, asyncio.get_running_loop().time())
        if wait_seconds:
            self._throttle(wait_seconds)
        else:
            self._release(Pause.THROTTLED)

    @property
    def is_paused(self) -> bool:
        """Whether silence says nothing about the client, since it is not read."""
        return bool(self._pauses)

    @property
    def is_throttled(self) -> bool:
        """Whether it is not read now because it sent too much."""
        return bool(self._pauses & Pause.THROTTLED)

    @property
    def is_lagging(self) -> bool:
        """Whether it has left too much unread."""
        return bool(self._pauses & Pause.LAGGING)
