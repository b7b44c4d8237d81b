"""`/hocuspocus`: stock Hocuspocus and Tiptap clients, any number of documents on one socket."""

import asyncio
import logging
from functools import partial

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

from auth.grants import Action, Grant, Role
from auth.verifying import InvalidToken, KeysUnavailable
from crdt_store.group_commit import GroupCommit
from crdt_store.update_log import LogUnavailable
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.access.writing import write_action
from server.limits.addresses import address_of
from server.limits.connections import ConnectionCounts
from server.limits.gate import Gate
from server.limits.too_many import TooMany
from server.protocol.closing import CloseCode
from server.protocol.hocuspocus import ASK_FOR_TOKEN, Auth, document_of
from server.rooms.names import BadRoomName, RoomKind, RoomName, parse_room_name
from server.rooms.room_manager import NoSuchRoom, RoomManager, RoomsFull, RoomUnavailable
from server.settings import Settings
from server.transport.connection_manager import ConnectionManager
from server.transport.hocuspocus_connection import HocuspocusConnection
from server.transport.hocuspocus_document import HocuspocusDocument
from server.transport.live_access import LiveAccess
from server.transport.open_socket import open_socket
from server.transport.participant import ConnectionLimits
from server.transport.socket import NOBODY
from server.transport.witness import Witness
from server.transport.yjs_endpoint import offered_subprotocol, token_of

logger = logging.getLogger(__name__)
_NOBODY_YET = 0
"""Counted as one user: all who have not shown a token. Ids of users are positive."""

_REFUSED_TOKEN_MESSAGES = 100
"""A token that is no good counts as so many messages."""

_REFRESH_SECONDS = 60.0


class HocuspocusEndpoint:
    """Serves the Hocuspocus protocol; for `Doorway` under "/hocuspocus"."""

    def __init__(
        self,
        settings: Settings,
        doorkeeper: Doorkeeper,
        rooms: RoomManager,
        connections: ConnectionManager,
        commits: GroupCommit,
        gate: Gate,
        counts: ConnectionCounts,
        live_access: LiveAccess,
        chat_witness: Witness,
    ) -> None:
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._rooms = rooms
        self._connections = connections
        self._commits = commits
        self._gate = gate
        self._counts = counts
        self._live_access = live_access
        self._chat_witness = chat_witness
        self._limits = ConnectionLimits(settings.max_awareness_bytes, settings.max_outbox_bytes)

    async def __call__(self, websocket: WebSocket, path: str) -> None:
        """Serve one client; returns when its connection needs this task no more."""
        if path not in ("", "/"):
            await websocket.send_denial_response(PlainTextResponse("no such path", 404))
            return
        settings, address = self._settings, address_of(websocket.scope)
        subprotocol = offered_subprotocol(websocket)
        try:
            admission = self._counts.enter(_NOBODY_YET, address)
        except TooMany as error:
            refused = await open_socket(
                websocket,
                NOBODY,
                max_message_bytes=settings.max_unauthenticated_bytes,
                subprotocol=subprotocol,
            )
            refused.close(CloseCode.TRY_AGAIN_LATER, str(error))
            await refused.detach()
            return
        connection = HocuspocusConnection(
            admission,
            partial(self._admit, address, token_of(websocket)),
            self._connections.remove_line,
            max_outbox_bytes=settings.max_outbox_bytes,
            max_queued_bytes=settings.max_queued_bytes,
            max_documents=settings.max_rooms_per_connection,
        )
        try:
            socket = await open_socket(
                websocket, connection, max_message_bytes=settings.max_message_bytes, subprotocol=subprotocol
            )
        except BaseException:
            admission.leave()
            raise
        connection.start(socket)
        self._connections.add_line(connection)
        loop = asyncio.get_running_loop()
        loop.call_later(settings.authentication_seconds, connection.end_if_unknown)
        await socket.detach()

    async def _admit(
        self, address: str, url_token: str, connection: HocuspocusConnection, name: str, auth: Auth
    ) -> None:
        """Open the document of that name, or show it a fresh token, or say why not."""
        try:
            await self._open(address, connection, name, auth.token or url_token)
        except InvalidToken as error:
            self._gate.note_refused(address)
            self._refuse(connection, name, str(error))
            connection.spend(_REFUSED_TOKEN_MESSAGES)
        except (BadRoomName, NoSuchRoom) as error:
            self._refuse(connection, name, str(error))
        except (KeysUnavailable, RoomsFull, TooMany, RoomUnavailable, LogUnavailable) as error:
            logger.warning("refusing a Hocuspocus client: %s", error)
            if connection.documents:
                connection.shut(name, "the document cannot be opened now: try again")
            else:
                connection.close(CloseCode.TRY_AGAIN_LATER, "the document cannot be opened now")

    @staticmethod
    def _refuse(connection: HocuspocusConnection, name: str, reason: str) -> None:
        document = connection.document_at(name)
        if document is not None:
            document.refuse(CloseCode.UNAUTHORIZED, reason)
        else:
            connection.shut(name, reason)

    async def _open(self, address: str, connection: HocuspocusConnection, name: str, token: str) -> None:
        changes = self._live_access.changes
        identity = await self._doorkeeper.identify(token)
        if connection.user_id is None:
            connection.admit(self._counts.enter(identity.user_id, address), identity.user_id)
        elif connection.user_id != identity.user_id:
            raise InvalidToken("token refused: this connection is another user's, open one of your own")
        room_name = parse_room_name(
            document_of(name), plain_names_workspace_id=self._settings.plain_names_workspace_id
        )
        role = await self._doorkeeper.role_in(identity, room_name)
        document = connection.document_at(name)
        if document is not None:
            document.renew(identity)
            document.set_role(role)
        else:
            if not Grant(role).allows(Action.READ):
                raise NoSuchRoom("no access to this document")
            self._gate.check_join(identity.user_id)
            document = await self._enter(connection, name, room_name, identity, role)
        self._ask_in_time(document)
        if changes != self._live_access.changes:
            self._live_access.changed(frozenset((identity.user_id,)))

    async def _enter(
        self,
        connection: HocuspocusConnection,
        name: str,
        room_name: RoomName,
        identity: Identity,
        role: Role,
    ) -> HocuspocusDocument:
        may_create = self._settings.create_files and Grant(role).allows(write_action(room_name.kind))
        async with self._rooms.visit(room_name, may_create=may_create) as room:
            witness = self._chat_witness if room.name.kind is RoomKind.CHAT else None
            document = HocuspocusDocument(
                identity,
                role,
                room,
                self._limits,
                self._commits,
                connection,
                name,
                partial(self._gone, connection),
                witness,
            )
            self._connections.add_guest(document)
            connection.open(document)
        return document

    def _gone(self, connection: HocuspocusConnection, document: HocuspocusDocument) -> None:
        self._connections.remove_guest(document)
        connection.closed(document)

    def _ask_in_time(self, document: HocuspocusDocument) -> None:
        """Ask for a fresh token before this one ends."""
        left_seconds = document.identity.principal.expires_at_seconds - self._doorkeeper.now_seconds()
        ahead_seconds = min(_REFRESH_SECONDS, max(0.0, left_seconds) / 2)
        loop = asyncio.get_running_loop()
        loop.call_later(max(0.0, left_seconds - ahead_seconds), document.say_if_here, ASK_FOR_TOKEN)
