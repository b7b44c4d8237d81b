"""The parent's end of a process that condenses: what goes in, what comes back, and how it died."""

import asyncio
import json
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any

from server.engine.condense_child import LENGTH_BYTES, NO_STEP, Job, read_step, write_step

logger = logging.getLogger(__name__)

_PIECE_BYTES = 64 * 1024
_READ_BUFFER_BYTES = 1024 * 1024

_NICENESS = 10
"""From its first moment: that it loads its modules, a second of CPU, is not to be felt either."""


class ChildDied(Exception):
    """The process ended before it answered. `signal`: by which one, if by any. `step`: the index of the update that
    the engine was about to get, or NO_STEP.
    """

    def __init__(self, returncode: int, step: int, last_words: bytes) -> None:
        self.signal = signal.Signals(-returncode) if returncode < 0 else None
        self.step = step
        self.out_of_memory = b"memory allocation of" in last_words  # Rust aborts with these words
        if self.signal is None:
            last_line = last_words.decode(errors="replace").rpartition("\n")[2]
            how = f"exit code {returncode}: {last_line}"
        else:
            how = f"{self.signal.name}, out of memory" if self.out_of_memory else self.signal.name
        super().__init__(how)


class Child:
    """A running process, to be asked one thing at a time."""

    def __init__(self, process: Process, progress: IO[bytes]) -> None:
        self._process = process
        self._progress = progress
        self._death: ChildDied | None = None
        self._attendant = asyncio.create_task(self._attend())

    @classmethod
    async def start(cls, command: Sequence[str]) -> "Child":
        progress = TemporaryFile()  # noqa: SIM115 - the attendant closes it
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                limit=_READ_BUFFER_BYTES,
                pass_fds=(progress.fileno(),),
            )
        except BaseException:
            progress.close()
            raise
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        return cls(process, progress)

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    @property
    def progress_fd(self) -> int:
        """The file that it shares with the process, by the same number there."""
        return self._progress.fileno()

    def on_end(self, tell: Callable[["Child"], None]) -> None:
        self._attendant.add_done_callback(lambda _: tell(self))

    async def ask(self, job: Job, updates: Iterable[bytes]) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """(header of the answer, the updates that come with it). Raises ChildDied."""
        assert self._process.stdout is not None
        read = self._process.stdout.readexactly
        write_step(self.progress_fd, NO_STEP)
        try:
            await self._send(job, updates)
            header = await read(int.from_bytes(await read(LENGTH_BYTES), "big"))
            answer: dict[str, Any] = json.loads(header)
            return answer, tuple([await read(size_bytes) for size_bytes in answer.get("sizes", ())])
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.wait()
            assert self._death is not None
            raise self._death from None

    async def _send(self, job: Job, updates: Iterable[bytes]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(job.header())
        for piece in _pieces(updates):
            self._process.stdin.write(piece)
            await self._process.stdin.drain()
            await asyncio.sleep(0)  # drain does not wait while the child keeps up
        await self._process.stdin.drain()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> None:
        """Until it has ended and been cleared away."""
        await asyncio.wait([self._attendant])

    async def _attend(self) -> None:
        """Pass what it says on stderr to the log, and remember how it died."""
        assert self._process.stderr is not None
        last_words = b""
        while words := await self._process.stderr.read(_PIECE_BYTES):
            logger.warning("the condensing process says: %s", words.decode(errors="replace").rstrip())
            last_words = (last_words + words)[-_PIECE_BYTES:]
        returncode = await self._process.wait()
        self._death = ChildDied(returncode, read_step(self.progress_fd), last_words.rstrip())
        self._progress.close()


def _pieces(updates: Iterable[bytes]) -> Iterator[bytearray]:
    """The updates behind their lengths, in pieces of which none takes long to write."""
    piece = bytearray()
    for update in updates:
        piece += len(update).to_bytes(LENGTH_BYTES, "big")
        for start in range(0, len(update), _PIECE_BYTES):
            piece += memoryview(update)[start : start + _PIECE_BYTES]
            if len(piece) >= _PIECE_BYTES:
                yield piece
                piece = bytearray()
    yield piece
