"""Makes one compact update of a document's updates in a process of its own: the loop goes on, whatever happens there.

An engine that crashes or hangs takes that process with it, not the server. The work is then done again, update by
update, to find the one at fault and do without it.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from crdt_store.compaction import CondenseFailed, SnapshotRefused
from server.engine.child_process import Child, ChildDied
from server.engine.condense_child import NO_STEP, Job
from server.engine.salvage import Fault, SnapshotLike, SnapshotUnusable, after_snapshot

COMMAND = (sys.executable, "-P", "-m", "server.engine.condense_child")
_ATTEMPTS = 8
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}
)


class EngineKeepsFailing(CondenseFailed):
    """Update after update makes the engine crash or hang: whoever loads the document shares the fate of the child."""


@dataclass(frozen=True, slots=True)
class Condensed:
    """`updates`, to be applied in order, say all that was given, but for what is at fault (indexes, ascending)."""

    updates: tuple[bytes, ...]
    summary: bytes
    faults: tuple[Fault, ...]


class _Work(NamedTuple):
    """All updates, the first `snapshot_updates` of which are a snapshot with this summary."""

    updates: tuple[bytes, ...]
    snapshot_updates: int
    summary: bytes


class Condenser:
    """One process at most, started by the first job and ended when there has been none for `idle_seconds`.

    `job_seconds`: how long one attempt may take; a second one follows when the engine has crashed or hung, and more
    for each update at fault, eight in all. `step_seconds`: the CPU time after which the engine counts as hung, on top
    of what the size of an update explains. `memory_bytes`: the process's address space, None for no limit.
    """

    def __init__(
        self,
        *,
        job_seconds: float = 60.0,
        step_seconds: float = 10.0,
        idle_seconds: float = 10.0,
        memory_bytes: int | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._job_seconds = job_seconds
        self._step_seconds = step_seconds
        self._idle_seconds = idle_seconds
        self._memory_bytes = memory_bytes
        self._command = command
        self._turn = asyncio.Lock()
        self._idle_child: Child | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._children: set[Child] = set()
        self._closed = False

    async def condense(self, snapshot: SnapshotLike | None, updates: Sequence[bytes]) -> Condensed:
        """A snapshot of a document from an earlier one and what came after it, oldest first, without loss.

        Jobs are done in the order in which they come.

        An update on which the engine crashes, or uses more than some seconds of CPU time, is left out and is one
        of the faults. A lack of memory, and being too slow as a whole, is nobody's fault.
        Raises CondenseFailed, SnapshotRefused.
        """
        parts, summary = ((), b"") if snapshot is None else (snapshot.updates, snapshot.summary)
        work = _Work((*parts, *updates), len(parts), summary)
        async with self._turn:
            condensed = await self._condense(work)
        try:
            faults = tuple(after_snapshot(condensed.faults, len(parts)))
        except SnapshotUnusable as error:
            raise SnapshotRefused(f"the snapshot cannot be applied: {error}") from error
        return replace(condensed, faults=faults)

    async def _condense(self, work: "_Work") -> Condensed:
        try:
            return await self._attempt(work)
        except (TimeoutError, ChildDied) as error:
            if not (isinstance(error, TimeoutError) or _is_of_the_engine(error)):
                raise CondenseFailed(str(error)) from error
        return await self._without_culprits(work)

    async def _without_culprits(self, work: "_Work") -> Condensed:
        culprits: list[Fault] = []
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._attempt(work, careful=True, known_faults=culprits)
            except TimeoutError as error:
                raise CondenseFailed(f"it took longer than {self._job_seconds:g} s") from error
            except ChildDied as death:
                if death.step == NO_STEP or not _is_of_the_engine(death):
                    raise CondenseFailed(str(death)) from death
                hung = death.signal == signal.SIGPROF
                error_text = "the engine hung" if hung else f"the engine crashed: {death}"
                culprits.append(Fault(death.step, error_text))
        raise EngineKeepsFailing(f"the engine failed {_ATTEMPTS} times, last on update {culprits[-1].index}")

    async def _attempt(
        self, work: "_Work", *, careful: bool = False, known_faults: Sequence[Fault] = ()
    ) -> Condensed:
        """Raises TimeoutError, ChildDied, CondenseFailed. A child that did not answer in whole is not used again."""
        child = await self._take_child()
        job = Job(
            count=len(work.updates),
            snapshot_updates=work.snapshot_updates,
            summary=work.summary.hex(),
            job_seconds=self._job_seconds,
            step_seconds=self._step_seconds,
            progress_fd=child.progress_fd,
            memory_bytes=self._memory_bytes,
            careful=careful,
            known_faults=tuple((fault.index, fault.error) for fault in known_faults),
        )
        try:
            async with asyncio.timeout(self._job_seconds):
                answer, parts = await child.ask(job, work.updates)
        except BaseException as error:
            child.kill()
            await child.wait()
            if isinstance(error, ChildDied) and error.signal == signal.SIGALRM:
                raise TimeoutError from error  # its own clock was quicker than ours
            raise
        self._give_back(child)
        if "refused" in answer:
            raise SnapshotRefused(f"the snapshot cannot be applied: {answer['refused']}")
        if "failed" in answer:
            raise CondenseFailed(answer["failed"])
        faults = tuple(Fault(index, error) for index, error in answer["faults"])
        return Condensed(parts, bytes.fromhex(answer["summary"]), faults)

    async def _take_child(self) -> Child:
        if self._closed:
            raise CondenseFailed("the condenser is closed")
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        child, self._idle_child = self._idle_child, None
        if child is None or child.has_ended:
            child = await self._start_child()
        return child

    async def _start_child(self) -> Child:
        try:
            child = await Child.start(self._command)
        except OSError as error:
            raise CondenseFailed(f"no process could be started: {error}") from error
        self._children.add(child)
        child.on_end(self._children.discard)
        if self._closed:
            child.kill()
        return child

    def _give_back(self, child: Child) -> None:
        if self._closed:
            return
        self._idle_child = child
        self._idle_timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle_child)

    def _end_idle_child(self) -> None:
        if self._idle_child is not None:
            self._idle_child.kill()
            self._idle_child = None

    async def aclose(self) -> None:
        """End the process; a job that it is at fails."""
        self._closed = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for child in list(self._children):
            child.kill()
            await child.wait()


def _is_of_the_engine(death: ChildDied) -> bool:
    return death.signal == signal.SIGPROF or (death.signal in _CRASHES and not death.out_of_memory)
