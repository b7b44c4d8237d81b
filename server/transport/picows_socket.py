"""A WebSocket that lives by callbacks alone: no task and no queue per connection (see `socket.Socket`).

Life: OPEN -> CLOSING (our close frame is out, the peer's is awaited) -> ENDED (nothing more is said or heard,
TCP is let go of). Whatever leads out of OPEN starts one timer, and when that fires the connection is cut.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from picows import WSFrame, WSTransport

from server.protocol import websocket_frames as frames
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import ABNORMAL_CLOSURE, Frame, close_frame, frame_of, server_frame
from server.transport.lingering import linger
from server.transport.messages import (
    BINARY,
    CONTINUATION,
    PartialMessage,
    ProtocolError,
    decode_close,
    decode_text,
)
from server.transport.outbox import Outbox, Slices
from server.transport.picows_reader import LARGE_BYTES, FrameReader, FrameSink, feed
from server.transport.socket import HIGH_WATER_BYTES, NOBODY, SocketListener

_CLOSE, _PING, _PONG = 8, 9, 10
logger = logging.getLogger(__name__)


class _State(Enum):
    OPEN = 1
    CLOSING = 2
    ENDED = 3


_OPEN = _State.OPEN


class PicowsSocket(FrameSink):
    """One accepted WebSocket on a real transport, whose protocol it sets. Reading starts paused."""

    __slots__ = (
        "_close_timeout_seconds",
        "_connections",
        "_early",
        "_held",
        "_listener",
        "_max_message_bytes",
        "_outbox",
        "_partial",
        "_reading",
        "_state",
        "_timer",
        "_transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        listener: SocketListener,
        connections: set[Any],
        *,
        slices: Slices,
        max_message_bytes: int,
        close_timeout_seconds: float,
        early: bytes = b"",
    ) -> None:
        """`connections`: uvicorn's, whose members it shuts down and waits for when it stops.

        `early`: bytes of frames that the client sent, and that were read, before it was accepted.
        """
        self._transport = transport
        self._outbox = Outbox(transport, slices, self._sent)
        self._listener = listener
        self._connections = connections
        self._max_message_bytes = max_message_bytes
        self._close_timeout_seconds = close_timeout_seconds
        self._early = early
        self._state = _OPEN
        self._reading = False
        self._held: deque[bytes | str | int] | None = deque()
        """While paused: messages that had been read by then, and the code of a close frame behind them."""
        self._partial: PartialMessage | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.buffer_is_large = False
        self.buffer_tail_bytes = -1
        connections.add(self)
        if transport.is_closing():
            self._state = _State.ENDED
            asyncio.get_running_loop().call_soon(self.lost)
        else:
            transport.pause_reading()
            transport.set_protocol(FrameReader(self, max_message_bytes))

    # Sending

    @property
    def buffered_bytes(self) -> int:
        return self._outbox.buffered_bytes

    def send(self, message: bytes) -> None:
        if self._state is _OPEN:
            self._outbox.add(server_frame(message))

    def send_frame(self, frame: Frame) -> int:
        return self._outbox.add_now(frame.wire) if self._state is _OPEN else 0

    def send_text(self, message: str) -> None:
        if self._state is _OPEN:
            self._outbox.add(frame_of(frames.TEXT, message.encode(errors="replace")))

    def ping(self, payload: bytes = b"") -> None:
        if self._state is _OPEN:
            self._outbox.add(frame_of(frames.PING, payload))

    # Reading

    def pause_reading(self) -> None:
        if self._state is _OPEN and self._reading:
            self._reading = False
            if self._held is None:
                self._held = deque()
                self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._state is _OPEN and not self._reading:
            self._reading = True
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        """Deliver what was held back and read on, unless the listener pauses again meanwhile."""
        while self._held and self._reading and self._state is _OPEN:
            self._deliver(self._held.popleft())
        if self._held and self._state is _State.CLOSING and isinstance(self._held[-1], int):
            self._end(self._held[-1])
        if self._held is not None and self._reading and not self._has_ended():
            self._held = None
            if self._early:
                feed(self._transport.get_protocol(), self._early)
                self._early = b""
            if self._held is None and not self._has_ended():
                self._transport.resume_reading()

    def _has_ended(self) -> bool:
        return self._state is _State.ENDED

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.buffer_is_large or frame.payload_size > LARGE_BYTES:
            self.buffer_is_large = True
            self.buffer_tail_bytes = frame.tail_size
        if self._state is _State.ENDED:
            return
        try:
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                raise ProtocolError(CloseCode.PROTOCOL_ERROR, "reserved bits")
            opcode = int(frame.msg_type)  # type: ignore[call-overload]  # an IntEnum, says picows.pyx
            if opcode >= _CLOSE:
                self._receive_control(opcode, frame.get_payload_as_bytes())
            elif self._state is _OPEN:
                message = self._assemble(opcode, frame)
                if message is not None:
                    self._take(message)
        except ProtocolError as violation:
            self._fail(violation.code, violation.reason)

    def _assemble(self, opcode: int, frame: WSFrame) -> bytes | str | None:
        """The message that this frame completes, if any (RFC 6455 §5.4)."""
        payload = frame.get_payload_as_bytes()
        if opcode == CONTINUATION:
            if self._partial is None:
                raise ProtocolError(CloseCode.PROTOCOL_ERROR, "continuation of nothing")
            self._partial.add(payload, self._max_message_bytes)
        elif self._partial is not None:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "message inside a message")
        elif frame.fin:
            return payload if opcode == BINARY else decode_text(payload)
        else:
            self._partial = PartialMessage(opcode, payload)
        if not frame.fin:
            return None
        partial, self._partial = self._partial, None
        return partial.whole()

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        if opcode == _CLOSE:
            code = decode_close(payload)
            if self._state is _OPEN:
                self._take(code)
            else:
                self._end(code)
        elif opcode == _PING and self._state is _OPEN and self.buffered_bytes <= HIGH_WATER_BYTES:
            # A peer that asks without reading the answers gets none: only the last must be answered (§5.5.3).
            self._outbox.add(frame_of(frames.PONG, payload))
        elif opcode == _PONG and self._state is _OPEN:
            self._call(self._listener.on_pong, payload)

    def _take(self, message: bytes | str | int) -> None:
        """Deliver a message, or a close frame's code, in its turn."""
        if self._held is None:
            self._deliver(message)
        elif not (
            self._held and isinstance(self._held[-1], int)
        ):  # nothing counts behind a close frame (§5.5.1)
            self._held.append(message)

    def _deliver(self, message: bytes | str | int) -> None:
        if isinstance(message, bytes):
            self._call(self._listener.on_binary, message)
        elif isinstance(message, str):
            self._call(self._listener.on_text, message)
        else:
            self._outbox.add(close_frame(message))
            self._end(message)

    def _call(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            callback(*args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # pycrdt's PanicException is no Exception
            logger.exception("a WebSocket's listener failed")
            self._fail(CloseCode.INTERNAL_ERROR, "internal error")

    def heard(self) -> None:
        if self._state is _OPEN:
            self._call(self._listener.on_heard)

    def drained(self) -> None:
        self._outbox.drained()

    def _sent(self) -> None:
        if self._state is _OPEN:
            self._call(self._listener.on_drained)

    def renew_reader(self) -> None:
        """Give a large read buffer back: the new reader takes over between two frames."""
        if not self._early:  # else the old one is still being fed
            self._transport.set_protocol(FrameReader(self, self._max_message_bytes))
            self.buffer_is_large = False
            self.buffer_tail_bytes = -1

    # Ending

    def close(self, code: int, reason: str = "") -> None:
        if self._state is _OPEN:
            self._outbox.add(close_frame(code, reason))
            self._state = _State.CLOSING
            self._cut_later()
            if not self._reading:  # what comes is discarded now, but the peer's close frame is wanted
                self._reading = True
                asyncio.get_running_loop().call_soon(self._release)

    def shutdown(self) -> None:
        """What uvicorn calls when the server stops."""
        self.close(CloseCode.SERVICE_RESTART, "server restart")

    def abort(self) -> None:
        self._state = _State.ENDED
        self._transport.abort()

    async def detach(self) -> None:
        """Return at once: callbacks carry on."""

    def parser_failed(self, code: int) -> None:
        if code == CloseCode.MESSAGE_TOO_BIG:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "message too big")
        elif code == CloseCode.INVALID_TEXT:
            self._fail(CloseCode.INVALID_TEXT, "reason is not UTF-8")
        else:
            self._fail(CloseCode.PROTOCOL_ERROR, "invalid frame")

    def _fail(self, code: CloseCode, reason: str) -> None:
        """Fail the connection (RFC 6455 §7.1.7)."""
        if self._state is _State.ENDED:
            return
        if self._state is _OPEN:
            logger.info("closing a WebSocket with %d: %s", code, reason)
            self._outbox.add(close_frame(code, reason))
        self._end(ABNORMAL_CLOSURE)

    def _end(self, code: int) -> None:
        self._state = _State.ENDED
        self._cut_later()
        self._outbox.flush()
        linger(self._transport, self.lost)
        self._tell(code)

    def peer_ended(self) -> None:
        """The peer has closed its side of TCP; the transport closes once its buffer is empty."""
        self._state = _State.ENDED
        self._cut_later()
        self._tell(ABNORMAL_CLOSURE)

    def lost(self) -> None:
        """The transport is gone."""
        self._state = _State.ENDED
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._held = self._partial = None
        self._outbox.clear()
        self._early = b""
        self._tell(ABNORMAL_CLOSURE)

    def _cut_later(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._close_timeout_seconds, self._transport.abort)

    def _tell(self, code: int) -> None:
        listener, self._listener = self._listener, NOBODY
        self._call(listener.on_closed, code)
