"""Where the past is worked on: small ones in a thread, large ones in a process of their own, within bounds.

Working through a long past takes seconds and, in Python, the interpreter's lock; in a process of its own nobody else
waits for it, and what takes too long or too much memory ends with it.
"""

import asyncio
import pickle
import sys
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from server.history.changes import Changes

_SMALL_BYTES, _FEW_CHANGES = 256 * 1024, 2000
COMMAND = (sys.executable, "-P", "-m", "server.history.child")
P = ParamSpec("P")
T = TypeVar("T")


class TooMuchWork(Exception):
    """The past of this document takes more time or memory than it may."""


class Workshop:
    """`memory_bytes`: address space of a process; `seconds`: how long one may take; `at_once`: how many there are."""

    def __init__(self, *, seconds: float, memory_bytes: int | None, at_once: int = 2) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._turns = asyncio.Semaphore(at_once)

    async def do(
        self, work: Callable[Concatenate[Changes, P], T], changes: Changes, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`work`, a function of a module. Raises TooMuchWork, and what it raises."""
        if changes.size_bytes <= _SMALL_BYTES and len(changes.all) <= _FEW_CHANGES:
            return await asyncio.to_thread(work, changes, *args, **kwargs)
        async with self._turns:
            result: T = await self._in_process(work, (changes, *args), kwargs)
            return result

    async def _in_process(self, *job: object) -> Any:
        request = await asyncio.to_thread(pickle.dumps, (self._memory_bytes, *job))
        child = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(self._seconds):
                answer, _ = await child.communicate(request)
        except TimeoutError:
            raise TooMuchWork(f"it takes longer than {self._seconds:g} s (history_seconds)") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            raise TooMuchWork(f"the work ended with {child.returncode}: most likely for want of memory")
        is_done, result = await asyncio.to_thread(pickle.loads, answer)
        if not is_done:
            raise result
        return result
