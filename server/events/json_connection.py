"""One WebSocket of the JSON protocol: what comes is dealt with one by one, what goes never piles up.

What the Connection Manager asks of a connection is here; what events mean is the `Conversation`'s.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from auth.grants import Role
from server.access.identity import Identity
from server.events.errors import EventErrorCode
from server.limits.connections import Admission
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.rooms.names import RoomName, parse_room_name
from server.transport.shown_user import shown_user
from server.transport.socket import HIGH_WATER_BYTES, Socket

_MAX_INBOX_MESSAGES = 64
_MAX_INBOX_BYTES = 256 * 1024
"""When so much is waiting, the socket is not read."""

_MESSAGES_PER_TURN = 16
"""Then the others have their turn."""

_GLOBAL = parse_room_name("global", plain_names_workspace_id=None)
logger = logging.getLogger(__name__)


class Partner(Protocol):
    """Who understands what is said: a `Conversation`."""

    @property
    def max_message_bytes(self) -> int:
        """A longer message is refused."""

    async def act(self, text: str) -> None:
        """Deal with one message; returns when the next may be."""

    async def look_again(self) -> None:
        """Look up what the user may do now."""

    def complain(self, code: EventErrorCode, reason: str) -> None:
        """Send an `error` that answers no event."""

    def end(self) -> None:
        """The connection is gone."""


class JsonConnection:
    """A `SocketListener`. `identity` is None until it is known."""

    def __init__(
        self, admission: Admission, *, max_outbox_bytes: int, on_gone: Callable[["JsonConnection"], None]
    ) -> None:
        self.silent_sweeps = 0
        self.quiet_sweeps = 0
        self.lagging_sweeps = 0
        self.throttled_sweeps = 0
        self.was_throttled = False
        self.is_throttled = False
        self._admission = admission
        self._identity: Identity | None = None
        self._shown_user: Mapping[str, Any] = {}
        self._partner: Partner | None = None
        self._max_outbox_bytes = max_outbox_bytes
        self._on_gone = on_gone
        self._socket: Socket | None = None  # None again once closed
        self._inbox: deque[str] = deque()
        self._inbox_bytes = 0
        self._look: asyncio.Task[None] | None = None
        self._must_look_again = False
        self._is_full = False
        self._read_by_client: asyncio.Event | None = None  # while what was sent is waited for
        self._worker: asyncio.Task[None] | None = None

    def start(self, socket: Socket, partner: Partner) -> None:
        """Begin to read."""
        self._socket = socket
        self._partner = partner
        socket.resume_reading()

    # Who it is

    def admit(self, admission: Admission) -> None:
        """It is counted in another place from now on."""
        self._admission.leave()
        self._admission = admission

    @property
    def is_known(self) -> bool:
        """Whether somebody has proved to be somebody."""
        return self._identity is not None

    @property
    def identity(self) -> Identity:
        """Of one that is known."""
        assert self._identity is not None
        return self._identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        self._identity = identity
        self._shown_user = shown_user(identity)

    @property
    def user_id(self) -> int:
        return self.identity.user_id

    @property
    def shown_user(self) -> Mapping[str, Any]:
        """What others see of its user."""
        return self._shown_user

    # SocketListener

    def on_text(self, message: str) -> None:
        """Take one message in."""
        if self._partner is None:
            return
        self.silent_sweeps = 0
        self.spend(1)
        limit = self._partner.max_message_bytes
        if len(message) > limit or (4 * len(message) > limit and len(message.encode()) > limit):
            self._partner.complain(EventErrorCode.TOO_LARGE, f"a message has at most {limit} bytes")
            return
        self._inbox.append(message)
        self._inbox_bytes += len(message)
        if len(self._inbox) >= _MAX_INBOX_MESSAGES or self._inbox_bytes >= _MAX_INBOX_BYTES:
            self._is_full = True
            self._read_or_pause()
        if self._worker is None and self._socket is not None:
            self._worker = asyncio.get_running_loop().create_task(self._work_off())

    def on_binary(self, message: bytes) -> None:
        """This protocol is text."""
        self.silent_sweeps = 0
        self.spend(1)
        if self._partner is not None:
            self._partner.complain(EventErrorCode.NOT_JSON, "text messages only")

    def on_heard(self) -> None:
        """The client is alive."""
        self.silent_sweeps = 0

    def on_pong(self, payload: bytes) -> None:
        """What it has got, it says in words."""

    def on_drained(self) -> None:
        """The client has caught up with reading."""
        self.lagging_sweeps = 0
        if self._read_by_client is not None:
            self._read_by_client.set()

    def on_closed(self, code: int) -> None:
        """The socket is gone."""
        self._forget()

    # Work

    def look_again(self) -> None:
        """Rights may have changed: they are looked up at once, and nothing else is begun meanwhile."""
        self._must_look_again = True
        if self._look is None and self._socket is not None:
            self._look = asyncio.get_running_loop().create_task(self._look_up())

    async def _look_up(self) -> None:
        try:
            while self._must_look_again and self._partner is not None:
                self._must_look_again = False
                await self._partner.look_again()
        except Exception:
            logger.exception("a JSON connection failed")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            self._look = None

    async def _work_off(self) -> None:
        try:
            done = 0
            while self._inbox and self._partner is not None:
                if self._look is not None:
                    await asyncio.wait((self._look,))
                elif self._is_behind:
                    self._read_by_client = asyncio.Event()
                    await self._read_by_client.wait()
                    self._read_by_client = None
                else:
                    await self._partner.act(self._take())
                    done += 1
                    if done % _MESSAGES_PER_TURN == 0:
                        await asyncio.sleep(0)
        except Exception:
            logger.exception("a JSON connection failed")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            self._worker = None

    @property
    def _is_behind(self) -> bool:
        """Whether it asks and does not read the answers: it is answered later."""
        return self._socket is not None and self._socket.buffered_bytes > HIGH_WATER_BYTES

    def _take(self) -> str:
        message = self._inbox.popleft()
        self._inbox_bytes -= len(message)
        if self._is_full and not self._inbox:
            self._is_full = False
            self._read_or_pause()
        return message

    def spend(self, messages: int) -> None:
        """Count so many messages; who sends more than may be is read more slowly."""
        wait_seconds = self._admission.spend(messages, asyncio.get_running_loop().time())
        if wait_seconds and not self.is_throttled:
            self._throttle(wait_seconds)

    def _throttle(self, wait_seconds: float) -> None:
        self.is_throttled = self.was_throttled = True
        self._read_or_pause()
        asyncio.get_running_loop().call_later(wait_seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        """What came before the socket stood still counted too."""
        wait_seconds = self._admission.spend(0, asyncio.get_running_loop().time())
        if wait_seconds:
            self._throttle(wait_seconds)
        else:
            self.is_throttled = False
            self._read_or_pause()

    def _read_or_pause(self) -> None:
        if self._socket is not None:
            if self.is_paused:
                self._socket.pause_reading()
            else:
                self._socket.resume_reading()

    # Saying

    def send(self, text: str) -> None:
        """Say something, unless the client has left too much unread: then it is closed."""
        socket = self._socket
        if socket is None:
            return
        if socket.buffered_bytes > self._max_outbox_bytes:
            self.close(CloseCode.TRY_AGAIN_LATER, "too slow to read what it was sent (max_outbox_bytes)")
        else:
            self.quiet_sweeps = 0
            socket.send_text(text)

    def warn(self, reason: str) -> None:
        """It does too much of something."""
        if self._partner is not None:
            self._partner.complain(EventErrorCode.RATE_LIMITED, reason)

    def deny(self, reason: str) -> None:
        """Something that it did was not accepted."""
        if self._partner is not None:
            self._partner.complain(EventErrorCode.NOT_ALLOWED, reason)

    def refuse(self, code: CloseCode, reason: str) -> None:
        """Say why, then close."""
        if self._partner is not None:
            self._partner.complain(EventErrorCode.UNAUTHORIZED, reason)
        self.close(code, reason)

    def close(self, code: int, reason: str) -> None:
        """Leave every room and end the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.close(code, reason)

    def abort(self) -> None:
        """Leave every room and cut the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.abort()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._inbox.clear()
            self._inbox_bytes = 0
            self._admission.leave()
            if self._read_by_client is not None:
                self._read_by_client.set()
            partner, self._partner = self._partner, None
            if partner is not None:
                partner.end()
            self._on_gone(self)

    # The Connection Manager

    @property
    def is_open(self) -> bool:
        """Whether anybody is there to be told."""
        return self._socket is not None

    @property
    def is_paused(self) -> bool:
        """Whether silence says nothing about the client, since it is not read."""
        return self.is_throttled or self._is_full

    @property
    def is_lagging(self) -> bool:
        """Whether it does not read what it asked for."""
        return self._read_by_client is not None

    @property
    def awaits_status(self) -> bool:
        """No JSON client needs to hear something all the time."""
        return False

    def deliver(self, frame: Frame) -> bool:
        """The Connection Manager's sign of life, which is a ping here."""
        self.quiet_sweeps = 0
        self.ping()
        return True

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._socket is not None:
            self._socket.ping()

    def end_if_stale(self) -> None:
        """It has no replica that could be."""

    # Rights, which it looks up for each of its rooms

    def await_role(self) -> None:
        """They have changed: nothing is done before they were looked up."""
        self.look_again()

    def set_role(self, role: Role) -> None:
        """Something has changed, for everybody it may be."""
        self.look_again()

    @property
    def room_name(self) -> RoomName:
        """Where it always is."""
        return _GLOBAL
