"""uvicorn's HTTP protocol class, with what it lacks against half-sent requests: limits for their headers and number.

Its access log is off: it prints query strings, and those may hold tokens.
"""

import asyncio
import sys
from functools import partial
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.limits.peers import Crowded, Peers
from server.transport.lingering import linger

LINGER_SECONDS = 2.0
"""How long a client may take to hang up after it was told why."""


def http_protocol(
    *,
    handshake_timeout_seconds: float = 10.0,
    max_header_bytes: int = 64 * 1024,
    peers: Peers | None = None,
) -> type["HttpProtocol"]:
    """The class for uvicorn's `http`, with these settings; without `peers` nobody counts connections."""
    settings = {
        "handshake_timeout_seconds": handshake_timeout_seconds,
        "max_header_bytes": max_header_bytes,
        "peers": peers,
    }
    return type("HttpProtocol", (HttpProtocol,), settings)


class HttpProtocol(HttpToolsProtocol):
    """A connection whose request headers must be complete in time, and not too long.

    The time counts from connecting, later from a request's first byte. Too late is answered 408 (or not at all
    if nothing came: browsers open spare connections), too long 431. One too many of an address is closed at once.
    """

    handshake_timeout_seconds: ClassVar[float] = 10.0
    max_header_bytes: ClassVar[int] = 64 * 1024
    peers: ClassVar[Peers | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.accesslogger = False
        self._deadline: asyncio.TimerHandle | None = None
        self._counted_address: str | None = None
        self._has_ended = False
        self._in_headers = False
        self._header_bytes = 0
        self._pending_bytes = 0
        """Fed to the parser since it last reported a piece of a body or a message's end."""
        self._data = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if self._enter():
            self._start_deadline()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._data = data
        self._pending_bytes += len(data)
        super().data_received(data)
        self._data = b""
        if self.parser is None or self._has_ended or self.transport.is_closing():
            return
        if self._pending_bytes > self.max_header_bytes:
            self._end(431)
        elif not self._in_headers:
            self._stop_deadline()
        elif self._deadline is None:
            self._start_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand over also what the client sent right behind its handshake, which uvicorn 0.54 drops."""
        self._stop_deadline()
        self._leave()
        upgrade = sys.exception()
        early = self._data[upgrade.args[0] :] if isinstance(upgrade, httptools.HttpParserUpgrade) else b""
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]  # they hold each other; as in uvicorn's connection_lost
        protocol = self.transport.get_protocol()
        if early and isinstance(protocol, asyncio.Protocol) and not self.transport.is_closing():
            protocol.data_received(early)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self._leave()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        if self._header_bytes > self.max_header_bytes:
            self._end(431)
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        """An exception in a callback makes the parser give up, and uvicorn call `send_400_response`."""
        self._header_bytes += size
        if self._header_bytes > self.max_header_bytes:
            raise ValueError("headers too long")

    def _enter(self) -> bool:
        """Count the connection: `client` is the TCP peer, whatever a proxy's headers say later."""
        if self.peers is not None and self.client is not None:
            try:
                self._counted_address = self.peers.enter(self.client[0])
            except Crowded:
                return False
        return True

    def _leave(self) -> None:
        if self.peers is not None and self._counted_address is not None:
            self.peers.leave(self._counted_address)
            self._counted_address = None

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.handshake_timeout_seconds, self._too_late)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if self.flow.read_paused:  # not the client's fault: an earlier request is still being answered
            self._start_deadline()
        elif self._in_headers:
            self._end(408)
        else:
            self.transport.close()

    def _end(self, status: int) -> None:
        self._stop_deadline()
        self._has_ended = True
        if self.cycle is not None and not self.cycle.response_complete:  # in the middle of another response
            self.transport.close()
            return
        self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self._deadline = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        linger(self.transport, partial(self.connection_lost, None))
