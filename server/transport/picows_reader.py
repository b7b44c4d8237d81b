"""picows as a parser of frames and nothing else: it never sees the real transport, what it writes goes nowhere.

So the handshake, every byte sent and the way a connection ends are ours (`picows_protocol`, `picows_socket`),
and these habits of picows 2.3.1 cannot reach a client: it parses one frame ahead, and would answer an error in it
before the message in front of it is delivered; it writes to the file descriptor past the transport; for a large
message it gives the transport a view of a header buffer that its next send overwrites; it fails on Unix sockets.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from picows import WSAutoPingStrategy, WSListener, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # left out of its stubs

LARGE_BYTES: Final = 24 * 1024
"""While no read and no frame is larger, picows' buffer, which doubles and never shrinks, is 56 KiB at most."""

_HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""What picows must have read before it parses frames; the real one has been answered by us."""

_RESPONSE: Final = WSUpgradeResponse.create_101_response()
logger = logging.getLogger(__name__)
_parse: Final[Callable[[Any, int], None]] = WSProtocol.buffer_updated


class FrameSink(WSListener):
    """Who gets the frames (`on_ws_frame`) and what concerns the connection as a whole."""

    __slots__ = ("buffer_is_large", "buffer_tail_bytes")

    buffer_is_large: bool
    """Set by whoever sees more than LARGE_BYTES at once; `FrameReader` then asks to be renewed when empty."""

    buffer_tail_bytes: int
    """While the buffer is large: what stood in it behind the last frame."""

    def heard(self) -> None: ...
    def parser_failed(self, code: int) -> None: ...
    def renew_reader(self) -> None: ...
    def drained(self) -> None: ...
    def peer_ended(self) -> None: ...
    def lost(self) -> None: ...


class FrameReader(WSProtocol):  # type: ignore[misc]  # see the import
    """The asyncio protocol of an open WebSocket."""

    __slots__ = ("_sink",)

    data_received = None
    """Without it uvloop keeps that of the protocol before, and so the handshake's objects, alive."""

    def __init__(self, sink: FrameSink, max_frame_bytes: int) -> None:
        super().__init__(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda _: WSUpgradeResponseWithListener(_RESPONSE, sink),
            logger=_QUIET,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,
            enable_auto_ping=False,
            auto_ping_idle_timeout=0,
            auto_ping_reply_timeout=0,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=max_frame_bytes,
            extra_headers=None,
            read_buffer_init_size=2048,
        )
        self._sink = sink
        super().connection_made(_NOWHERE)
        feed(super(), _HANDSHAKE)
        self.transport.request.headers = _RESPONSE.headers  # shared: its own would cost 1 KB

    def buffer_updated(self, nbytes: int) -> None:
        sink = self._sink
        sink.heard()
        if nbytes > LARGE_BYTES:
            sink.buffer_is_large = True
        _parse(self, nbytes)
        if self.transport.is_close_frame_sent:
            sink.parser_failed(self.transport.close_handshake.sent.code)
        elif sink.buffer_is_large and sink.buffer_tail_bytes == 0:
            sink.renew_reader()

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None:
        self._sink.drained()

    def eof_received(self) -> bool:
        self._sink.peer_ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.lost()


def feed(reader: Any, data: bytes) -> None:
    """Give a reader bytes that did not come from its transport."""
    rest = memoryview(data)
    while rest:
        buffer = reader.get_buffer(-1)
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        rest = rest[size:]
        reader.buffer_updated(size)


class _Nowhere:
    """The transport that picows sees. One serves all: it keeps nothing and does nothing."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 1  # not 0: else picows writes to the descriptor itself

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *_: Any) -> None: ...
    def getsockopt(self, *_: Any) -> int:
        return 0

    def write(self, _: bytes) -> None: ...
    def writelines(self, _: list[bytes]) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class _Quiet:
    """picows' logger: what ends one connection is told by us, only what it did not expect is passed on."""

    def isEnabledFor(self, _: int) -> bool:  # noqa: N802  # logging's name
        return False

    def debug(self, *_: Any) -> None: ...

    info = error = log = debug

    def warning(self, message: str, *args: Any) -> None:
        logger.warning(message, *args)

    def exception(self, message: str, *args: Any) -> None:
        logger.exception(message, *args)


_NOWHERE: Final = _Nowhere()
_QUIET: Final = _Quiet()
