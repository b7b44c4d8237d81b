"""`/ws/{room}`: from a WebSocket handshake to a member of a room, or to a refusal that stock clients understand."""

import asyncio
import logging
from collections.abc import Callable

from starlette.websockets import WebSocket

from auth.grants import Action, Grant, granted_role
from auth.tokens import InvalidToken, TokenIssuer
from crdt_store.group_commit import GroupCommit
from crdt_store.update_log import LogUnavailable
from crdt_store.users import UserDirectory
from server.protocol.closing import CloseCode
from server.protocol.yjs_messages import permission_denied
from server.rooms.names import BadRoomName, parse_room_name
from server.rooms.room_manager import NoSuchRoom, RoomManager, RoomsFull, RoomUnavailable
from server.settings import Settings
from server.transport.connection import Connection, ConnectionLimits
from server.transport.connection_manager import ConnectionManager
from server.transport.open_socket import open_socket
from server.transport.socket import NOBODY

logger = logging.getLogger(__name__)
_REFUSAL_DELAY_SECONDS = 0.5
"""y-websocket 3.0 comes back at once after every close (49 times in 5 s, measured): hold it up a little."""


class Refusal(Exception):
    """This client does not get in: the code to close with, and why."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class YjsEndpoint:
    """Serves the y-websocket protocol."""

    def __init__(
        self,
        settings: Settings,
        tokens: TokenIssuer,
        users: UserDirectory,
        rooms: RoomManager,
        connections: ConnectionManager,
        commits: GroupCommit,
        now_seconds: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._users = users
        self._rooms = rooms
        self._connections = connections
        self._commits = commits
        self._now_seconds = now_seconds
        self._limits = ConnectionLimits(settings.max_awareness_bytes, settings.max_outbox_bytes)

    async def __call__(self, websocket: WebSocket) -> None:
        """Serve one client; returns when its connection needs this task no more."""
        try:
            await self._admit(websocket)
        except Refusal as refusal:
            await self._refuse(websocket, refusal)

    async def _admit(self, websocket: WebSocket) -> None:
        settings = self._settings
        try:
            principal = self._tokens.verify(token_of(websocket), now_seconds=self._now_seconds())
        except InvalidToken as error:
            raise Refusal(CloseCode.UNAUTHORIZED, str(error)) from error
        try:
            name = parse_room_name(
                websocket.path_params["room"], plain_names_workspace_id=settings.plain_names_workspace_id
            )
        except BadRoomName as error:
            raise Refusal(CloseCode.NOT_FOUND, str(error)) from error
        grant = Grant(granted_role(principal.grants, name.aliases))
        if not grant.allows(Action.READ):
            raise Refusal(CloseCode.FORBIDDEN, "the token gives no access to this room")
        may_create = settings.create_files and grant.allows(Action.WRITE)
        try:
            user_id = await self._users.id_of(principal.issuer, principal.subject, principal.name)
            async with self._rooms.visit(name, may_create=may_create) as room:
                connection = Connection(
                    user_id,
                    principal.name,
                    grant,
                    room,
                    self._limits,
                    self._commits,
                    self._connections.remove,
                )
                socket = await open_socket(
                    websocket,
                    connection,
                    max_message_bytes=settings.max_message_bytes,
                    subprotocol=_offered_subprotocol(websocket),
                )
                self._connections.add(connection)
                connection.start(socket)
        except NoSuchRoom as error:
            raise Refusal(CloseCode.NOT_FOUND, str(error)) from error
        except RoomsFull as error:
            raise Refusal(CloseCode.TRY_AGAIN_LATER, str(error)) from error
        except (RoomUnavailable, LogUnavailable) as error:
            logger.warning("refusing a client: %s", error)
            raise Refusal(CloseCode.INTERNAL_ERROR, "the document cannot be opened now") from error
        await socket.detach()

    async def _refuse(self, websocket: WebSocket, refusal: Refusal) -> None:
        socket = await open_socket(
            websocket,
            NOBODY,
            max_message_bytes=self._settings.max_unauthenticated_bytes,
            subprotocol=_offered_subprotocol(websocket),
        )
        socket.send(permission_denied(refusal.reason))
        loop = asyncio.get_running_loop()
        loop.call_later(_REFUSAL_DELAY_SECONDS, socket.close, refusal.code, refusal.reason)
        await socket.detach()


def token_of(websocket: WebSocket) -> str:
    """The token: `?token=`, or `Authorization: Bearer`; empty if there is none."""
    scheme, _, credentials = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return websocket.query_params.get("token", "")


def _offered_subprotocol(websocket: WebSocket) -> str | None:
    """Browsers fail a connection that answers none of the subprotocols they offered; ours are all the same."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return offered[0] if offered else None
