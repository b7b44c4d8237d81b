"""A time in which a room takes nothing in: its document is being built anew, or worked on in another thread."""

from collections.abc import Callable, Iterable

from server.rooms.member import Member


class Standstill:
    """Members are paused meanwhile; what cannot wait for them to be resumed is done first, in its order."""

    def __init__(self, members: Callable[[], Iterable[Member]]) -> None:
        self._members = members
        self._afterwards: list[Callable[[], None]] = []
        self.is_on = False

    def begin(self) -> None:
        """Pause everybody."""
        assert not self.is_on
        self.is_on = True
        for member in self._members():
            member.pause()

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do this when it is over; at once, if it is."""
        if self.is_on:
            self._afterwards.append(action)
        else:
            action()

    def end(self, first: Callable[[], None]) -> None:
        """Do this and what waited, until that makes the room stand still again; else resume everybody."""
        self.is_on = False
        self._afterwards.insert(0, first)
        while self._afterwards and not self.is_on:
            self._afterwards.pop(0)()
        for member in self._members():
            if self.is_on:  # what a member had said meanwhile made the room stand still again
                break
            member.resume()
