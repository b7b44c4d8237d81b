"""`/ws/{room}`: from a WebSocket handshake to a member of a room, or to a refusal that stock clients understand."""

import asyncio
import logging

from starlette.websockets import WebSocket

from auth.grants import Action, Grant, Role
from auth.verifying import InvalidToken, KeysUnavailable
from crdt_store.group_commit import GroupCommit
from crdt_store.update_log import LogUnavailable
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.access.writing import write_action
from server.limits.addresses import address_of
from server.limits.connections import Admission, ConnectionCounts
from server.limits.gate import Gate
from server.limits.too_many import TooMany
from server.protocol.closing import CloseCode
from server.protocol.yjs_messages import permission_denied
from server.rooms.names import BadRoomName, RoomKind, RoomName, parse_room_name
from server.rooms.room import Room
from server.rooms.room_manager import NoSuchRoom, RoomManager, RoomsFull, RoomUnavailable
from server.settings import Settings
from server.transport.connection import Connection
from server.transport.connection_manager import ConnectionManager
from server.transport.live_access import LiveAccess
from server.transport.open_socket import open_socket
from server.transport.participant import ConnectionLimits
from server.transport.socket import NOBODY
from server.transport.witness import Witness

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
        doorkeeper: Doorkeeper,
        rooms: RoomManager,
        connections: ConnectionManager,
        commits: GroupCommit,
        gate: Gate,
        counts: ConnectionCounts,
        live_access: LiveAccess,
        chat_witness: Witness | None = None,
    ) -> None:
        """`chat_witness` is told what the clients of chats have got."""
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

    async def __call__(self, websocket: WebSocket, room: str) -> None:
        """Serve one client of that room; returns when its connection needs this task no more."""
        try:
            await self._admit(websocket, room)
        except Refusal as refusal:
            await self._refuse(websocket, refusal)

    async def _admit(self, websocket: WebSocket, room_text: str) -> None:
        changes = self._live_access.changes
        try:
            identity, name = await self._identify(websocket, room_text)
            role = await self._doorkeeper.role_in(identity, name)
            grant = Grant(role)
            if not grant.allows(Action.READ):
                raise Refusal(CloseCode.FORBIDDEN, "no access to this room")
            may_create = self._settings.create_files and grant.allows(write_action(name.kind))
            self._gate.check_join(identity.user_id)
            admission = self._counts.enter(identity.user_id, address_of(websocket.scope))
            try:
                async with self._rooms.visit(name, may_create=may_create) as room:
                    connection = self._connect(identity, role, room, admission)
                    socket = await open_socket(
                        websocket,
                        connection,
                        max_message_bytes=self._settings.max_message_bytes,
                        subprotocol=offered_subprotocol(websocket),
                    )
                    self._connections.add(connection)
                    connection.start(socket)
            except BaseException:
                admission.leave()
                raise
        except KeysUnavailable as error:
            raise Refusal(CloseCode.TRY_AGAIN_LATER, str(error)) from error
        except InvalidToken as error:
            self._gate.note_refused(address_of(websocket.scope))
            raise Refusal(CloseCode.UNAUTHORIZED, str(error)) from error
        except (BadRoomName, NoSuchRoom) as error:
            raise Refusal(CloseCode.NOT_FOUND, str(error)) from error
        except (RoomsFull, TooMany) as error:
            raise Refusal(CloseCode.TRY_AGAIN_LATER, str(error)) from error
        except (RoomUnavailable, LogUnavailable) as error:
            logger.warning("refusing a client: %s", error)
            raise Refusal(CloseCode.INTERNAL_ERROR, "the document cannot be opened now") from error
        if changes != self._live_access.changes:  # its rights may have been looked up before the change
            self._live_access.changed(frozenset((identity.user_id,)))
        await socket.detach()

    async def _identify(self, websocket: WebSocket, room_text: str) -> tuple[Identity, RoomName]:
        plain_names = self._settings.plain_names_workspace_id
        ticket = websocket.query_params.get("ticket")
        if ticket is not None:
            name = parse_room_name(room_text, plain_names_workspace_id=plain_names)
            return await self._doorkeeper.redeem(ticket, name), name
        identity = await self._doorkeeper.identify(token_of(websocket))
        return identity, parse_room_name(room_text, plain_names_workspace_id=plain_names)

    def _connect(self, identity: Identity, role: Role, room: Room, admission: Admission) -> Connection:
        on_gone = self._connections.remove
        witness = self._chat_witness if room.name.kind is RoomKind.CHAT else None
        return Connection(identity, role, room, self._limits, self._commits, admission, on_gone, witness)

    async def _refuse(self, websocket: WebSocket, refusal: Refusal) -> None:
        socket = await open_socket(
            websocket,
            NOBODY,
            max_message_bytes=self._settings.max_unauthenticated_bytes,
            subprotocol=offered_subprotocol(websocket),
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


def offered_subprotocol(websocket: WebSocket) -> str | None:
    """Browsers fail a connection that answers none of the subprotocols they offered; ours are all the same."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return offered[0] if offered else None
