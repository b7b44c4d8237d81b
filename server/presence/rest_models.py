"""What `/api` answers about people who are there, or were."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel

from server.access.texts import Body
from server.presence.shown_state import PresenceState
from server.presence.tracker import UserState
from server.rooms.names import RoomKind, parse_room_name

Doing = Literal["viewing", "typing", "editing"]


class ShownModel(BaseModel):
    """What somebody shows in a room. `doing`: editing is who has put a cursor into a file."""

    state: PresenceState
    doing: Doing
    typing: bool
    activity: str | None
    cursor: Any


class InRoomModel(ShownModel):
    """The same, and where. `file`: its path, of a room that is a file."""

    room: str
    file: str | None

    @classmethod
    def of(cls, room: str, member: Mapping[str, Any]) -> Self:
        """`member` is as the tracker has it."""
        name = parse_room_name(room, plain_names_workspace_id=None)
        file = room.partition("/")[2] if name.kind is RoomKind.FILE else None
        return cls(room=room, file=file, **_shown(room, member))


class MemberModel(ShownModel):
    """Somebody in one room."""

    user_id: int
    name: str | None

    @classmethod
    def of(cls, room: str, member: Mapping[str, Any]) -> Self:
        """`member` is as the tracker has it."""
        return cls(user_id=member["user_id"], name=member["name"], **_shown(room, member))


class RoomPresenceModel(BaseModel):
    """Everybody in a room, each once."""

    room: str
    items: list[MemberModel]


class UserPresenceModel(BaseModel):
    """`last_seen`: when the user was here last; now, of who is here. `rooms`: those that the caller may read."""

    user_id: int
    name: str
    state: UserState
    last_seen: datetime | None
    rooms: list[InRoomModel]


class PeopleModel(BaseModel):
    """A page of users, by id; `next_after` is the `after` of the next one, null on the last one."""

    items: list[UserPresenceModel]
    next_after: int | None


class Visibility(Body):
    """Whether the user is offline for everybody else."""

    invisible: bool


def _shown(room: str, member: Mapping[str, Any]) -> dict[str, Any]:
    is_file = parse_room_name(room, plain_names_workspace_id=None).kind is RoomKind.FILE
    is_editing = is_file and member["cursor"] is not None
    doing = "typing" if member["typing"] else "editing" if is_editing else "viewing"
    return {"doing": doing, **{key: member[key] for key in ("state", "typing", "activity", "cursor")}}
