"""`/events`: from a WebSocket handshake to a conversation in JSON."""

import asyncio
import logging
from functools import partial
from typing import Protocol

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

from auth.verifying import InvalidToken, KeysUnavailable
from crdt_store.update_log import LogUnavailable
from server.access.identity import Identity
from server.events.context import Context
from server.events.conversation import Conversation
from server.events.envelope import write_event
from server.events.errors import EventErrorCode
from server.events.json_connection import JsonConnection
from server.limits.addresses import address_of
from server.limits.connections import ConnectionCounts
from server.limits.too_many import TooMany
from server.protocol.closing import CloseCode
from server.rooms.names import BadRoomName, parse_room_name
from server.transport.open_socket import open_socket
from server.transport.socket import NOBODY
from server.transport.yjs_endpoint import token_of

logger = logging.getLogger(__name__)
_REFUSAL_DELAY_SECONDS = 0.5
"""A client that comes back at once after every close is held up a little."""

_NOBODY_YET = 0
"""Counted as one user: all who have not said who they are. Ids of users are positive."""


class Watch(Protocol):
    """The Connection Manager, as far as it is needed here."""

    def add(self, connection: JsonConnection) -> None: ...

    def remove(self, connection: JsonConnection) -> None: ...


class Refusal(Exception):
    """This client does not get in: what it is told, and the code to close with."""

    def __init__(self, error: EventErrorCode, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.error = error
        self.code = code
        self.reason = reason


class EventsEndpoint:
    """Serves the JSON protocol; for `Doorway` under "/events"."""

    def __init__(self, context: Context, connections: Watch, counts: ConnectionCounts) -> None:
        self._context = context
        self._connections = connections
        self._counts = counts
        self._known: set[JsonConnection] = set()
        context.doorkeeper.on_change(self._rights_changed)

    async def __call__(self, websocket: WebSocket, path: str) -> None:
        """Serve one client; returns when its connection needs this task no more."""
        if path not in ("", "/"):
            await websocket.send_denial_response(PlainTextResponse("no such path", 404))
            return
        try:
            identity, only_room = await self._identify(websocket)
            await self._serve(websocket, identity, only_room)
        except Refusal as refusal:
            await self._refuse(websocket, refusal)

    async def _identify(self, websocket: WebSocket) -> tuple[Identity | None, str | None]:
        """Who comes, and the only room that its ticket lets it into; (None, None): it has yet to say."""
        doorkeeper, ticket = self._context.doorkeeper, websocket.query_params.get("ticket")
        token = token_of(websocket)
        try:
            if ticket is not None:
                room = websocket.query_params.get("room", "")
                plain_names = self._context.settings.plain_names_workspace_id
                name = parse_room_name(room, plain_names_workspace_id=plain_names)
                return await doorkeeper.redeem(ticket, name), name.canonical
            return (await doorkeeper.identify(token) if token else None), None
        except (KeysUnavailable, LogUnavailable) as error:
            logger.warning("refusing a client: %s", error)
            code = EventErrorCode.UNAVAILABLE
            raise Refusal(code, CloseCode.TRY_AGAIN_LATER, code.meaning) from error
        except InvalidToken as error:
            self._context.gate.note_refused(address_of(websocket.scope))
            raise Refusal(EventErrorCode.UNAUTHORIZED, CloseCode.UNAUTHORIZED, str(error)) from error
        except BadRoomName as error:
            reason = f"`room` names what the ticket is for: {error}"
            raise Refusal(EventErrorCode.NOT_FOUND, CloseCode.NOT_FOUND, reason) from error

    async def _serve(self, websocket: WebSocket, identity: Identity | None, only_room: str | None) -> None:
        settings, address = self._context.settings, address_of(websocket.scope)
        user_id = _NOBODY_YET if identity is None else identity.user_id
        try:
            admission = self._counts.enter(user_id, address)
        except TooMany as error:
            raise Refusal(EventErrorCode.RATE_LIMITED, CloseCode.TRY_AGAIN_LATER, str(error)) from error
        connection = JsonConnection(
            admission, max_outbox_bytes=settings.max_outbox_bytes, on_gone=self._forget
        )
        conversation = Conversation(
            self._context,
            connection,
            admit=partial(self._admit, connection, address),
            on_refused=partial(self._context.gate.note_refused, address),
        )
        try:
            socket = await open_socket(websocket, connection, max_message_bytes=settings.max_message_bytes)
        except BaseException:
            admission.leave()
            raise
        connection.start(socket, conversation)
        if identity is not None:
            self._watch(connection, identity)
            conversation.know(identity, only_room=only_room)
        else:
            asyncio.get_running_loop().call_later(
                settings.handshake_timeout_seconds, self._end_if_unknown, connection
            )
        await socket.detach()

    def _admit(self, connection: JsonConnection, address: str, identity: Identity) -> None:
        """Its user is known from now on. Raises TooMany."""
        connection.admit(self._counts.enter(identity.user_id, address))
        self._watch(connection, identity)

    def _watch(self, connection: JsonConnection, identity: Identity) -> None:
        connection.identity = identity
        self._known.add(connection)
        self._connections.add(connection)
        if self._context.doorkeeper.is_revoked(identity):  # since it was looked at
            connection.look_again()

    def _forget(self, connection: JsonConnection) -> None:
        if connection in self._known:
            self._known.discard(connection)
            self._connections.remove(connection)

    @staticmethod
    def _end_if_unknown(connection: JsonConnection) -> None:
        if not connection.is_known:
            reason = "`connect` with a token did not come in time (handshake_timeout_seconds)"
            connection.refuse(CloseCode.UNAUTHORIZED, reason)

    def _rights_changed(self, user_ids: frozenset[int] | None) -> None:
        for connection in tuple(self._known):
            if user_ids is None or connection.user_id in user_ids:
                connection.look_again()

    async def _refuse(self, websocket: WebSocket, refusal: Refusal) -> None:
        socket = await open_socket(
            websocket, NOBODY, max_message_bytes=self._context.settings.max_unauthenticated_bytes
        )
        payload = {"code": refusal.error, "reason": refusal.reason}
        socket.send_text(write_event("error", payload, sender_id=None, at_ms=self._context.now_ms()))
        loop = asyncio.get_running_loop()
        loop.call_later(_REFUSAL_DELAY_SECONDS, socket.close, refusal.code, refusal.reason)
        await socket.detach()
