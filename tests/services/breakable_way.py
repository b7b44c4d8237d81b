"""A way to a PostgreSQL that breaks at a chosen step, as networks and servers do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, unquote, urlsplit

_CHUNK_BYTES = 2**20


class BreakableWay:
    """Passes on what clients and server say. A step is what a client says at once."""

    def __init__(self, url: str) -> None:
        self.url = ""  # where the way begins
        self.silent = False  # nothing passes, and nobody is told
        self.broken = False  # whether it broke since it was told to
        self._end = url
        self._steps_left: int | None = None  # None: it does not break
        self._answers_only = False
        self._persistent = False
        self._cut_at_answer = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    def break_after(self, steps: int, *, answers_only: bool, persistent: bool) -> None:
        """Let `steps` steps pass and cut all connections at the next one.

        The server has not heard of it or, with `answers_only`, has answered. Then everything passes again, or
        (`persistent`) nothing.
        """
        self._steps_left, self._answers_only, self._persistent = steps, answers_only, persistent
        self.broken = False

    def heal(self) -> None:
        """From now on everything passes."""
        self._steps_left, self._cut_at_answer, self.silent = None, False, False

    def accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Serve one client until it or the server leaves."""
        task = asyncio.ensure_future(self._serve(client, to_client))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def close(self) -> None:
        """Cut all, and wait until it is."""
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await _connect(self._end)
        writers = {to_client, to_server}
        self._writers |= writers
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass(client, to_server, self._breaks_request))
                tasks.create_task(self._pass(server, to_client, self._breaks_answer))
        finally:
            self._writers -= writers
            for writer in writers:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, breaks: Callable[[], bool]
    ) -> None:
        with suppress(ConnectionError):
            while said := await reader.read(_CHUNK_BYTES):
                if self.silent:
                    await asyncio.Event().wait()
                if breaks():
                    self._cut()
                    return
                writer.write(said)
                await writer.drain()
        writer.transport.abort()

    def _breaks_request(self) -> bool:
        if self._steps_left is None:
            return False
        if self._steps_left > 0:
            self._steps_left -= 1
            return False
        if not self._persistent:
            self._steps_left = None
        self._cut_at_answer = self._answers_only
        return not self._answers_only

    def _breaks_answer(self) -> bool:
        breaks, self._cut_at_answer = self._cut_at_answer, False
        return breaks

    def _cut(self) -> None:
        self.broken = True
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def breakable_way(url: str) -> AsyncIterator[BreakableWay]:
    """A way to the server of this URL, whole at first, on this event loop."""
    way = BreakableWay(url)
    async with await asyncio.start_server(way.accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        way.url = f"postgresql://{login}@127.0.0.1:{port}{parts.path}?sslmode=disable"
        try:
            yield way
        finally:
            server.close()
            await way.close()


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    port = parts.port or 5432
    (folder,) = parse_qs(parts.query).get("host", [""])
    if folder:
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
    return await asyncio.open_connection(unquote(parts.hostname or "localhost"), port)
