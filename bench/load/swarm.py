"""Many WebSocket clients in one thread, made to cost less than the servers they measure.

Sockets are read without asyncio, and what a read brings is looked up by its bytes: a server sends the same ones to
everybody in a room, so only the first receiver's are parsed.
"""

import errno
import select
import selectors
import socket
import time
from collections.abc import Iterable, Sequence

from bench.load.client import Client
from bench.load.coverage import Chunk, read_chunk
from bench.load.dialects import Dialect
from bench.load.frames import PONG, masked_frame

_READ_BYTES = 32 * 1024
_KNOWN_BYTES = 16 * 1024  # longer chunks are catch-ups, which few receive
_OPEN_AT_ONCE = 64
_OPEN_SECONDS = 60.0

Arrival = tuple[float, int, int, int]
"""When, and the run that was new to its receiver: key, first, end."""


class SwarmError(Exception):
    """The server did not do what every workload needs."""


class Swarm:
    """Clients of one server, and what came to them since `start_counting`."""

    def __init__(self, port: int, dialect: Dialect) -> None:
        self._address = ("127.0.0.1", port)
        self._dialect = dialect
        self._selector = selectors.DefaultSelector()
        self._known: dict[bytes, Chunk] = {}
        self.lost = 0  # connections that the server closed
        self.start_counting()

    def start_counting(self) -> None:
        """Everything from here on."""
        self.covered = self.messages = self.received_bytes = 0
        self.last_arrival_at = time.perf_counter()
        self.arrivals: list[Arrival] = []

    def open(self, clients: Sequence[Client], at_once: int = _OPEN_AT_ONCE) -> None:
        """Connect, and return when each has its first SyncStep2. Raises SwarmError."""
        ends_at = time.perf_counter() + _OPEN_SECONDS
        waiting: list[Client] = []
        opened = 0
        while opened < len(clients) or waiting:
            while opened < len(clients) and len(waiting) < at_once:
                self.start_opening(clients[opened])
                waiting.append(clients[opened])
                opened += 1
                if not opened % 32:
                    self.poll(0)
            self.poll(0.1)
            waiting = [client for client in waiting if not client.synced_at]
            if self.lost or time.perf_counter() > ends_at:
                raise SwarmError(f"{len(waiting)} clients got no answer, {self.lost} were closed")

    def start_opening(self, client: Client) -> None:
        """Begin to connect."""
        client.socket = connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.opened_at = time.perf_counter()
        client.unsent = client.request
        status = connection.connect_ex(self._address)
        if status not in (0, errno.EINPROGRESS):
            raise SwarmError(f"cannot connect: {errno.errorcode[status]}")
        self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def close(self, clients: Iterable[Client]) -> None:
        """Drop these connections without a word."""
        for client in clients:
            if client.socket is not None:
                self._selector.unregister(client.socket)
                client.socket.close()
                client.reset()

    def send(self, client: Client, frame: bytes) -> None:
        """Write now what the socket takes, the rest when it can."""
        if client.socket is None:
            return
        if client.unsent:
            client.unsent += frame
            return
        try:
            sent = client.socket.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(client)
            return
        if sent < len(frame):
            client.unsent = frame[sent:]
            self._selector.modify(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def poll(self, seconds: float) -> None:
        """Deal with what is ready, after waiting for it at most so long."""
        if seconds > 0:  # selectors would round up to whole milliseconds
            select.select((self._selector,), (), (), seconds)
        for key, events in self._selector.select(0):
            client: Client = key.data
            if client.socket is None:
                continue
            if events & selectors.EVENT_WRITE:
                self._flush(client)
            else:
                self._read(client)

    def settle(self, quiet_seconds: float, limit_seconds: float = 30.0) -> None:
        """Return when nothing has come for a while."""
        started = self.last_arrival_at = time.perf_counter()
        while (now := time.perf_counter()) - self.last_arrival_at < quiet_seconds:
            if now - started > limit_seconds:
                raise SwarmError("the server does not become quiet")
            self.poll(0.05)

    def _flush(self, client: Client) -> None:
        assert client.socket is not None
        frames, client.unsent = client.unsent, b""
        self._selector.modify(client.socket, selectors.EVENT_READ, client)
        if frames:
            self.send(client, frames)

    def _read(self, client: Client) -> None:
        assert client.socket is not None
        try:
            data = client.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(client)
            return
        now = self.last_arrival_at = time.perf_counter()
        self.received_bytes += len(data)
        if client.rest:
            data = client.rest + data
        if not client.is_open:
            data = self._finish_upgrade(client, data)
            if not client.is_open:
                client.rest = data
                return
        chunk = self._known.get(data) or self._parse(data)
        client.rest = chunk.rest
        self.messages += chunk.messages
        if client.received is not None:
            client.received.append(chunk)
        has = client.has
        if has is not None:
            for key, first, end in chunk.runs:
                known = has.get(key, 0)
                if first <= known < end:
                    has[key] = end
                    if key not in client.own:
                        self.covered += end - known
                        self.arrivals.append((now, key, known, end))
        if not chunk.is_plain:
            self._react(client, chunk, now)

    def _finish_upgrade(self, client: Client, data: bytes) -> bytes:
        """The bytes behind the answer to the handshake; all of them while it is not whole."""
        head, end, behind = data.partition(b"\r\n\r\n")
        if not end:
            return data
        if not head.startswith(b"HTTP/1.1 101"):
            raise SwarmError(f"refused: {head[:200]!r}")
        client.is_open = True
        self.send(client, client.opening)
        return behind

    def _parse(self, data: bytes) -> Chunk:
        chunk = read_chunk(data, self._dialect)
        if len(data) <= _KNOWN_BYTES:
            self._known[data] = chunk
        return chunk

    def _react(self, client: Client, chunk: Chunk, now: float) -> None:
        for ping in chunk.pings:
            self.send(client, masked_frame(ping, PONG))
        if chunk.asks:
            self.send(client, client.nothing_new)
        if chunk.answers and not client.synced_at:
            client.synced_at = now
        if chunk.closes:
            self._lose(client)

    def _lose(self, client: Client) -> None:
        self.lost += 1
        self.close([client])
