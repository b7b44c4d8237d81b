"""What the events of one JSON client mean: who it is, which rooms it is in, and what is answered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from auth.grants import Role
from auth.verifying import InvalidToken, KeysUnavailable
from crdt_store.update_log import LogUnavailable
from server.access.identity import Identity
from server.access.texts import role_name
from server.events.context import Context
from server.events.envelope import ClientEvent, UnreadableEvent, iso_time, read_event, write_event
from server.events.errors import EventError, EventErrorCode
from server.events.failures import describe
from server.events.handlers import Answer
from server.events.joined_rooms import Joined, JoinedRooms
from server.events.json_connection import JsonConnection
from server.events.models import Connect, InRoom, JoinRoom, ShowCursor
from server.events.requests import Requests
from server.news.hub import News
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import NORMAL_CLOSURE
from server.rooms.names import RoomName

PROTOCOL_VERSION = 1
_REFUSED_TOKEN_MESSAGES = 100
"""A token that is no good counts as so many messages."""

_RETRY_SECONDS = 0.25
_WARNING_SECONDS = 60.0
logger = logging.getLogger(__name__)


class Conversation:
    """The `Partner` of a connection, and the `Speaker` that features see."""

    def __init__(
        self,
        context: Context,
        connection: JsonConnection,
        *,
        admit: Callable[[Identity], None],
        on_refused: Callable[[], object],
    ) -> None:
        """`admit`: count the connection as this user's and watch over it; raises TooMany.

        `on_refused`: a token was no good.
        """
        self._context = context
        self._connection = connection
        self._admit = admit
        self._on_refused = on_refused
        self._rooms = JoinedRooms(context, connection, self._room_closed)
        self._requests = Requests(context.handlers, context.answers, self, self._answered)
        self._looks = 0  # at what it may do
        self._unsubscribe: Callable[[], None] | None = None
        self._warning: asyncio.TimerHandle | None = None
        self._own_events: Mapping[str, Callable[[ClientEvent], Awaitable[None]]] = {
            "connect": self._connect,
            "disconnect": self._disconnect,
            "join_room": self._join_room,
            "leave_room": self._leave_room,
            "typing_start": self._typing,
            "typing_stop": self._typing,
            "cursor": self._cursor,
            "ping": self._ping,
        }

    # Speaker

    @property
    def identity(self) -> Identity:
        """Who speaks."""
        return self._connection.identity

    def role_in(self, room: RoomName) -> Role:
        """The role in a room that was joined; NONE in any other."""
        return self._rooms.role_in(room)

    # Partner

    @property
    def max_message_bytes(self) -> int:
        """Less for those of whom nothing is known yet."""
        settings = self._context.settings
        return settings.max_json_bytes if self._connection.is_known else settings.max_unauthenticated_bytes

    def complain(self, code: EventErrorCode, reason: str) -> None:
        """Send an `error` that answers no event; whoever has not said who they are have no second try."""
        self._send("error", {"code": code, "reason": reason})
        if code is EventErrorCode.TOO_LARGE and not self._connection.is_known:
            self._connection.close(CloseCode.UNAUTHORIZED, reason)

    async def act(self, text: str) -> None:
        """Deal with one message; each is answered, and none ends the connection but a refused token."""
        try:
            event = read_event(text)
        except UnreadableEvent as error:
            self._send("error", {"code": error.code, "reason": error.reason}, error.id)
            return
        try:
            if event.type != "connect" and not self._connection.is_known:
                raise EventError(EventErrorCode.NOT_AUTHENTICATED)
            await self._own_events.get(event.type, self._hand_over)(event)
        except Exception as error:  # noqa: BLE001 - logged there unless it is one of ours
            self._fail(event, error)

    def end(self) -> None:
        """The connection is gone. What features still do for it goes on, and is remembered."""
        self._rooms.leave_all()
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._warning is not None:
            self._warning.cancel()

    # Who it is

    def know(self, identity: Identity, *, only_room: str | None = None) -> None:
        """Somebody has proved who they are; `only_room`: by a ticket for that room."""
        connection = self._connection
        connection.identity = identity
        if self._unsubscribe is None:
            hub = self._context.hub
            self._unsubscribe = hub.subscribe_user(identity.user_id, self._hear_of_user)
        self._rooms.only_room = only_room
        if self._warning is not None:
            self._warning.cancel()
        left_seconds = identity.principal.expires_at_seconds - self._context.now_ms() / 1000
        ahead_seconds = min(_WARNING_SECONDS, max(0.0, left_seconds) / 2)
        loop = asyncio.get_running_loop()
        self._warning = loop.call_later(left_seconds - ahead_seconds, self._warn_of_expiry)

    def _warn_of_expiry(self) -> None:
        payload = {"reason": "token_expires", "expires_at": self._expires_at()}
        self._send("permission_changed", payload)

    def _expires_at(self) -> str:
        return iso_time(int(self.identity.principal.expires_at_seconds * 1000))

    def _hear_of_user(self, news: News) -> None:
        if self._rooms.only_room in (None, news.payload.get("room")):
            self._connection.send(self._context.texts.of(news, None))

    async def _connect(self, event: ClientEvent) -> None:
        assert isinstance(event.payload, Connect)
        connection, token = self._connection, event.payload.token
        if token is not None:
            try:
                identity = await self._context.doorkeeper.identify(token)
            except KeysUnavailable as error:
                raise EventError(EventErrorCode.UNAVAILABLE, str(error)) from error
            except InvalidToken as error:
                self._refuse_token(event, str(error))
                return
            if not connection.is_open:
                return
            self._recognise(identity)
            await self.look_again()
        elif not connection.is_known:
            raise EventError(EventErrorCode.NOT_AUTHENTICATED, "`connect` needs a token here")
        self._send("ack", await self._who(), event.id)

    def _recognise(self, identity: Identity) -> None:
        """Raises EventError, TooMany."""
        if not self._connection.is_known:
            self._admit(identity)
        elif self._connection.user_id != identity.user_id:
            raise EventError(
                EventErrorCode.UNAUTHORIZED, "the token is another user's: open a new connection"
            )
        self.know(identity)

    def _refuse_token(self, event: ClientEvent, reason: str) -> None:
        self._on_refused()
        self._send_error(event, EventErrorCode.UNAUTHORIZED, reason)
        if self._connection.is_known:
            self._connection.spend(_REFUSED_TOKEN_MESSAGES)
        else:
            self._connection.close(CloseCode.UNAUTHORIZED, reason)

    async def _who(self) -> dict[str, Any]:
        identity = self.identity
        unread = await self._context.unread_notifications(identity.user_id)
        return {
            "user_id": identity.user_id,
            "name": identity.principal.name,
            "expires_at": self._expires_at(),
            "server_time": iso_time(self._context.now_ms()),
            "protocol": PROTOCOL_VERSION,
            "unread_notifications": unread,
        }

    async def _disconnect(self, event: ClientEvent) -> None:
        self._acknowledge(event, {})
        with self._context.presence.at_once():
            self._connection.close(NORMAL_CLOSURE, "")

    async def _ping(self, event: ClientEvent) -> None:
        self._send("pong", {}, event.id)

    # Rooms

    async def _join_room(self, event: ClientEvent) -> None:
        assert isinstance(event.payload, JoinRoom)
        looks = self._looks
        answer, go_on = await self._rooms.join(event.payload)
        if looks != self._looks:  # the role may have been looked up before it changed
            await self.look_again()
        self._send("ack", answer, event.id)
        go_on()

    async def _leave_room(self, event: ClientEvent) -> None:
        joined = self._rooms.find(_room_of(event))
        with self._context.presence.at_once():
            self._rooms.leave(joined)
        self._acknowledge(event, {"room": joined.name.canonical})

    async def _typing(self, event: ClientEvent) -> None:
        joined = self._rooms.find(_room_of(event))
        if joined.member is not None:
            joined.member.show_typing(event.type == "typing_start")
        self._acknowledge(event, {"room": joined.name.canonical})

    async def _cursor(self, event: ClientEvent) -> None:
        assert isinstance(event.payload, ShowCursor)
        joined = self._rooms.find(event.payload.room)
        if joined.member is not None:
            joined.member.show_cursor(event.payload.cursor)
        self._acknowledge(event, {"room": joined.name.canonical})

    def _room_closed(self, name: RoomName, reason: str) -> None:
        payload = {"code": EventErrorCode.ROOM_CLOSED, "reason": reason, "room": name.canonical}
        self._send("error", payload)

    async def look_again(self) -> None:
        """Look up what the user may do now: the token, then the role in each room."""
        context, connection = self._context, self._connection
        self._looks += 1
        while connection.is_open:
            if context.doorkeeper.is_revoked(self.identity):
                connection.refuse(CloseCode.UNAUTHORIZED, "the token was revoked")
                return
            try:
                for joined in self._rooms:
                    role = await context.doorkeeper.role_in(self.identity, joined.name)
                    self._set_role(joined, role)
                return
            except LogUnavailable as error:
                logger.error("rights cannot be looked up, trying again: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _set_role(self, joined: Joined, role: Role) -> None:
        if role == joined.role:
            return
        joined.role = role
        if role < Role.VIEWER:
            with self._context.presence.at_once():
                self._rooms.leave(joined)
        payload = {"room": joined.name.canonical, "role": role_name(role)}
        self._send("permission_changed", payload)

    # Features

    async def _hand_over(self, event: ClientEvent) -> None:
        handler = self._requests.handler_of(event)
        await self._requests.take(handler, self._rooms.find(_room_of(event)).name, event)

    def _answered(self, event: ClientEvent, answer: Answer | BaseException) -> None:
        if isinstance(answer, BaseException):
            self._fail(event, answer)
        else:
            self._acknowledge(event, answer)

    # Saying

    def _acknowledge(self, event: ClientEvent, payload: Mapping[str, Any]) -> None:
        if event.id is not None:
            self._send("ack", payload, event.id)

    def _fail(self, event: ClientEvent, error: BaseException) -> None:
        code, reason = describe(error)
        if code is EventErrorCode.INTERNAL:
            logger.error("an event of type %s failed", event.type, exc_info=error)
        self._send_error(event, code, reason)

    def _send_error(self, event: ClientEvent, code: EventErrorCode, reason: str) -> None:
        payload: dict[str, Any] = {"code": code, "reason": reason}
        if isinstance(event.payload, InRoom):
            payload["room"] = event.payload.room
        self._send("error", payload, event.id)

    def _send(self, kind: str, payload: Mapping[str, Any], event_id: str | int | None = None) -> None:
        now_ms = self._context.now_ms()
        self._connection.send(write_event(kind, payload, sender_id=None, at_ms=now_ms, event_id=event_id))


def _room_of(event: ClientEvent) -> str:
    assert isinstance(event.payload, InRoom)
    return event.payload.room
