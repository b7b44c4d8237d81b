"""Whose a client id is: it is bound to the first user that edits under it; until then, to who is present under it."""

from collections.abc import Iterable

from server.rooms.member import Member
from server.rooms.presence import Presence


class ClientIds:
    """`authors`: client id -> the user it is bound to. `relayable`: ids whose edits others may bring (see gate)."""

    def __init__(self, presence: Presence, authors: dict[int, int], relayable: set[int]) -> None:
        self._presence = presence
        self._authors = authors
        self.relayable = relayable

    def loaded_again(self, authors: dict[int, int], relayable: set[int]) -> None:
        """The document was loaded once more: what is bound in the log goes before what was bound here."""
        self._authors = authors | self._authors
        self.relayable = relayable

    def owner_of(self, client_id: int) -> int | None:
        """The user whose edits bound it, or who is present under it."""
        return self._authors.get(client_id) or self._presence.user_of(client_id)

    def may_use(self, member: Member, client_id: int) -> bool:
        """Whether it is not bound to another user."""
        return self._authors.get(client_id, member.user_id) == member.user_id

    def own(self, member: Member, client_ids: Iterable[int], *, is_reply: bool) -> tuple[int, ...]:
        """Those that the member uses itself; a reply may bring what it heard from another tab or peer."""
        return tuple(
            client_id
            for client_id in client_ids
            if self.may_use(member, client_id)
            and (not is_reply or client_id in self._authors or self._presence.own_id(member) == client_id)
        )

    def bind(self, member: Member, client_ids: Iterable[int]) -> None:
        """They are the member's user's from now on."""
        for client_id in client_ids:
            self._authors.setdefault(client_id, member.user_id)
            self.relayable.discard(client_id)
