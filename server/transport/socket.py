"""The seam between a WebSocket and what speaks over it: bytes in, bytes out, nothing that waits.

Two implementations pass tests/acceptance/socket_suite.py: `picows_socket.PicowsSocket` (uvicorn with our
protocol class) and `asgi_socket.AsgiSocket` (any other ASGI server, and Starlette's TestClient).
`open_socket.open_socket` chooses between them.
"""

from typing import Protocol

from server.protocol.websocket_frames import Frame

HIGH_WATER_BYTES = 64 * 1024
"""`on_drained` is owed once `buffered_bytes` has been above this..."""

LOW_WATER_BYTES = 16 * 1024
"""...and comes when it has fallen to this or below."""


class SocketListener(Protocol):
    """What a socket calls, always on the event loop's thread, never after `on_closed`.

    A call never comes from inside one of the socket's own methods. An exception that escapes from one is
    logged and costs this connection 1011, nothing else.
    """

    def on_binary(self, message: bytes) -> None:
        """A whole binary message, of at most the socket's `max_message_bytes`."""

    def on_text(self, message: str) -> None:
        """A whole text message; its UTF-8 has been checked (RFC 6455 §8.1)."""

    def on_drained(self) -> None:
        """The send buffer, once above HIGH_WATER_BYTES, has fallen to LOW_WATER_BYTES or below."""

    def on_heard(self) -> None:
        """Anything at all arrived, a pong included: the peer is alive."""

    def on_pong(self, payload: bytes) -> None:
        """A pong arrived: everything that was sent before the ping with this payload has, too.

        Never where the server below keeps pings to itself (`AsgiSocket`).
        """

    def on_closed(self, code: int) -> None:
        """The socket is gone, for whatever reason; called exactly once.

        `code`: as received (1005: a close frame without one), else 1006.
        """


class _Nobody:
    """Hears nothing."""

    def on_binary(self, message: bytes) -> None: ...

    def on_text(self, message: str) -> None: ...

    def on_drained(self) -> None: ...

    def on_heard(self) -> None: ...

    def on_pong(self, payload: bytes) -> None: ...

    def on_closed(self, code: int) -> None: ...


NOBODY: SocketListener = _Nobody()
"""Listens to a socket whose client was refused, or that has told its own listener that it is closed."""


class Socket(Protocol):
    """One accepted WebSocket. Reading starts paused. No method blocks, and none raises once it is closed."""

    @property
    def buffered_bytes(self) -> int:
        """What was sent and has not yet reached the kernel."""

    def send(self, message: bytes) -> None:
        """Send one binary message."""

    def send_frame(self, frame: Frame) -> int:
        """Send one binary message that goes to many sockets: its bytes are built, and kept, once.

        Returns `buffered_bytes`.
        """

    def send_text(self, message: str) -> None:
        """Send one text message."""

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life, behind what was sent; the pong shows as `on_heard`, then `on_pong`.

        `payload`: at most 125 bytes, which come back. Of several pings only the last may be answered.
        """

    def pause_reading(self) -> None:
        """Deliver nothing more and let TCP push back on the sender, until `resume_reading`.

        A peer that leaves meanwhile is noticed by a write, or at `resume_reading`, not before.
        """

    def resume_reading(self) -> None: ...

    def close(self, code: int, reason: str = "") -> None:
        """Send what is buffered, then a close frame; the connection ends some seconds later at the latest.

        Only `on_closed` is delivered after this. `reason` is cut to what a close frame holds (123 bytes).
        """

    def abort(self) -> None:
        """End the connection now, without a close frame."""

    async def detach(self) -> None:
        """Return when the request handler may: at once where callbacks carry on, else when it has closed."""
