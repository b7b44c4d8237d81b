"""The process that condenses documents, so that neither the work nor a crash of the engine is the server's.

Jobs come on stdin and are answered on stdout, one after the other, until stdin ends. Both begin with a header of
JSON behind its length; the updates or the snapshot follow. Lengths are 4 bytes, big-endian.

    job    = header {Job} • count × (length • update)
    answer = header {"faults": [[index, error], …], "summary": hex, "sizes": [bytes, …]} • updates
             or header {"failed": why} or {"refused": why}

What goes wrong beyond Python ends the process. So that its parent can tell where, a careful job writes the index of
the update that the engine is about to get into a file that they share.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, NamedTuple

from server.engine.document import Document, EngineFailure, Incomplete, MustRebuild
from server.engine.salvage import Fault, SnapshotUnusable, load_singly, salvage
from server.protocol.varint import MalformedBytes

LENGTH_BYTES = 4
NO_STEP = -1
_SLOWEST_BYTES_PER_SECOND = 50_000
"""An engine that is slower than this hangs: with one update, however large, it gets through a megabyte a second."""


class NotCondensed(Exception):
    """Why there is no snapshot."""


@dataclass(frozen=True, slots=True)
class Job:
    """`count` updates follow, the first `snapshot_updates` of them a snapshot with this `summary` (hex).

    `careful`: one by one, leaving out `known_faults`.

    SIGPROF ends the process when the engine takes more than `step_seconds` of CPU time, and some for each byte, for
    what it gets at once: all updates, or one in a careful job. SIGALRM ends it after `job_seconds`, should the
    parent be gone. `memory_bytes` limits its address space.
    """

    count: int
    snapshot_updates: int
    summary: str
    job_seconds: float
    step_seconds: float
    progress_fd: int
    memory_bytes: int | None = None
    careful: bool = False
    known_faults: tuple[tuple[int, str], ...] = ()

    def header(self) -> bytes:
        return with_length(json.dumps(asdict(self)).encode())


class _Snapshot(NamedTuple):
    """A `salvage.SnapshotLike`."""

    updates: Sequence[bytes]
    summary: bytes


def with_length(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def write_step(progress_fd: int, index: int) -> None:
    os.pwrite(progress_fd, index.to_bytes(8, "big", signed=True), 0)


def read_step(progress_fd: int) -> int:
    return int.from_bytes(os.pread(progress_fd, 8, 0), "big", signed=True)


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C at the terminal is for the parent
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold what people write
    with suppress(EOFError):
        while True:
            _serve_one(sys.stdin.buffer, sys.stdout.buffer)


def _serve_one(source: BinaryIO, sink: BinaryIO) -> None:
    job = Job(**json.loads(_read(source)))
    updates = [_read(source) for _ in range(job.count)]
    encoding: tuple[bytes, ...] = ()
    try:
        encoding, summary, faults = _condense(job, updates)
    except SnapshotUnusable as error:
        answer: dict[str, Any] = {"refused": str(error)}
    except (NotCondensed, EngineFailure, MalformedBytes, Incomplete, MustRebuild, MemoryError) as error:
        answer = {"failed": str(error) or type(error).__name__}
    else:
        pairs = [(fault.index, fault.error) for fault in faults]
        answer = {"faults": pairs, "summary": summary.hex(), "sizes": [len(update) for update in encoding]}
    sink.write(with_length(json.dumps(answer).encode()))
    sink.writelines(encoding)
    sink.flush()


def _read(source: BinaryIO) -> bytes:
    """Raises EOFError, also in the middle: then there is nobody left to answer."""
    size_bytes = int.from_bytes(_read_exactly(source, LENGTH_BYTES), "big")
    return _read_exactly(source, size_bytes)


def _read_exactly(source: BinaryIO, size_bytes: int) -> bytes:
    data = source.read(size_bytes)
    if len(data) < size_bytes:
        raise EOFError
    return data


def _condense(job: Job, updates: Sequence[bytes]) -> tuple[tuple[bytes, ...], bytes, list[Fault]]:
    if job.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))
    size_bytes = sum(map(len, updates))
    signal.setitimer(signal.ITIMER_REAL, job.job_seconds)
    _limit_cpu(job, size_bytes)
    try:
        document, faults = _load_carefully(job, updates) if job.careful else _load(job, updates)
        _limit_cpu(job, size_bytes)
        encoding, summary = document.encoding(), document.summary()
        _check(encoding, summary, document)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    return encoding, summary, faults


def _load(job: Job, updates: Sequence[bytes]) -> tuple[Document, list[Fault]]:
    """Faults count from the first of all updates."""
    parts = job.snapshot_updates
    snapshot = _Snapshot(updates[:parts], bytes.fromhex(job.summary)) if parts else None
    document, faults = salvage(updates[parts:], snapshot)
    return document, [Fault(fault.index + parts, fault.error) for fault in faults]


def _load_carefully(job: Job, updates: Sequence[bytes]) -> tuple[Document, list[Fault]]:
    def before_each(index: int, size_bytes: int) -> None:
        write_step(job.progress_fd, index)
        _limit_cpu(job, size_bytes)

    loaded = load_singly(updates, [Fault(*known) for known in job.known_faults], before_each)
    write_step(job.progress_fd, NO_STEP)
    return loaded


def _limit_cpu(job: Job, size_bytes: int) -> None:
    """From now on. A machine that is busy with other things does not count, unlike with `job_seconds`."""
    signal.setitimer(signal.ITIMER_PROF, job.step_seconds + size_bytes / _SLOWEST_BYTES_PER_SECOND)


def _check(encoding: tuple[bytes, ...], summary: bytes, document: Document) -> None:
    """A document may load from its log and not from one update that says the same: see `placement`."""
    again, held = Document.of_snapshot(encoding, summary).contents, document.contents
    if again.state != held.state or held.deleted.minus(again.deleted):
        raise NotCondensed("the snapshot does not hold what the updates do")


if __name__ == "__main__":
    main()
