"""The members of a room, and what each of them has been sent.

A member whose connection cannot keep up misses messages. What it missed is remembered as clocks, so that one diff
makes up for all of it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from server.protocol.websocket_frames import Frame
from server.rooms.member import Member


@dataclass(slots=True)
class _Standing:
    """`known_state`: client id -> next clock that the member surely has, set once it has missed something."""

    known_state: dict[int, int] | None = None
    shown_ids: set[int] = field(default_factory=set)


class Roster:
    """`state` gives the document's clocks: client id -> next clock."""

    def __init__(self, state: Callable[[], Mapping[int, int]]) -> None:
        self._standings: dict[Member, _Standing] = {}
        self._state = state

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._standings))

    def __len__(self) -> int:
        return len(self._standings)

    def add(self, member: Member) -> None:
        """A member that has been sent nothing yet."""
        self._standings[member] = _Standing()

    def remove(self, member: Member) -> bool:
        """Forget it; False if it was not there."""
        return self._standings.pop(member, None) is not None

    def send(self, member: Member, message: bytes, starts: Mapping[int, int]) -> None:
        """Send to one member. `starts`: client id -> first clock of what the message brings of it."""
        standing = self._standings.get(member)
        if standing is not None and not member.deliver(Frame(message)):
            self._missed(standing, starts)

    def send_others(self, author: Member, message: bytes, starts: Mapping[int, int]) -> list[Member]:
        """Send to everybody but the author, and but those who would take it for word that their own is saved.

        These, who have shown one of the client ids in `starts` as their own, are returned.
        """
        frame = Frame(message)
        concerned = []
        for member, standing in self._standings.items():
            if member is author:
                continue
            if not standing.shown_ids.isdisjoint(starts):
                concerned.append(member)
            elif not member.deliver(frame):
                self._missed(standing, starts)
        return concerned

    def _missed(self, standing: _Standing, starts: Mapping[int, int]) -> None:
        if standing.known_state is None:
            standing.known_state = dict(self._state())
        known = standing.known_state
        for client, clock in starts.items():
            known[client] = min(clock, known.get(client, clock))

    def take_missed(self, member: Member) -> dict[int, int] | None:
        """The clocks from which the member must be brought up to date, or None if it missed nothing."""
        standing = self._standings.get(member)
        if standing is None:
            return None
        known, standing.known_state = standing.known_state, None
        return known

    def is_first_showing(self, member: Member, client_id: int) -> bool:
        """Whether the member had not shown this client id as its own before; true once for each."""
        standing = self._standings.get(member)
        if standing is None or client_id in standing.shown_ids:
            return False
        standing.shown_ids.add(client_id)
        return True
