"""Who has come to a document that has had an earlier epoch, and has not shown yet that its replica is of this one.

Nothing of the document is for a stranger. One that turns out to be of an earlier epoch stays here until it has
answered with all that it has, which is then kept aside as a whole.
"""

from dataclasses import dataclass, field

from server.protocol.merge_updates import merge_updates
from server.rooms.member import Member


@dataclass(slots=True)
class _Stranger:
    """`awareness`: what it last said of itself. `edits`: what it wrote before it has answered, if it is stale."""

    awareness: bytes = b""
    is_stale: bool = False
    is_leaving: bool = False
    edits: list[bytes] = field(default_factory=list)
    edits_bytes: int = 0


class Threshold:
    """The strangers of one room; of each one's edits no more than `max_edits_bytes` are held."""

    def __init__(self, max_edits_bytes: int) -> None:
        self._strangers: dict[Member, _Stranger] = {}
        self._max_edits_bytes = max_edits_bytes

    def __contains__(self, member: object) -> bool:
        return member in self._strangers

    def __len__(self) -> int:
        return len(self._strangers)

    def members(self) -> tuple[Member, ...]:
        """All of them."""
        return tuple(self._strangers)

    def add(self, member: Member) -> None:
        """Somebody of whom nothing is known yet."""
        self._strangers[member] = _Stranger()

    def remove(self, member: Member) -> bool:
        """Forget it; False if it was not here."""
        return self._strangers.pop(member, None) is not None

    def admit(self, member: Member) -> bytes:
        """It belongs to this epoch and stands here no more; what it has said of itself meanwhile, if anything."""
        return self._strangers.pop(member).awareness

    def show(self, member: Member, awareness: bytes) -> None:
        """Keep what it says of itself for when it is admitted."""
        self._strangers[member].awareness = awareness

    def is_stale(self, member: Member) -> bool:
        """Whether it has shown something of an earlier epoch."""
        stranger = self._strangers.get(member)
        return stranger is not None and stranger.is_stale

    def mark_stale(self, member: Member) -> None:
        """It has something of an earlier epoch."""
        self._strangers.setdefault(member, _Stranger()).is_stale = True

    def hold(self, member: Member, edit: bytes) -> None:
        """Keep an edit of a stale member, in case its answer, which has all, never comes."""
        stranger = self._strangers[member]
        if stranger.edits_bytes + len(edit) <= self._max_edits_bytes:
            stranger.edits.append(edit)
            stranger.edits_bytes += len(edit)

    def take_leave(self, member: Member, answer: bytes | None) -> bytes | None:
        """What is to be kept aside of a stale member before it is sent away: its answer, or else its edits.

        None: nothing, or it is on its way out already.
        """
        stranger = self._strangers[member]
        if stranger.is_leaving:
            return None
        stranger.is_leaving = True
        edits, stranger.edits = stranger.edits, []
        if answer is None and edits:
            answer = merge_updates(edits)
        return answer

    def is_leaving(self, member: Member) -> bool:
        """Whether nothing that it says counts any more."""
        stranger = self._strangers.get(member)
        return stranger is not None and stranger.is_leaving
