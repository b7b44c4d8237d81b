"""Who makes a request, and whether they may: what the routes of the HTTP API depend on."""

from typing import Annotated, Protocol

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from auth.grants import Action, Grant, Role
from auth.verifying import InvalidToken, KeysUnavailable
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.api_errors import ApiError, ErrorCode
from server.rooms.names import BadRoomName, RoomName, parse_room_name

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="the same token as on the WebSocket")

GLOBAL = parse_room_name("global", plain_names_workspace_id=None)
"""Who may administer it is an administrator of the server."""


class UserLimits(Protocol):
    """How much a user may ask for."""

    def check_user(self, user_id: int) -> None:
        """Count a request; raises what is answered as RATE_LIMITED."""


def doorkeeper_of(request: Request) -> Doorkeeper:
    """The server's; `app.state` has it, and the limits of its users as `gate`, while the server serves."""
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    return doorkeeper


Door = Annotated[Doorkeeper, Depends(doorkeeper_of)]


async def caller(
    request: Request, door: Door, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    """Who the bearer token proves the caller to be. Raises ApiError, LogUnavailable."""
    try:
        identity = await door.identify(bearer.credentials.strip() if bearer else "")
    except KeysUnavailable as error:
        raise ApiError(ErrorCode.UNAVAILABLE, str(error)) from error
    except InvalidToken as error:
        raise ApiError(ErrorCode.UNAUTHORIZED, str(error)) from error
    limits: UserLimits = request.app.state.gate
    limits.check_user(identity.user_id)
    return identity


Caller = Annotated[Identity, Depends(caller)]


def parse_room(text: str, plain_names_workspace_id: int | None) -> RoomName:
    """The room of a path or body. Raises ApiError."""
    try:
        return parse_room_name(text, plain_names_workspace_id=plain_names_workspace_id)
    except BadRoomName as error:
        raise ApiError(ErrorCode.NOT_FOUND, str(error)) from error


async def require(door: Doorkeeper, identity: Identity, room: RoomName, action: Action) -> Role:
    """The role in the room, which allows the action. Raises ApiError, LogUnavailable."""
    role = await door.role_in(identity, room)
    check_role(role, room, action)
    return role


def check_role(role: Role, room: RoomName, action: Action) -> None:
    """Raises ApiError: what somebody has no role in is not there for them."""
    if role is Role.NONE:
        raise not_found(room)
    if not Grant(role).allows(action):
        raise ApiError(ErrorCode.FORBIDDEN, f"the role {role.name.lower()} may not {action} here")


async def is_server_admin(door: Doorkeeper, identity: Identity) -> bool:
    """Raises LogUnavailable."""
    return Grant(await door.role_in(identity, GLOBAL)).allows(Action.ADMINISTER)


def not_found(room: RoomName) -> ApiError:
    """The same words for what does not exist and for what the caller may not see."""
    return ApiError(ErrorCode.NOT_FOUND, f"there is no {room}, or not for you")
