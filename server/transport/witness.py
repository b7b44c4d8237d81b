"""Who wants to know what clients have got of what they were sent: the chats do, other rooms do not."""

from typing import Protocol

from server.rooms.names import RoomName


class Client(Protocol):
    """A connection, as its witness sees it."""

    @property
    def user_id(self) -> int: ...

    @property
    def room_name(self) -> RoomName: ...

    @property
    def has_all(self) -> bool:
        """Whether it was sent all that its room has told, since its replica was brought up to date."""

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life; of a payload the witness hears again when it comes back."""


class Witness(Protocol):
    """Called on the event loop; nothing here may wait."""

    def caught_up(self, client: Client) -> None:
        """It was sent what its replica lacked, for the first time or again: it has all from now on."""

    def answered(self, client: Client, payload: bytes) -> None:
        """It has answered a ping, and so has got what was sent before; or pretends so, with any `payload`."""

    def showed(self, client: Client, entries: bytes, own_id: int | None) -> None:
        """It has sent these awareness entries, which the room has let pass; it speaks for `own_id`."""

    def left(self, client: Client) -> None:
        """It is gone, or has never come."""
