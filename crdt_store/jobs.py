"""Work that need not be done at once: written in the transaction of its cause, done by whichever process comes first.

Who claims a job has it until its lease ends; then anybody may claim it. It is done in one transaction with its
effect, by whoever has it still: so the effect is stored once, however often it was begun.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, exists, select, text, update

from crdt_store.database import Database
from crdt_store.message_rows import storable
from crdt_store.places import in_chunks
from crdt_store.prepared import Prepared
from crdt_store.tables import jobs

T = TypeVar("T")

MAX_ERROR_CHARACTERS = 2000
_MAX_ID = 2**63 - 1
_LOST = "whoever claimed it did not say what became of it"

# Who meets a job with the same key locks it: nobody claims it before what else is in this transaction is there.
_ENQUEUE = Prepared(
    text(
        "INSERT INTO jobs (kind, payload, dedupe_key, created_at_ms, due_at_ms)"
        " VALUES (:kind, :payload, :dedupe_key, :now_ms, :due_at_ms)"
        " ON CONFLICT (kind, dedupe_key) DO UPDATE SET payload = excluded.payload"
    )
)


@dataclass(frozen=True, slots=True)
class Job:
    """`payload` is JSON. Nobody takes it before `due_at_ms`, which is the end of the lease while it is claimed.

    `attempts`: how often it was claimed. `error`: of the last one that failed. `dead`: it is not tried any more.
    """

    id: int
    kind: str
    payload: str
    created_at_ms: int
    due_at_ms: int
    attempts: int
    claimed_by: str | None
    error: str | None
    dead: bool


_FIELDS = [jobs.c[name] for name in Job.__dataclass_fields__]


def enqueue(
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any],
    now_ms: int,
    dedupe_key: str | None = None,
) -> None:
    """Have this done after the commit, if there is one; `payload` holds what JSON holds.

    Of those of one kind with the same `dedupe_key` that nobody has claimed yet there is only one: the newest payload.
    """
    row = {"kind": kind, "payload": json.dumps(payload), "dedupe_key": dedupe_key}
    _ENQUEUE.run(connection, [row | {"now_ms": now_ms, "due_at_ms": now_ms}])


class Jobs:
    """Those of a database, for all nodes. All raise LogUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def are_due(self, kinds: Collection[str], now_ms: int) -> bool:
        """Whether there is anything to claim."""
        return await self._database.read(partial(_are_due, kinds=kinds, now_ms=now_ms))

    async def claim(
        self, kinds: Collection[str], *, by: str, now_ms: int, lease_ms: int, limit: int, max_attempts: int
    ) -> list[Job]:
        """The first that are due, which are nobody else's before `lease_ms` have passed.

        One that was claimed `max_attempts` times, and neither done nor failed in the end, is dead now.
        """
        return await self._database.write(
            partial(
                _claim,
                kinds=kinds,
                worker=by,
                now_ms=now_ms,
                lease_ms=lease_ms,
                limit=limit,
                max_attempts=max_attempts,
            )
        )

    async def finish(
        self, claimed: Sequence[Job], *, by: str, effect: Callable[[Connection, Sequence[Job]], T]
    ) -> T:
        """Store the effect of those that are still `by`'s, and have them done, in one transaction."""

        def finish(connection: Connection) -> T:
            return effect(connection, _complete(connection, claimed, by))

        return await self._database.write(finish)

    async def fail(self, job: Job, *, by: str, error: str, due_at_ms: int | None) -> None:
        """It has failed, if it is still `by`'s: to be tried again from `due_at_ms` on; None: dead."""
        values = {
            "error": storable(error[:MAX_ERROR_CHARACTERS]),
            "dead": due_at_ms is None,
            "claimed_by": None,
        }
        if due_at_ms is not None:
            values["due_at_ms"] = due_at_ms
        change = update(jobs).where(*_is_claimed(job.id, by)).values(values)
        await self._database.write(lambda connection: connection.execute(change) and None)

    async def page(self, *, dead: bool, limit: int, after: int = 0) -> list[Job]:
        """Those with an id above `after`, in order."""
        return await self._database.read(partial(_page, dead=dead, limit=limit, after=after))

    async def retry(self, job_id: int, now_ms: int) -> bool:
        """Begin anew with a dead job; False if there is none of this id."""
        values = {"dead": False, "attempts": 0, "due_at_ms": now_ms}
        change = update(jobs).where(*_is_dead(job_id)).values(values)
        return await self._database.write(lambda connection: connection.execute(change).rowcount > 0)

    async def discard(self, job_id: int) -> bool:
        """Forget a dead job; False if there is none of this id."""
        change = delete(jobs).where(*_is_dead(job_id))
        return await self._database.write(lambda connection: connection.execute(change).rowcount > 0)


def _are_due(connection: Connection, kinds: Collection[str], now_ms: int) -> bool:
    return bool(connection.scalar(select(exists().where(*_is_due(kinds, now_ms)))))


def _claim(
    connection: Connection,
    kinds: Collection[str],
    worker: str,
    now_ms: int,
    lease_ms: int,
    limit: int,
    max_attempts: int,
) -> list[Job]:
    # Who claims the same at this moment is not waited for.
    query = select(*_FIELDS).where(*_is_due(kinds, now_ms)).order_by(jobs.c.due_at_ms, jobs.c.id).limit(limit)
    found = [Job(*record) for record in connection.execute(query.with_for_update(skip_locked=True))]
    lost = [job.id for job in found if job.attempts >= max_attempts]
    claimed = [job for job in found if job.attempts < max_attempts]
    if lost:
        values = {"dead": True, "claimed_by": None, "error": _LOST}
        connection.execute(update(jobs).where(jobs.c.id.in_(lost)).values(values))
    if claimed:
        change = update(jobs).where(jobs.c.id.in_([job.id for job in claimed]))
        lease = {"claimed_by": worker, "due_at_ms": now_ms + lease_ms, "dedupe_key": None}
        connection.execute(change.values(**lease, attempts=jobs.c.attempts + 1))
    return [
        replace(job, claimed_by=worker, due_at_ms=now_ms + lease_ms, attempts=job.attempts + 1)
        for job in claimed
    ]


def _complete(connection: Connection, claimed: Sequence[Job], worker: str) -> list[Job]:
    """Those that are still the worker's; they are gone now."""
    done: set[int] = set()
    for chunk in in_chunks(sorted(job.id for job in claimed)):
        gone = delete(jobs).where(jobs.c.id.in_(chunk), jobs.c.claimed_by == worker)
        done.update(connection.scalars(gone.returning(jobs.c.id)))
    return [job for job in claimed if job.id in done]


def _page(connection: Connection, dead: bool, limit: int, after: int) -> list[Job]:
    query = select(*_FIELDS).where(jobs.c.dead.is_(dead), jobs.c.id > max(0, min(after, _MAX_ID)))
    return [Job(*record) for record in connection.execute(query.order_by(jobs.c.id).limit(limit))]


def _is_due(kinds: Collection[str], now_ms: int) -> tuple[ColumnElement[bool], ...]:
    return jobs.c.dead.is_(False), jobs.c.due_at_ms <= now_ms, jobs.c.kind.in_(sorted(kinds))


def _is_claimed(job_id: int, worker: str) -> tuple[ColumnElement[bool], ...]:
    return jobs.c.id == job_id, jobs.c.claimed_by == worker


def _is_dead(job_id: int) -> tuple[ColumnElement[bool], ...]:
    return jobs.c.id == max(0, min(job_id, _MAX_ID)), jobs.c.dead.is_(True)
