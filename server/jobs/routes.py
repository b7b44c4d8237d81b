"""`/api/jobs`: what waits to be done, and what has failed too often. For administrators of the server."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from pydantic import BaseModel

from auth.grants import Action
from crdt_store.jobs import Job, Jobs
from crdt_store.update_log import LogUnavailable
from server.access.callers import GLOBAL, Caller, Door, require
from server.api_errors import ApiError, ErrorCode, add_error_handlers

_MAX_ITEMS = 200


class JobModel(BaseModel):
    """`due_at`: nobody begins it before; while it is being done, somebody else may then. `error`: the last one."""

    id: int
    kind: str
    state: Literal["waiting", "dead"]
    attempts: int
    created_at: datetime
    due_at: datetime
    error: str | None
    payload: dict[str, Any]

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            id=job.id,
            kind=job.kind,
            state="dead" if job.dead else "waiting",
            attempts=job.attempts,
            created_at=_time(job.created_at_ms),
            due_at=_time(job.due_at_ms),
            error=job.error,
            payload=json.loads(job.payload),
        )


class JobPage(BaseModel):
    """`next_after` is the `after` to ask the next page with; null on the last one."""

    items: list[JobModel]
    next_after: int | None


async def _require_admin(caller: Caller, door: Door) -> None:
    await require(door, caller, GLOBAL, Action.ADMINISTER)


def _jobs_of(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _wake_of(request: Request) -> Callable[[], None]:
    wake: Callable[[], None] = request.app.state.wake_worker
    return wake


_Jobs = Annotated[Jobs, Depends(_jobs_of)]
_JobId = Annotated[int, Path(gt=0, le=2**63 - 1)]


def add_job_routes(app: FastAPI, now_ms: Callable[[], int]) -> None:
    """Add the routes; `app.state` has `doorkeeper`, `jobs` and `wake_worker` while the server serves."""
    add_error_handlers(app, {LogUnavailable: ErrorCode.UNAVAILABLE}, internal=(LogUnavailable,))
    router = APIRouter(prefix="/api", tags=["jobs"], dependencies=[Depends(_require_admin)])

    @router.get("/jobs")
    async def list_jobs(
        jobs: _Jobs,
        state: Literal["waiting", "dead"] = "dead",
        limit: Annotated[int, Query(ge=1, le=_MAX_ITEMS)] = 50,
        after: Annotated[int, Query(ge=0)] = 0,
    ) -> JobPage:
        """Jobs that failed too often, or those that wait, oldest first."""
        found = await jobs.page(dead=state == "dead", limit=limit + 1, after=after)
        items = [JobModel.of(job) for job in found[:limit]]
        return JobPage(items=items, next_after=items[-1].id if len(found) > limit else None)

    @router.post("/jobs/{job_id}/retry", status_code=204)
    async def retry_job(
        job_id: _JobId, jobs: _Jobs, wake: Annotated[Callable[[], None], Depends(_wake_of)]
    ) -> None:
        """Try a dead job again, as often as a new one."""
        _check(await jobs.retry(job_id, now_ms()), job_id)
        wake()

    @router.delete("/jobs/{job_id}", status_code=204)
    async def discard_job(job_id: _JobId, jobs: _Jobs) -> None:
        """Forget a dead job: what it was for is never done."""
        _check(await jobs.discard(job_id), job_id)

    app.include_router(router)


def _check(was_there: bool, job_id: int) -> None:
    if not was_there:
        raise ApiError(ErrorCode.NOT_FOUND, f"there is no dead job {job_id}")


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
