"""Which locks callers may see, and what they may do to them: by their role in the room of the path."""

from auth.grants import Action, Grant, Role
from auth.principals import Principal
from crdt_store.lock_rows import Lock, LockTaken
from server.access.callers import check_role
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.api_errors import ApiError, ErrorCode
from server.locks.rest_models import taken_details
from server.rooms.names import BadRoomName, RoomName, parse_room_name


def room_of_path(workspace_id: int, path: str) -> RoomName:
    """The room of a file with this path, whether there is one or not. Raises ApiError."""
    try:
        return parse_room_name(f"workspace:{workspace_id}/{path}", plain_names_workspace_id=None)
    except BadRoomName as error:
        raise ApiError(ErrorCode.INVALID_PARAMETER, f"path: {error}") from error


def path_of(room: RoomName) -> str:
    """Of the room of a file: normalised."""
    return room.canonical.partition("/")[2]


def room_of_lock(lock: Lock) -> RoomName:
    """What its path would be called as a file."""
    return room_of_path(lock.workspace_id, lock.path)


async def may(door: Doorkeeper, identity: Identity, lock: Lock, action: Action) -> bool:
    """Whether the caller may do this where the lock is. Raises LogUnavailable."""
    return Grant(await door.role_in(identity, room_of_lock(lock))).allows(action)


async def require_at(door: Doorkeeper, identity: Identity, lock: Lock, action: Action) -> None:
    """Raises ApiError: a lock on what somebody has no role in is not there for them. And LogUnavailable."""
    room = room_of_lock(lock)
    role = await door.role_in(identity, room)
    if role is Role.NONE:
        raise no_such_lock(lock.id)
    check_role(role, room, action)


def no_such_lock(lock_id: int) -> ApiError:
    """The same words for what does not exist and for what the caller may not see."""
    return ApiError(ErrorCode.NOT_FOUND, f"there is no lock {lock_id}, or not for you")


async def is_able_to_hold(door: Doorkeeper, user_id: int, lock: Lock) -> bool:
    """Whether memberships let the user lock this. Raises LogUnavailable."""
    return await may(door, _anybody(user_id), lock, Action.LOCK)


async def is_member_to_write(door: Doorkeeper, user_id: int, room: RoomName) -> bool:
    """Whether memberships let somebody write who is not there; True outside of projects. Raises LogUnavailable."""
    place = await door.place_of(room)
    if place.project_id is None and not place.is_deleted:
        return True
    return Grant(await door.role_in(_anybody(user_id), room)).allows(Action.WRITE)


def _anybody(user_id: int) -> Identity:
    """The user, with a token that limits nothing."""
    return Identity(user_id, Principal("", "", "", expires_at_seconds=0, grants=None))


async def taken_error(door: Doorkeeper, identity: Identity, taken: LockTaken) -> ApiError:
    """The refusal, with what the caller may know of the lock that is in the way. Raises LogUnavailable."""
    details = taken_details(taken, may_read=await may(door, identity, taken.lock, Action.READ))
    return ApiError(ErrorCode.LOCKED, f"locked by {taken.lock.holder_name}", details)
