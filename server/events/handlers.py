"""What features do with events of clients: one handler for each type."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from auth.grants import Role
from server.access.identity import Identity
from server.rooms.names import RoomName

Answer = Mapping[str, Any]
"""The payload of an `ack`."""


class Speaker(Protocol):
    """Who sends an event."""

    @property
    def identity(self) -> Identity: ...

    def role_in(self, room: RoomName) -> Role:
        """The role in a room that was joined; NONE in any other."""


Handler = Callable[[Speaker, RoomName, Any], Awaitable[Answer | Awaitable[Answer]]]
"""(speaker, the room that its payload names and that it has joined, the payload's model) -> the answer.

Of one speaker's events each is handled when the one before it was. A handler that has only to wait, for a commit,
returns an awaitable of the answer: the next event is then handled meanwhile. Raises EventError, TooMany,
LogUnavailable; the awaitable too.
"""


class EventHandlers(dict[str, Handler]):
    """By type. An event that nobody handles is answered with `unsupported`."""
