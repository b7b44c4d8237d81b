"""One Hocuspocus socket: which of its addresses wait for a token, which are documents, which are shut."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from server.limits.connections import Admission
from server.protocol.closing import CloseCode
from server.protocol.hocuspocus import (
    PING,
    PONG,
    Auth,
    ClientMessage,
    CloseDocument,
    MalformedFrame,
    address_prefix,
    permission_denied,
    read_address,
    read_message,
)
from server.protocol.varint import MalformedBytes
from server.protocol.websocket_frames import Frame
from server.transport.hocuspocus_document import HocuspocusDocument
from server.transport.pacing import MESSAGE_COST_BYTES, Paced, Pause
from server.transport.socket import Socket

Admit = Callable[["HocuspocusConnection", str, Auth], Coroutine[Any, Any, None]]


@dataclass(slots=True, eq=False)
class _Place:
    """An address: what waits for its token, or its document; neither: it is shut until the next token."""

    queue: list[tuple[ClientMessage, int]] | None = field(default_factory=list)
    queued_bytes: int = 0
    document: HocuspocusDocument | None = None
    task: asyncio.Task[None] | None = None


class HocuspocusConnection(Paced):
    """A `SocketListener`, and a `Line` to its documents."""

    def __init__(
        self,
        admission: Admission,
        admit: Admit,
        on_gone: Callable[["HocuspocusConnection"], None],
        *,
        max_outbox_bytes: int,
        max_queued_bytes: int,
        max_documents: int,
    ) -> None:
        self.silent_sweeps = self.quiet_sweeps = self.lagging_sweeps = self.throttled_sweeps = 0
        self.was_throttled = False
        self.awaits_status = False
        self.user_id: int | None = None  # of all its documents, once there was one
        self._admission = admission
        self._admit = admit
        self._on_gone = on_gone
        self._max_outbox_bytes = max_outbox_bytes
        self._max_queued_bytes = max_queued_bytes
        self._max_documents = max_documents
        self._answers_pings = False
        self._places: dict[str, _Place] = {}
        self._pauses = 0
        self._turn = 0.0
        self._turn_bytes = 0
        self._socket: Socket | None = None

    def start(self, socket: Socket) -> None:
        """Begin to read."""
        self._socket = socket
        socket.resume_reading()

    @property
    def is_open(self) -> bool:
        """Whether anybody is there."""
        return self._socket is not None

    @property
    def documents(self) -> list[HocuspocusDocument]:
        """Those that are open."""
        return [place.document for place in self._places.values() if place.document is not None]

    # SocketListener

    def on_binary(self, message: bytes) -> None:
        """Act on one frame of the client."""
        self.silent_sweeps = 0
        self._count_turn(message)
        if message == PING:
            self.send_frame(Frame(PONG))
        elif message != PONG:
            self._receive(message)
        self._spend(1, self._turn)

    def _receive(self, frame: bytes) -> None:
        try:
            address, position = read_address(frame)
        except MalformedFrame as error:
            code = CloseCode.UNAUTHORIZED if self.user_id is None else CloseCode.RESET_CONNECTION
            self.close(code, str(error))
            return
        place = self._places.get(address)
        try:
            message = read_message(frame, position)
            if isinstance(message, Auth):
                self._authenticate(address, place or _Place(), message)
            elif isinstance(message, CloseDocument):
                self._leave(address)
            elif place is not None and place.document is not None:
                place.document.take(message, len(frame) + MESSAGE_COST_BYTES)
            else:
                self._queue(address, place or _Place(), message, len(frame) + MESSAGE_COST_BYTES)
        except MalformedBytes as error:
            if place is not None and place.document is not None:
                place.document.fail(error)
            else:
                self.close(CloseCode.RESET_CONNECTION, str(error))

    def on_text(self, message: str) -> None:
        """This protocol is binary."""
        self.close(CloseCode.UNSUPPORTED_DATA, "binary messages only")

    def on_heard(self) -> None:
        """The client is alive."""
        self.silent_sweeps = 0

    def on_pong(self, payload: bytes) -> None:
        """The client has got what was sent before the ping."""
        for document in self.documents:
            document.answered(payload)

    def on_drained(self) -> None:
        """The client has caught up with reading."""
        if self.is_lagging:
            self.lagging_sweeps = 0
            self._release(Pause.LAGGING)
            for document in self.documents:
                document.caught_up()

    def on_closed(self, code: int) -> None:
        """The socket is gone."""
        self._forget()

    # Addresses

    def _authenticate(self, address: str, place: _Place, auth: Auth) -> None:
        if auth.version is not None:
            self._answers_pings = True
        if address not in self._places:
            if len(self._places) >= self._max_documents:
                reason = f"at most {self._max_documents} documents (max_rooms_per_connection)"
                self.say(address, permission_denied(reason))
                return
            self._places[address] = place
        if place.task is not None:
            return  # one token at a time
        if place.document is None and place.queue is None:
            place.queue = []
        place.task = asyncio.get_running_loop().create_task(self._look_at(address, place, auth))

    async def _look_at(self, address: str, place: _Place, auth: Auth) -> None:
        try:
            await self._admit(self, address, auth)
        finally:
            place.task = None

    def _queue(self, address: str, place: _Place, message: ClientMessage, size_bytes: int) -> None:
        if address not in self._places:
            if len(self._places) >= self._max_documents:
                return
            self._places[address] = place
        if place.queue is None:  # shut
            return
        place.queue.append((message, size_bytes))
        place.queued_bytes += size_bytes
        if sum(each.queued_bytes for each in self._places.values()) > self._max_queued_bytes:
            limit = self._max_queued_bytes
            self.close(CloseCode.MESSAGE_TOO_BIG, f"over {limit} bytes before a token (max_queued_bytes)")

    def _leave(self, address: str) -> None:
        place = self._places.pop(address, None)
        if place is not None:
            if place.task is not None:
                place.task.cancel()
            if place.document is not None:
                place.document.leave()

    def document_at(self, address: str) -> HocuspocusDocument | None:
        """What is open there."""
        place = self._places.get(address)
        return None if place is None else place.document

    def open(self, document: HocuspocusDocument) -> None:
        """Its token is good: it hears what has waited for it. Raises KeyError if the client has left it."""
        place = self._places[document.address]
        queue, place.queue, place.queued_bytes = place.queue or [], None, 0
        place.document = document
        document.start()
        try:
            for message, size_bytes in queue:
                document.take(message, size_bytes)
        except MalformedBytes as error:
            document.fail(error)

    def shut(self, address: str, reason: str) -> None:
        """Its token is not good: what comes for it is dropped until there is another."""
        self.say(address, permission_denied(reason))
        place = self._places.get(address)
        if place is not None:
            place.queue, place.queued_bytes = None, 0

    def closed(self, document: HocuspocusDocument) -> None:
        """The document has ended."""
        place = self._places.get(document.address)
        if place is not None and place.document is document:
            place.document = None

    def end_if_unknown(self) -> None:
        """Its time to show a token is over; what waits for a token of its own is not for ever, either."""
        if self.user_id is None:
            self.close(CloseCode.AUTHENTICATION_TIMEOUT, "no token came (authentication_seconds)")

    def admit(self, admission: Admission, user_id: int) -> None:
        """Its user is known from now on."""
        self._admission.leave()
        self._admission = admission
        self.user_id = user_id

    # Line

    def say(self, address: str, message: bytes) -> None:
        """Send it to one address."""
        self.send_frame(Frame(address_prefix(address) + message))

    def send_frame(self, frame: Frame) -> None:
        """Send it; who leaves too much unread is behind from then on."""
        if self._socket is not None:
            self.quiet_sweeps = 0
            if self._socket.send_frame(frame) > self._max_outbox_bytes:
                self._pause(Pause.LAGGING)

    def spend(self, messages: int) -> None:
        """Count so many messages."""
        self._spend(messages, asyncio.get_running_loop().time())

    def inbox_changed(self) -> None:
        """Where too much waits for documents that are paused, the socket is not read."""
        waiting_bytes = sum(document.waiting_bytes for document in self.documents)
        if waiting_bytes > self._max_queued_bytes:
            self._pause(Pause.FULL)
        elif self._pauses & Pause.FULL:
            self._release(Pause.FULL)

    def deliver(self, frame: Frame) -> bool:
        """The Connection Manager's sign of life."""
        document = next(iter(self.documents), None)
        if document is not None:
            document.deliver(frame)
        elif self._answers_pings:
            self.send_frame(Frame(PING))
        self.quiet_sweeps = 0
        return True

    def warn(self, reason: str) -> None:
        """The protocol has no words for it."""

    def end_if_stale(self) -> None:
        """Those of an earlier epoch that have not said what they have."""
        for document in self.documents:
            document.end_if_stale()

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life."""
        if self._socket is not None:
            self._socket.ping(payload)

    def close(self, code: CloseCode, reason: str) -> None:
        """Leave every document and end the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.close(code, reason)

    def abort(self) -> None:
        """Leave every document and cut the connection."""
        socket = self._socket
        if socket is not None:
            self._forget()
            socket.abort()

    def _pause(self, reason: int) -> None:
        if not self._pauses and self._socket is not None:
            self._socket.pause_reading()
        self._pauses |= reason

    def _release(self, reason: int) -> None:
        self._pauses &= ~reason
        if not self._pauses and self._socket is not None:
            self._socket.resume_reading()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._admission.leave()
            for address in tuple(self._places):
                self._leave(address)
            self._on_gone(self)
