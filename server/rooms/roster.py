"""The members of a room, and what each of them has been sent.

A member whose connection cannot keep up misses messages. What it missed is remembered as clocks, so that one diff
makes up for all of it.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from server.protocol.websocket_frames import Frame
from server.rooms.member import Member


class Roster:
    """`state` gives the document's clocks: client id -> next clock."""

    def __init__(self, state: Callable[[], Mapping[int, int]]) -> None:
        self._known_states: dict[Member, dict[int, int] | None] = {}
        """Client id -> next clock that the member surely has, once it has missed something."""
        self._shown_ids: dict[Member, set[int]] = {}
        self._showing: dict[int, set[Member]] = {}
        self._state = state

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._known_states))

    def __contains__(self, member: object) -> bool:
        return member in self._known_states

    def __len__(self) -> int:
        return len(self._known_states)

    def add(self, member: Member) -> None:
        """A member that has been sent nothing yet."""
        self._known_states[member] = None

    def remove(self, member: Member) -> bool:
        """Forget it; False if it was not there."""
        if member not in self._known_states:
            return False
        del self._known_states[member]
        for client_id in self._shown_ids.pop(member, ()):
            self._showing[client_id].discard(member)
            if not self._showing[client_id]:
                del self._showing[client_id]
        return True

    def send(self, member: Member, message: bytes, starts: Mapping[int, int]) -> None:
        """Send to one member. `starts`: client id -> first clock of what the message brings of it."""
        self.send_to((member,), Frame(message), starts)

    def send_to(self, members: Iterable[Member], frame: Frame, starts: Mapping[int, int]) -> None:
        """Send to those of them who are still here."""
        for member in members:
            if member in self._known_states and not member.deliver(frame):
                self._missed(member, starts)

    def send_to_all(self, frame: Frame, starts: Mapping[int, int], *, but: Container[Member]) -> None:
        """Send to everybody else."""
        for member in self._known_states:
            if member not in but and not member.deliver(frame):
                self._missed(member, starts)

    def _missed(self, member: Member, starts: Mapping[int, int]) -> None:
        known = self._known_states[member]
        if known is None:
            known = self._known_states[member] = dict(self._state())
        for client, clock in starts.items():
            known[client] = min(clock, known.get(client, clock))

    def take_missed(self, member: Member) -> dict[int, int] | None:
        """The clocks from which the member must be brought up to date, or None if it missed nothing."""
        known = self._known_states.get(member)
        if known is not None:
            self._known_states[member] = None
        return known

    def showing(self, client_ids: Iterable[int]) -> set[Member]:
        """Who has shown one of these client ids as its own: it takes structs of it for word that they are saved."""
        return {member for client_id in client_ids for member in self._showing.get(client_id, ())}

    def is_first_showing(self, member: Member, client_id: int) -> bool:
        """Whether the member had not shown this client id as its own before; true once for each."""
        if member not in self._known_states or member in self._showing.get(client_id, ()):
            return False
        self._showing.setdefault(client_id, set()).add(member)
        self._shown_ids.setdefault(member, set()).add(client_id)
        return True
