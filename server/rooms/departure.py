"""Letting go of what was gathered, all of it together."""

import asyncio
from collections.abc import Callable


class Departure:
    """Calls `leave` once for all that was gathered before it: at the end of the event loop's turn, or later."""

    __slots__ = ("_leave", "_timer")

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._timer: asyncio.Handle | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is settled when to leave."""
        return self._timer is not None

    def within(self, seconds: float) -> None:
        """Leave after so long; 0: at the end of this turn. Does nothing if that is settled already."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            if seconds > 0:
                self._timer = loop.call_later(seconds, self._go)
            else:
                self._timer = loop.call_soon(self._go)

    def hasten(self) -> None:
        """Leave at the end of this turn, whatever was settled."""
        self.cancel()
        self.within(0)

    def cancel(self) -> None:
        """Do not leave."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go(self) -> None:
        self._timer = None
        self._leave()
