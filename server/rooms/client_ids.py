"""Whose a client id is: it is bound to the first user that edits under it.

Until then it belongs to who is present under it and may write, or else to who has brought structs of it.
"""

from collections.abc import Iterable, Mapping

from server.rooms.member import Member
from server.rooms.presence import Presence


class ClientIds:
    """`authors`: client id -> the user it is bound to. `relayable`: ids whose edits others may bring (see gate)."""

    def __init__(
        self, presence: Presence, authors: dict[int, int], relayable: set[int], *, is_recovering: bool = False
    ) -> None:
        """`is_recovering`: members may bring edits of others that were lost here."""
        self._presence = presence
        self._authors = authors
        self._is_recovering = is_recovering
        self._bringers: dict[int, int] = {}  # client id -> the user that brought structs of it in a reply
        self.relayable = relayable

    @property
    def authors(self) -> Mapping[int, int]:
        """Client id -> the user it is bound to."""
        return self._authors

    def begin_epoch(self, authors: dict[int, int]) -> None:
        """The document is another one: what was bound before belongs to the one that it was."""
        self._authors = authors
        self._bringers.clear()
        self.relayable = set()

    def loaded_again(self, authors: dict[int, int], relayable: set[int]) -> None:
        """The document was loaded once more: what is bound in the log goes before what was bound here."""
        self._authors = authors | self._authors
        self.relayable = relayable

    def owner_of(self, client_id: int) -> int | None:
        """The user whose edits bound it, who is present under it, or who has brought structs of it."""
        return (
            self._authors.get(client_id)
            or self._presence.writer_of(client_id)
            or self._bringers.get(client_id)
        )

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
            self._bringers.pop(client_id, None)
            self.relayable.discard(client_id)

    def brought(self, member: Member, client_ids: Iterable[int]) -> None:
        """The member has brought structs of these in a reply: they are its user's until their owner shows itself."""
        if not self._is_recovering:
            for client_id in client_ids:
                if client_id not in self._authors:
                    self._bringers.setdefault(client_id, member.user_id)
