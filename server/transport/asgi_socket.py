"""The Socket interface over plain ASGI: for Starlette's TestClient and for servers that are not uvicorn."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import ABNORMAL_CLOSURE, Frame, cut_reason
from server.transport.socket import HIGH_WATER_BYTES, LOW_WATER_BYTES, SocketListener

MAX_BUFFERED_BYTES = 64 * 1024 * 1024
"""Nobody should get here, for `buffered_bytes` is there to be looked at; who does is cut off."""

logger = logging.getLogger(__name__)


class AsgiSocket:
    """One accepted WebSocket. Nothing moves, in either direction, before `detach` runs."""

    def __init__(
        self,
        websocket: WebSocket,
        listener: SocketListener,
        *,
        max_message_bytes: int,
        close_timeout_seconds: float = 5.0,
        max_buffered_bytes: int = MAX_BUFFERED_BYTES,
    ) -> None:
        """`websocket` has been accepted."""
        self._websocket = websocket
        self._listener = listener
        self._max_message_bytes = max_message_bytes
        self._close_timeout_seconds = close_timeout_seconds
        self._max_buffered_bytes = max_buffered_bytes
        self._outgoing: deque[tuple[int, dict[str, Any]]] = deque()
        self._buffered_bytes = 0
        self._was_above_high_water = False
        self._is_open = True
        self._has_told = False
        self._something_to_send = asyncio.Event()
        self._reading = asyncio.Event()
        self._aborted = asyncio.Event()

    @property
    def buffered_bytes(self) -> int:
        return self._buffered_bytes

    def send(self, message: bytes) -> None:
        self._enqueue(len(message), {"type": "websocket.send", "bytes": message})

    def send_frame(self, frame: Frame) -> int:
        self.send(frame.message)
        return self._buffered_bytes

    def send_text(self, message: str) -> None:
        self._enqueue(len(message.encode(errors="replace")), {"type": "websocket.send", "text": message})

    def ping(self, payload: bytes = b"") -> None:
        """ASGI has no ping: the server below keeps watch with its own, so the peer is taken to be there."""
        asyncio.get_running_loop().call_soon(self._heard)

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    def close(self, code: int, reason: str = "") -> None:
        self._enqueue(0, {"type": "websocket.close", "code": code, "reason": cut_reason(reason)})
        if self._is_open:
            self._is_open = False
            self._reading.set()
            loop = asyncio.get_running_loop()
            loop.call_later(self._close_timeout_seconds, self._aborted.set)

    def abort(self) -> None:
        self._is_open = False
        self._aborted.set()

    async def detach(self) -> None:
        """Carry messages until the connection has ended."""
        try:
            async with anyio.create_task_group() as pumps:
                for pump in (self._read, self._write, self._aborted.wait):
                    pumps.start_soon(self._run, pump, pumps.cancel_scope)
        finally:
            self._is_open = False
            self._tell(ABNORMAL_CLOSURE)

    @staticmethod
    async def _run(pump: Callable[[], Awaitable[object]], all_pumps: anyio.CancelScope) -> None:
        """The first one to end ends all."""
        with suppress(OSError, WebSocketDisconnect):  # the peer is gone, says the server
            await pump()
        all_pumps.cancel()

    def _enqueue(self, size: int, event: dict[str, Any]) -> None:
        if not self._is_open:
            return
        self._outgoing.append((size, event))
        self._buffered_bytes += size
        self._was_above_high_water |= self._buffered_bytes > HIGH_WATER_BYTES
        self._something_to_send.set()
        if self._buffered_bytes > self._max_buffered_bytes:
            logger.warning("cutting off a WebSocket that left %d bytes unread", self._buffered_bytes)
            self.abort()

    async def _write(self) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while self._outgoing:
                size, event = self._outgoing.popleft()
                await self._websocket.send(event)
                self._buffered_bytes -= size
                if self._was_above_high_water and self._buffered_bytes <= LOW_WATER_BYTES:
                    self._was_above_high_water = False
                    if self._is_open:
                        self._call(self._listener.on_drained)

    async def _read(self) -> None:
        while True:
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                self._is_open = False
                self._tell(event.get("code") or ABNORMAL_CLOSURE)
                return
            await self._reading.wait()  # one message ahead, so as to notice when the peer leaves
            if self._is_open:
                self._heard()
                self._deliver(event)

    def _deliver(self, event: Any) -> None:
        message = event.get("bytes")
        text = event.get("text")
        if len(message if message is not None else text.encode()) > self._max_message_bytes:
            self.close(CloseCode.MESSAGE_TOO_BIG, "message too big")
        elif message is not None:
            self._call(self._listener.on_binary, message)
        else:
            self._call(self._listener.on_text, text)

    def _heard(self) -> None:
        if self._is_open:
            self._call(self._listener.on_heard)

    def _tell(self, code: int) -> None:
        if not self._has_told:
            self._has_told = True
            self._call(self._listener.on_closed, code)

    def _call(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            callback(*args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # pycrdt's PanicException is no Exception
            logger.exception("a WebSocket's listener failed")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
