"""ASGI's receive and send, for a WebSocket route that knows nothing of our sockets: itself a listener of one."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from uvicorn.protocols.utils import ClientDisconnected

from server.protocol.websocket_frames import ABNORMAL_CLOSURE, NORMAL_CLOSURE
from server.transport.socket import HIGH_WATER_BYTES, Socket, SocketListener

Event = dict[str, Any]
HeaderPairs = Sequence[tuple[bytes, bytes]]


class Handshake(Protocol):
    """What answers the upgrade request: `PicowsProtocol`."""

    def accept(
        self,
        listener: SocketListener,
        max_message_bytes: int,
        subprotocol: str | None = None,
        headers: HeaderPairs = (),
    ) -> Socket: ...

    def refuse(self, status: int, headers: HeaderPairs, body: bytes) -> None: ...


class AsgiConversation:
    """One connection as an ASGI application sees it (asgi.readthedocs.io, "WebSocket")."""

    __slots__ = (
        "_closed",
        "_denial",
        "_events",
        "_handshake",
        "_max_message_bytes",
        "_socket",
        "_wake",
        "_writable",
    )

    def __init__(self, handshake: Handshake, max_message_bytes: int) -> None:
        self._handshake = handshake
        self._max_message_bytes = max_message_bytes
        self._events: deque[Event] = deque([{"type": "websocket.connect"}])
        self._wake = asyncio.Event()
        self._writable = asyncio.Event()
        self._socket: Socket | None = None
        self._denial: tuple[int, HeaderPairs, bytearray] | None = None
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether the application has accepted here, and it has not ended since."""
        return self._socket is not None and not self._closed

    async def receive(self) -> Event:
        while not self._events:
            self._wake.clear()
            await self._wake.wait()
        event = self._events.popleft()
        if event["type"] == "websocket.disconnect":
            self._events.append(event)  # asked again, it answers the same
        elif not self._events and self._socket is not None:
            self._socket.resume_reading()
        return event

    async def send(self, event: Event) -> None:
        """Raises ClientDisconnected (an OSError, as ASGI asks) when the peer is gone."""
        kind = event["type"]
        if self._closed:
            raise ClientDisconnected
        if self._socket is None:
            self._answer(kind, event)
        elif kind == "websocket.send":
            await self._send(self._socket, event)
        elif kind == "websocket.close":
            self._socket.close(event.get("code", NORMAL_CLOSURE), event.get("reason") or "")
            self.on_closed(event.get("code", NORMAL_CLOSURE))
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r} on an open WebSocket")

    def _answer(self, kind: str, event: Event) -> None:
        headers: HeaderPairs = list(event.get("headers", []))
        if self._denial is not None and kind == "websocket.http.response.body":
            status, headers, body = self._denial
            body += event.get("body", b"")
            if not event.get("more_body", False):
                self._refuse(status, headers, bytes(body))
        elif self._denial is not None:
            raise RuntimeError(f"unexpected ASGI message {kind!r} in an HTTP response")
        elif kind == "websocket.accept":
            accept = self._handshake.accept
            self._socket = accept(self, self._max_message_bytes, event.get("subprotocol"), headers)
            self._socket.resume_reading()
        elif kind == "websocket.close":
            self._refuse(403, [], b"")
        elif kind == "websocket.http.response.start":
            self._denial = event["status"], headers, bytearray()
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r} before the WebSocket is accepted")

    def _refuse(self, status: int, headers: HeaderPairs, body: bytes) -> None:
        self._handshake.refuse(status, headers, body)
        self.on_closed(ABNORMAL_CLOSURE)

    async def _send(self, socket: Socket, event: Event) -> None:
        message = event.get("bytes")
        if message is not None:
            socket.send(message)
        else:
            socket.send_text(event["text"])
        while socket.buffered_bytes > HIGH_WATER_BYTES and not self._closed:
            self._writable.clear()
            await self._writable.wait()

    # What the socket calls

    def on_binary(self, message: bytes) -> None:
        self._arrived({"type": "websocket.receive", "bytes": message})

    def on_text(self, message: str) -> None:
        self._arrived({"type": "websocket.receive", "text": message})

    def on_drained(self) -> None:
        self._writable.set()

    def on_heard(self) -> None: ...
    def on_pong(self, payload: bytes) -> None: ...

    def on_closed(self, code: int) -> None:
        if not self._closed:
            self._closed = True
            self._events.append({"type": "websocket.disconnect", "code": code})
            self._wake.set()
            self._writable.set()

    def _arrived(self, event: Event) -> None:
        self._events.append(event)
        self._wake.set()
        if self._socket is not None:
            self._socket.pause_reading()
