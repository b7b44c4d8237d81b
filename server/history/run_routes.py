"""`/api/documents/{room}/runs`, `/api/runs/{run_id}`: what agents have written, and what people decide of it."""

from collections.abc import AsyncIterator
from typing import Annotated, Self

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from pydantic import BaseModel

from auth.grants import Action, Grant
from crdt_store.run_edits import KEPT, REVERTED
from crdt_store.runs import MAX_LISTED, RunPart, Runs, StoredRun
from server.access.callers import Caller, Door
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.documents.access import Access, access, recheck
from server.history.reached import Past
from server.rooms.names import parse_room_name
from server.settings import Settings

_RUNS = "/documents/{room:path}/runs"
RunId = Annotated[int, Path(gt=0, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=MAX_LISTED)]


class RunModel(BaseModel):
    """`id` is the server's, `run` what its tokens call it."""

    id: int
    run: str
    agent: str
    user_id: int
    user_name: str
    on_behalf_of: str | None
    started_at_ms: int

    @classmethod
    def of(cls, run: StoredRun) -> Self:
        return cls(
            id=run.id,
            run=run.run,
            agent=run.agent,
            user_id=run.user_id,
            user_name=run.user_name,
            on_behalf_of=run.on_behalf_of,
            started_at_ms=run.started_at_ms,
        )


class PartModel(BaseModel):
    """What a run has written in one document. `state`: `open`, `kept` or `reverted`, by whom and when."""

    room: str
    edits: int
    size_bytes: int
    first_at_ms: int
    last_at_ms: int
    state: str
    decided_by: int | None
    decided_at_ms: int | None

    @classmethod
    def of(cls, part: RunPart) -> Self:
        return cls(
            room=part.document,
            edits=part.edits,
            size_bytes=part.size_bytes,
            first_at_ms=part.first_at_ms,
            last_at_ms=part.last_at_ms,
            state=part.state,
            decided_by=part.decided_by,
            decided_at_ms=part.decided_at_ms,
        )


class DocumentRunModel(PartModel):
    """The same, with the run."""

    run: RunModel

    @classmethod
    def of(cls, part: RunPart) -> Self:
        return cls(**PartModel.of(part).model_dump(), run=RunModel.of(part.run))


class DocumentRunPage(BaseModel):
    """Newest runs first; `before`: where the next page begins, if there is one."""

    runs: list[DocumentRunModel]
    before: int | None


class RunPage(BaseModel):
    """A run and where it has written, of what the caller may write; `after`: where the next page begins, if any."""

    run: RunModel
    documents: list[PartModel]
    after: str | None


def add_run_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes, before those of documents; `app.state` has `doorkeeper` while the server serves."""
    add_error_handlers(app, {})
    router = APIRouter(prefix="/api", tags=["runs"])
    Writer = Annotated[Access, Depends(access(settings, Action.WRITE))]  # noqa: N806 - a type

    @router.get(_RUNS)
    async def runs_of_document(
        writer: Writer,
        door: Door,
        before: Annotated[int | None, Query(gt=0, le=2**63 - 1)] = None,
        limit: Limit = 100,
    ) -> DocumentRunPage:
        """Which runs of agents have written in the document."""
        room = writer.room.canonical
        found = await door.stores.runs.of_document(room, before=before, limit=limit + 1)
        shown = [DocumentRunModel.of(part) for part in found[:limit]]
        return DocumentRunPage(runs=shown, before=shown[-1].run.id if len(found) > limit else None)

    @router.get("/runs/{run_id}")
    async def run(
        run_id: RunId,
        caller: Caller,
        door: Door,
        after: Annotated[str, Query(max_length=600)] = "",
        limit: Limit = 100,
    ) -> RunPage:
        """What a run has written, in all documents that the caller may write."""
        found = await door.stores.runs.find(run_id)
        parts = [part async for part in _writable(door, caller, run_id, after, limit + 1)]
        if found is None or not (parts or found.user_id == caller.user_id):
            raise ApiError(ErrorCode.NOT_FOUND, f"no run {run_id}")
        documents = [PartModel.of(part) for part in parts[:limit]]
        more = documents[-1].room if len(parts) > limit else None
        return RunPage(run=RunModel.of(found), documents=documents, after=more)

    @router.post(f"{_RUNS}/{{run_id}}/keep")
    async def keep(run_id: RunId, writer: Writer, door: Door) -> PartModel:
        """Say that what the run has written in the document stays; what it writes then is open again."""
        await _check_decides(door, settings, writer)
        part = await _part(door.stores.runs, run_id, writer)
        await _decide(door, part, KEPT, writer)
        return PartModel.of(await _part(door.stores.runs, run_id, writer))

    @router.post(f"{_RUNS}/{{run_id}}/revert")
    async def revert(run_id: RunId, writer: Writer, door: Door, past: Past) -> PartModel:
        """Take back what the run has written in the document; what others have written meanwhile stays."""
        await _check_decides(door, settings, writer)
        part = await _part(door.stores.runs, run_id, writer)
        await past.revert_run(writer.room, run_id, writer.identity.author)
        await _decide(door, part, REVERTED, writer)
        return PartModel.of(await _part(door.stores.runs, run_id, writer))

    app.include_router(router)


async def _writable(
    door: Doorkeeper, caller: Identity, run_id: int, after: str, limit: int
) -> AsyncIterator[RunPart]:
    """The first `limit` parts of a run, in documents that the caller may write."""
    while parts := await door.stores.runs.parts_of(run_id, after=after):
        for part in parts:
            room = parse_room_name(part.document, plain_names_workspace_id=None)
            if Grant(await door.role_in(caller, room)).allows(Action.WRITE):
                yield part
                limit -= 1
                if not limit:
                    return
        after = parts[-1].document


async def _check_decides(door: Doorkeeper, settings: Settings, given: Access) -> None:
    await recheck(door, settings, given)
    if given.identity.run is not None:
        raise ApiError(ErrorCode.FORBIDDEN, "agents do not decide of what agents write")


async def _decide(door: Doorkeeper, part: RunPart, state: str, given: Access) -> None:
    now_ms = int(door.now_seconds() * 1000)
    if not await door.stores.runs.decide(part, state, given.identity.user_id, now_ms):
        raise ApiError(ErrorCode.UNAVAILABLE, f"run {part.run.id} has just written more: look at it again")


async def _part(runs: Runs, run_id: int, given: Access) -> RunPart:
    part = await runs.part(run_id, given.room.canonical)
    if part is None:
        raise ApiError(ErrorCode.NOT_FOUND, f"run {run_id} has written nothing in {given.room}")
    return part
