"""Telling the members of a room about each other."""

from collections.abc import Callable

from server.protocol.awareness_codec import AwarenessEntry, read_entries, stamp_user, write_entries
from server.protocol.yjs_messages import awareness_message
from server.rooms.awareness import AwarenessTable
from server.rooms.member import Member
from server.rooms.roster import Roster


class Presence:
    """The awareness of a room, and who hears of it."""

    def __init__(self, members: Roster, now_seconds: Callable[[], float]) -> None:
        self._table = AwarenessTable()
        self._members = members
        self._now_seconds = now_seconds

    def receive(self, member: Member, data: bytes, *, may_own: Callable[[int], bool]) -> None:
        """Take in awareness entries and tell the others what is news. Raises MalformedAwareness.

        `may_own`: whether the member's user may use that client id.
        """
        news = self._table.receive(
            member,
            read_entries(data),
            may_own=may_own,
            stamp=lambda state: stamp_user(state, member.user_name),
        )
        self._tell_others(member, news)

    def own_id(self, member: Member) -> int | None:
        """The client id that the member speaks for, once it has named one."""
        return self._table.own_id(member)

    def user_of(self, client_id: int) -> int | None:
        """The user of the member that speaks for this client id now."""
        return self._table.user_of(client_id)

    def tell(self, member: Member) -> None:
        """Tell a member who is here."""
        states = self._table.states()
        if states:
            self._members.send(member, awareness_message(write_entries(states)), {})

    def leave(self, member: Member) -> None:
        """Tell the others that the member is gone."""
        self._tell_others(member, self._table.leave(member, now_seconds=self._now_seconds()))

    def _tell_others(self, author: Member, news: AwarenessEntry | None) -> None:
        if news is not None:
            self._members.send_others(author, awareness_message(write_entries([news])), {})
