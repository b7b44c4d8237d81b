"""A running server with clients around it: what every workload is made of."""

import gc
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.load.client import Client
from bench.load.coverage import FIRST_CURSOR_CLOCK, cursor_key, ends, text_runs
from bench.load.dialects import update_message
from bench.load.documents import FIRST_AUTHOR, History, base_document, cursor, typed
from bench.load.process_stats import read_cpu, read_memory_bytes
from bench.load.server_process import ServerProcess
from bench.load.swarm import Swarm, SwarmError
from bench.load.timetable import Event, keep_outstanding

_EMPTY_STATE_VECTOR = b"\x00"
_OPEN_FILES = 16_384
_WARM_UP_UPDATES, _WARM_UP_RECEIVERS, _WARM_UP_SECONDS = 1000, 10, 2.0
_WARM_UP_AUTHOR = FIRST_AUTHOR - 1
_QUIET_SECONDS = 0.2
_IDLE_CPU_SHARE = 0.02


@dataclass(slots=True)
class Measured:
    """What a measurement cost. Filled when the block ends."""

    cpu_seconds: float = 0.0
    seconds: float = 0.0
    generator_cpu_seconds: float = 0.0


class Stage:
    """One server and one swarm."""

    def __init__(self, server: ServerProcess, *, warm_up_updates: int = _WARM_UP_UPDATES) -> None:
        _allow_many_sockets()
        self.server = server
        self._warm_up_updates = warm_up_updates
        self.swarm = Swarm(server.port, server.kind.dialect)

    def client(
        self,
        room: str,
        *,
        author: int | None = None,
        state_vector: bytes = _EMPTY_STATE_VECTOR,
        awareness: bytes | None = None,
    ) -> Client:
        """A client of a room, not yet open."""
        dialect = self.server.kind.dialect
        opening = dialect.opening(room, state_vector, awareness)
        return Client(room, self.server.request(room), opening, dialect.nothing_new(room), author)

    def introduced(self, room: str, author: int) -> Client:
        """A client that shows its cursor from the beginning."""
        return self.client(room, author=author, awareness=cursor(author, FIRST_CURSOR_CLOCK))

    def update_frame(self, room: str, update: bytes) -> bytes:
        """The frame of a Yjs update."""
        return self.server.kind.dialect.frame(room, update_message(update))

    def cursor_frame(self, room: str, author: int, index: int) -> bytes:
        """The frame of a client's cursor state; index 0 is the first after its introduction."""
        return self.server.kind.dialect.frame(room, cursor(author, FIRST_CURSOR_CLOCK + 1 + index))

    def hold_open(self, rooms: Sequence[str], document: History | None = None) -> list[Client]:
        """Open the rooms, each by a silent client, and put the document there.

        Some servers forget a room with its last client, and one must not be opened by two at once.
        """
        silent = [self.client(room) for room in rooms]
        self.swarm.open(silent)
        if document is not None:
            self._seed(silent, document)
        for client in silent:
            client.has = None
        return silent

    def _seed(self, silent: Sequence[Client], document: History, limit_seconds: float = 120.0) -> None:
        writers = [self.client(client.room) for client in silent]
        self.swarm.open(writers)
        for writer in writers:
            for number, update in enumerate(document.updates):
                self.swarm.send(writer, self.update_frame(writer.room, update))
                if not number % 16:
                    self.swarm.poll(0)
        wanted = ends(run for update in document.updates for run in text_runs(update))
        for client in silent:
            self.wait_covered(client, wanted, limit_seconds)
        self.swarm.settle(_QUIET_SECONDS)
        self.swarm.close(writers)

    def wait_covered(self, client: Client, wanted: Mapping[int, int], limit_seconds: float = 60.0) -> None:
        """Return when the client has got so much of each author."""
        ends_at = time.perf_counter() + limit_seconds
        while client.has is not None and not wanted.items() <= client.has.items():
            if time.perf_counter() > ends_at:
                raise SwarmError("the document did not come through")
            self.swarm.poll(0.05)

    def warm_up(self, *, cursors: bool) -> None:
        """Type, or move a cursor, before a few receivers of another room: compilers and caches get ready."""
        room = "warm-up"
        base = base_document(1)
        silent = self.hold_open([room], base)
        writer = self.introduced(room, _WARM_UP_AUTHOR)
        receivers = [self.client(room) for _ in range(_WARM_UP_RECEIVERS)]
        self.swarm.open([writer, *receivers])
        if cursors:
            key = cursor_key(_WARM_UP_AUTHOR)
            frames = [
                self.cursor_frame(room, _WARM_UP_AUTHOR, index) for index in range(self._warm_up_updates)
            ]
        else:
            key = _WARM_UP_AUTHOR
            updates = typed(_WARM_UP_AUTHOR, base, 0, self._warm_up_updates)
            frames = [self.update_frame(room, update) for update in updates]
        events = [Event(0, writer, frame, key) for frame in frames]
        keep_outstanding(self.swarm, events, 8, len(receivers), _WARM_UP_SECONDS)
        self.swarm.settle(_QUIET_SECONDS)
        self.swarm.close([*silent, writer, *receivers])

    @contextmanager
    def measuring(self) -> Iterator[Measured]:
        """Costs of a block, with nothing else going on in this process."""
        self.swarm.settle(_QUIET_SECONDS)
        measured = Measured()
        gc.collect()
        gc.freeze()
        gc.disable()
        self.swarm.start_counting()
        cpu, generator_cpu, started_at = read_cpu(self.server.pid), time.process_time(), time.perf_counter()
        try:
            yield measured
        finally:
            measured.seconds = time.perf_counter() - started_at
            measured.generator_cpu_seconds = time.process_time() - generator_cpu
            measured.cpu_seconds = read_cpu(self.server.pid).since(cpu)
            gc.enable()
            gc.unfreeze()

    def memory_bytes(self, settle_seconds: float = 0.5) -> int:
        """The server's memory after a while in which nothing is sent."""
        self._idle(settle_seconds)
        return read_memory_bytes(self.server.pid)

    def wait_idle(self, seconds: float, limit_seconds: float = 120.0) -> None:
        """Return when the server has done next to nothing for so long: what it stores is stored."""
        ends_at = time.perf_counter() + limit_seconds
        while time.perf_counter() < ends_at:
            before = read_cpu(self.server.pid)
            self._idle(seconds)
            if read_cpu(self.server.pid).since(before) < _IDLE_CPU_SHARE * seconds:
                return
        raise SwarmError("the server does not come to rest")

    def _idle(self, seconds: float) -> None:
        ends_at = time.perf_counter() + seconds
        while (left := ends_at - time.perf_counter()) > 0:
            self.swarm.poll(left)


def _allow_many_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
