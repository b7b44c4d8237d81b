"""The seam between a WebSocket and what speaks over it: bytes in, bytes out, nothing that waits.

Two implementations pass tests/acceptance/socket_suite.py: `picows_protocol.PicowsSocket` (uvicorn with our
protocol class) and `asgi_socket.AsgiSocket` (any other ASGI server, and Starlette's TestClient).
"""

from typing import Protocol


class SocketListener(Protocol):
    """What a socket calls, always on the event loop's thread, never after `on_closed`."""

    def on_binary(self, message: bytes) -> None:
        """A whole binary message, of at most the socket's `max_message_bytes`."""

    def on_text(self, message: str) -> None:
        """A whole text message; its UTF-8 has been checked (RFC 6455 §8.1)."""

    def on_drained(self) -> None:
        """The send buffer, once above its high-water mark, has fallen below the low one."""

    def on_heard(self) -> None:
        """Anything at all arrived, a pong included: the peer is alive."""

    def on_closed(self, code: int) -> None:
        """The socket is gone, for whatever reason; called exactly once. `code`: as received, else 1006."""


class Socket(Protocol):
    """One accepted WebSocket. Reading starts paused. No method blocks, and none raises once it is closed."""

    @property
    def buffered_bytes(self) -> int:
        """What was sent and has not yet reached the kernel."""

    def send(self, message: bytes) -> None:
        """Send one binary message."""

    def send_text(self, message: str) -> None:
        """Send one text message."""

    def ping(self) -> None:
        """Ask for a sign of life; the pong shows as `on_heard`."""

    def pause_reading(self) -> None:
        """Deliver nothing more and let TCP push back on the sender, until `resume_reading`."""

    def resume_reading(self) -> None: ...

    def close(self, code: int, reason: str = "") -> None:
        """Send what is buffered, then a close frame; the connection ends some seconds later at the latest."""

    def abort(self) -> None:
        """End the connection now, without a close frame."""

    async def detach(self) -> None:
        """Return when the request handler may: at once where callbacks carry on, else when it has closed."""
