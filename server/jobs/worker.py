"""The worker: claims jobs that are due, and has their effects stored, in batches of one kind."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from crdt_store.effects import Connection, Effect
from crdt_store.jobs import Job, Jobs
from crdt_store.update_log import LogUnavailable, Unconfirmed
from server.jobs.backoff import retry_seconds

_GATHER_SECONDS = 0.05
"""What comes together is done together: a transaction for each job would keep others from the disk."""

_MAX_CLAIMED = 50
_LONGEST_RETRY_SECONDS = 600.0

logger = logging.getLogger(__name__)

Handler = Callable[[Sequence[Job]], Effect]
"""Makes the effect of some jobs of a kind, which is stored in one transaction with their being done.

Called in that transaction, on a database's thread, and again if it is run again. What the effect's `store` raises
fails these jobs; `committed` is called on the event loop.
"""

LongHandler = Callable[[Job], Awaitable[Effect]]
"""The same of one job that takes long: called on the event loop, before the transaction. What it raises fails it."""


class JobPolicy(NamedTuple):
    """`attempts`: how many a job has before it is dead."""

    attempts: int
    lease_seconds: float
    poll_seconds: float
    retry_seconds: float


class Worker:
    """`handlers`: by kind; jobs of other kinds are left to others. `name` is no other worker's.

    `random`: anything from 0 to 1.
    """

    def __init__(
        self,
        jobs: Jobs,
        handlers: Mapping[str, Handler],
        policy: JobPolicy,
        *,
        name: str,
        now_ms: Callable[[], int],
        random: Callable[[], float],
        long_handlers: Mapping[str, LongHandler] = {},
    ) -> None:
        """A worker with `long_handlers` claims one job at a time."""
        self._jobs = jobs
        self._handlers = handlers
        self._long_handlers = long_handlers
        self._kinds = {*handlers, *long_handlers}
        self._policy = policy
        self._name = name
        self._now_ms = now_ms
        self._random = random
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled: when woken, and every few seconds, since other processes write jobs too."""
        while True:
            try:
                await self.work_off()
            except LogUnavailable as error:
                logger.error("jobs wait for the database: %s", error)
            except Exception:
                logger.exception("the worker failed")
            try:
                async with asyncio.timeout(self._policy.poll_seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(_GATHER_SECONDS)
            self._woken.clear()

    async def work_off(self) -> None:
        """Do all that is due. Raises LogUnavailable."""
        while await self._jobs.are_due(self._kinds, self._now_ms()):
            claimed = await self._jobs.claim(
                self._kinds,
                by=self._name,
                now_ms=self._now_ms(),
                lease_ms=int(self._policy.lease_seconds * 1000),
                limit=1 if self._long_handlers else _MAX_CLAIMED,
                max_attempts=self._policy.attempts,
            )
            of_kind: dict[str, list[Job]] = {}
            for job in claimed:
                of_kind.setdefault(job.kind, []).append(job)
            for some in of_kind.values():
                await self._do(some)

    async def _do(self, some: Sequence[Job]) -> None:
        """All at once; if that fails each by itself, so that one that cannot be done keeps no other from it."""
        try:
            prepared = await self._prepare(some[0]) if len(some) == 1 else None
            store = partial(self._store, prepared=prepared)
            effect = await self._jobs.finish(some, by=self._name, effect=store)
        except Unconfirmed as error:  # if it is not stored, they are claimed again when the lease has ended
            logger.warning("nobody knows whether %s jobs are done: %s", len(some), error)
        except Exception as error:  # noqa: BLE001 - said in the log, and stored
            if len(some) == 1:
                await self._fail(some[0], error)
                return
            for job in some:
                await self._do([job])
        else:
            if effect is not None:
                effect.committed()

    async def _prepare(self, job: Job) -> Effect | None:
        """None: it is one that does not take long."""
        handler = self._long_handlers.get(job.kind)
        return None if handler is None else await handler(job)

    def _store(self, connection: Connection, mine: Sequence[Job], prepared: Effect | None) -> Effect | None:
        """None: all of them have been claimed by others meanwhile."""
        if not mine:
            return None
        effect = self._handlers[mine[0].kind](mine) if prepared is None else prepared
        effect.store(connection)
        return effect

    async def _fail(self, job: Job, error: Exception) -> None:
        due_at_ms = None
        if job.attempts < self._policy.attempts:
            seconds = retry_seconds(
                job.attempts,
                first_seconds=self._policy.retry_seconds,
                longest_seconds=_LONGEST_RETRY_SECONDS,
                random=self._random(),
            )
            due_at_ms = self._now_ms() + int(seconds * 1000)
        logger.warning(
            "job %s (%s) failed, attempt %s%s",
            job.id,
            job.kind,
            job.attempts,
            ", and is dead" if due_at_ms is None else "",
            exc_info=error,
        )
        text = f"{type(error).__name__}: {error}"
        await self._jobs.fail(job, by=self._name, error=text, due_at_ms=due_at_ms)
