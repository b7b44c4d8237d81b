"""A real uvicorn in this process, what listens to its sockets, and a client that may send any bytes at all."""

import asyncio
import socket as sockets
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect

from server.transport.http_protocol import http_protocol
from server.transport.open_socket import open_socket
from server.transport.picows_protocol import websocket_protocol
from server.transport.socket import Socket

SECONDS = 10.0
"""What any single step of a test may take."""

MAX_MESSAGE_BYTES = 1024 * 1024

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
)


@dataclass(eq=False)
class Recorder:
    """A listener that writes down what it is told; `react` runs after each message."""

    messages: list[bytes | str] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    heard: int = 0
    drained: int = 0
    react: Callable[[bytes | str], None] = lambda _: None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_binary(self, message: bytes) -> None:
        self.messages.append(message)
        self._changed.set()
        self.react(message)

    def on_text(self, message: str) -> None:
        self.messages.append(message)
        self._changed.set()
        self.react(message)

    def on_drained(self) -> None:
        self.drained += 1
        self._changed.set()

    def on_heard(self) -> None:
        self.heard += 1
        self._changed.set()

    def on_pong(self, payload: bytes) -> None:
        self.pongs.append(payload)
        self._changed.set()

    def on_closed(self, code: int) -> None:
        self.closed.append(code)
        self._changed.set()

    async def wait_until(self, is_so: Callable[["Recorder"], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not is_so(self):
                self._changed.clear()
                await self._changed.wait()


class RawClient:
    """A TCP connection that speaks what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.write = writer.write
        self.transport = writer.transport

    @classmethod
    async def connect(cls, port: int) -> "RawClient":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def read_head(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def read_rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    async def read_frame(self) -> tuple[int, bytes]:
        """First byte and payload of the next frame. Raises IncompleteReadError at the end."""
        async with asyncio.timeout(SECONDS):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first, await self.reader.readexactly(size)

    async def read_frames(self) -> list[tuple[int, bytes]]:
        """All frames until the server closes."""
        frames = []
        with suppress(asyncio.IncompleteReadError):
            while True:
                frames.append(await self.read_frame())
        return frames

    async def transport_flushed(self) -> None:
        """Until what was written is with the kernel."""
        async with asyncio.timeout(SECONDS):
            await self.writer.drain()

    def reset(self) -> None:
        """Leave with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def client_frame(first_byte: int, payload: bytes = b"", mask: bytes = b"\x12\x34\x56\x78") -> bytes:
    """A masked frame; `first_byte` holds FIN, the reserved bits and the opcode."""
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 1 << 16:
        length = b"\xfe" + struct.pack("!H", size)
    else:
        length = b"\xff" + struct.pack("!Q", size)
    repeated = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    return bytes((first_byte,)) + length + mask + masked


@dataclass(eq=False)
class Served:
    """A running server whose route `/` opens a socket for a Recorder."""

    uvicorn: uvicorn.Server
    port: int
    opened: asyncio.Queue[tuple[Socket, Recorder]] = field(default_factory=asyncio.Queue)
    _clients: list[ClientConnection | RawClient] = field(default_factory=list)

    @property
    def connections(self) -> set[Any]:
        return self.uvicorn.server_state.connections

    async def open(self, **options: Any) -> tuple[Socket, Recorder, ClientConnection]:
        """Both ends of a new connection; the server's reads nothing yet."""
        client = await connect(f"ws://127.0.0.1:{self.port}/", proxy=None, max_size=None, **options)
        self._clients.append(client)
        return *await self.next_opened(), client

    async def open_raw(self, path: str = "/", more: bytes = b"") -> tuple[Socket, Recorder, RawClient]:
        """The same, with a client that sends what it is told; `more` follows its handshake in one segment."""
        client = await self.raw_client()
        client.write(HANDSHAKE.format(path=path).encode() + more)
        assert b" 101 " in (await client.read_head())
        return *await self.next_opened(), client

    async def raw_client(self) -> RawClient:
        client = await RawClient.connect(self.port)
        self._clients.append(client)
        return client

    async def next_opened(self) -> tuple[Socket, Recorder]:
        async with asyncio.timeout(SECONDS):
            return await self.opened.get()

    async def wait_gone(self) -> None:
        """Until no connection is left."""
        async with asyncio.timeout(SECONDS):
            while self.connections:
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        for client in self._clients:
            client.transport.abort()
        await self.uvicorn.shutdown()


@asynccontextmanager
async def serve(
    *, routes: list[WebSocketRoute] | None = None, close_timeout_seconds: float = 5.0, **config: Any
) -> AsyncIterator[Served]:
    """uvicorn on a free port, with our protocol classes unless `config` names others."""

    async def endpoint(websocket: WebSocket) -> None:
        recorder = Recorder()
        socket = await open_socket(websocket, recorder, max_message_bytes=MAX_MESSAGE_BYTES)
        served.opened.put_nowait((socket, recorder))
        await socket.detach()

    app = Starlette(routes=[*(routes or []), WebSocketRoute("/", endpoint)])
    defaults: dict[str, Any] = {
        "http": http_protocol(),
        "ws": websocket_protocol(close_timeout_seconds=close_timeout_seconds),
        "host": "127.0.0.1",
        "port": 0,
        "log_config": None,
        "lifespan": "off",
        "timeout_graceful_shutdown": 5,
        "ws_per_message_deflate": False,
    }
    server = uvicorn.Server(uvicorn.Config(app, **(defaults | config)))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    served = Served(server, 0 if "uds" in config else server.servers[0].sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        await served.stop()
