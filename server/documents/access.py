"""Who asks for which document over HTTP, and whether they may."""

import time
from collections.abc import Callable
from typing import NamedTuple

from fastapi import Request

from auth.grants import Action, Grant, granted_role
from auth.principals import Principal
from auth.tokens import InvalidToken, TokenIssuer
from server.api_errors import ApiError, ErrorCode
from server.rooms.names import BadRoomName, RoomName, parse_room_name
from server.settings import Settings


class Access(NamedTuple):
    """A document's room, and who asks for it."""

    room: RoomName
    principal: Principal


def access(settings: Settings, tokens: TokenIssuer, action: Action) -> Callable[[Request, str], Access]:
    """A dependency that lets through who may do `action` to the document of the path. Raises ApiError."""

    def check(request: Request, room: str) -> Access:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            principal = tokens.verify(
                token.strip() if scheme.lower() == "bearer" else "", now_seconds=time.time()
            )
        except InvalidToken as error:
            raise ApiError(ErrorCode.UNAUTHORIZED, str(error)) from error
        try:
            name = parse_room_name(room, plain_names_workspace_id=settings.plain_names_workspace_id)
        except BadRoomName as error:
            raise ApiError(ErrorCode.NOT_FOUND, str(error)) from error
        role = granted_role(principal.grants, name.aliases)
        if not Grant(role).allows(action):
            raise ApiError(ErrorCode.FORBIDDEN, f"the role {role.name.lower()} may not {action} here")
        if not name.has_document:
            raise ApiError(ErrorCode.NOT_FOUND, f"{name} has no document")
        return Access(name, principal)

    return check
