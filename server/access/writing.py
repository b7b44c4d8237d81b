"""Which action it is to write to a room's document."""

from auth.grants import Action
from server.rooms.names import RoomKind


def write_action(kind: RoomKind) -> Action:
    """In a chat it is to write a message; what a message may be, the chat's own rules say."""
    return Action.WRITE_MESSAGE if kind in (RoomKind.CHAT, RoomKind.SEGMENT) else Action.WRITE
