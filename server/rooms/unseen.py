"""What members that come back had not seen when they wrote what they bring.

A client says on joining which clocks it has, and then answers with what it wrote while it was away: whatever else the
document has by then its author did not know. What comes after that answer is typed together with the others.
"""

from collections.abc import Callable, Mapping, Sequence

from crdt_store.effects import Effect
from server.protocol.varint import var_uint
from server.rooms.member import Member
from server.rooms.names import RoomName

Known = Mapping[int, int]
"""Client id -> next clock."""

Lacked = Mapping[int, int]
"""Client id -> the first clock of what is there that somebody did not have."""

OnReturn = Callable[[RoomName, int, int, bytes, Lacked], Sequence[Effect]]
"""(room, epoch, user id, update, what its author lacked) -> what is to be stored with the update."""

_MANY_OWN_IDS = 1000


class Unseen:
    """Of those who have not answered yet. `state`: the document's clocks."""

    def __init__(self, state: Callable[[], Known]) -> None:
        self._state = state
        self._known: dict[Member, Known | None] = {}  # None: it has not said yet what it has

    def came(self, member: Member) -> None:
        """It is asked for what it has."""
        if member.has_replica:
            self._known[member] = None

    def declared(self, member: Member, known: Known) -> None:
        """What it has, as it says the first time. One that has nothing of the document was not away: it is new."""
        if self._known.get(member, known) is not None:  # said before, or nobody waits for it
            return
        state = self._state()
        if known.keys().isdisjoint(state):
            del self._known[member]
        elif len(known) > len(state) + _MANY_OWN_IDS:  # what it claims to have may be made up
            self._known[member] = {client: known.get(client, 0) for client in state}
        else:
            self._known[member] = known

    def answered(self, member: Member) -> Known | None:
        """What it had, told once, at its first answer; None: nobody can say."""
        return self._known.pop(member, None)

    def lacked(self, known: Known) -> Lacked:
        """What somebody who had that lacks of what there is now. Takes time by the document's clients."""
        return {
            client: known.get(client, 0)
            for client, clock in self._state().items()
            if known.get(client, 0) < clock
        }

    def forget(self, member: Member) -> None:
        """It has left."""
        self._known.pop(member, None)


def write_lacked(lacked: Lacked) -> bytes:
    """As `check_state_vector` reads it; unlike where something is known, a clock of 0 is said too."""
    parts = (var_uint(client) + var_uint(clock) for client, clock in lacked.items())
    return var_uint(len(lacked)) + b"".join(parts)


def no_effects(name: RoomName, epoch: int, user_id: int, update: bytes, lacked: Lacked) -> Sequence[Effect]:
    """Where nobody asks."""
    return ()
