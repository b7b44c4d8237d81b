"""`/lfs/{workspace}/locks`: the locking API of Git LFS, over the same locks as `/api/locks` (docs/locks.md).

https://github.com/git-lfs/git-lfs/blob/main/docs/api/locking.md
"""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Path, Query

from auth.grants import Action
from crdt_store.lock_queries import LockFilter
from crdt_store.lock_rows import Lock, LockTaken, NoSuchLock, NotHolder
from server.access.callers import Door, require
from server.access.doorkeeper import Doorkeeper
from server.access.identity import Identity
from server.api_errors import ApiError, ErrorCode
from server.lfs.answers import LfsResponse, LfsRoute, refusal_body
from server.lfs.caller import LfsCaller
from server.lfs.models import (
    CreateRequest,
    LockAnswer,
    LockList,
    Refusal,
    UnlockRequest,
    VerifiedLocks,
    VerifyRequest,
    id_of,
    page_limit,
    shown,
    shown_json,
)
from server.locks.access import may, no_such_lock, path_of, require_at, room_of_path
from server.locks.called import LockServiceOf
from server.locks.rules import LockKind
from server.locks.service import LockService
from server.rooms.names import RoomName, parse_room_name

_Workspace = Annotated[int, Path(ge=1, le=10**18 - 1)]
_FORCED = "unlocked by force, with Git LFS"


def add_lfs_routes(app: FastAPI) -> None:
    """Add the routes; `app.state` has `doorkeeper`, `gate` and `locks` while the server serves."""
    router = APIRouter(
        prefix="/lfs",
        tags=["git lfs"],
        route_class=LfsRoute,
        default_response_class=LfsResponse,
        responses={"default": {"model": Refusal, "description": "Refused"}},
    )
    _add_list_routes(router)
    _add_create_route(router)
    _add_unlock_route(router)
    app.include_router(router)


def _add_create_route(router: APIRouter) -> None:
    @router.post("/{workspace}/locks", status_code=201, response_model=LockAnswer)
    async def create_lock(
        workspace: _Workspace, body: CreateRequest, caller: LfsCaller, door: Door, service: LockServiceOf
    ) -> LockAnswer | LfsResponse:
        """Lock a path until it is unlocked; 409 with the lock that is in the way."""
        room = room_of_path(workspace, body.path)
        await require(door, caller, room, Action.LOCK)
        try:
            lock = await service.acquire(workspace, path_of(room), caller.user_id, LockKind.STANDING)
        except LockTaken as taken:
            return await _taken(door, caller, taken)
        return LockAnswer(lock=shown(lock))


async def _taken(door: Doorkeeper, caller: Identity, taken: LockTaken) -> LfsResponse:
    body = refusal_body(f"already locked by {taken.lock.holder_name}")
    if await may(door, caller, taken.lock, Action.READ):
        body["lock"] = shown_json(taken.lock)
    return LfsResponse(body, status_code=ErrorCode.LOCKED.status)


def _add_list_routes(router: APIRouter) -> None:
    @router.get("/{workspace}/locks")
    async def list_locks(
        workspace: _Workspace,
        caller: LfsCaller,
        door: Door,
        service: LockServiceOf,
        path: Annotated[str | None, Query(max_length=2048)] = None,
        lock_id: Annotated[str | None, Query(alias="id", max_length=64)] = None,
        cursor: Annotated[str, Query(max_length=64)] = "",
        limit: int = 0,
        refspec: Annotated[str | None, Query(max_length=1024)] = None,
    ) -> LockList:
        """The locks of the workspace, or the one of this path or id; locks are the same on all branches."""
        await require(door, caller, _room_of(workspace), Action.READ)
        path = path_of(room_of_path(workspace, path)) if path else None
        wanted = LockFilter(workspace, path=path, lock_id=id_of(lock_id) if lock_id else None)
        found, next_cursor = await _page(door, caller, service, wanted, cursor, limit)
        return LockList(locks=[shown(lock) for lock in found], next_cursor=next_cursor)

    @router.post("/{workspace}/locks/verify")
    async def verify_locks(
        workspace: _Workspace, body: VerifyRequest, caller: LfsCaller, door: Door, service: LockServiceOf
    ) -> VerifiedLocks:
        """Before a push: which locks are the caller's, and which are others'."""
        await require(door, caller, _room_of(workspace), Action.LOCK)
        found, next_cursor = await _page(
            door, caller, service, LockFilter(workspace), body.cursor, body.limit
        )
        return VerifiedLocks(
            ours=[shown(lock) for lock in found if lock.holder_id == caller.user_id],
            theirs=[shown(lock) for lock in found if lock.holder_id != caller.user_id],
            next_cursor=next_cursor,
        )


async def _page(
    door: Doorkeeper, caller: Identity, service: LockService, wanted: LockFilter, cursor: str, limit: int
) -> tuple[list[Lock], str | None]:
    """The locks that the caller may see, and the cursor of the next page."""
    limit = page_limit(limit)
    found = await service.page(wanted, after=id_of(cursor), limit=limit + 1)
    seen = [lock for lock in found[:limit] if await may(door, caller, lock, Action.READ)]
    return seen, str(found[limit - 1].id) if len(found) > limit else None


def _add_unlock_route(router: APIRouter) -> None:
    @router.post("/{workspace}/locks/{id}/unlock")
    async def unlock(
        workspace: _Workspace,
        lock_id: Annotated[str, Path(alias="id", max_length=64)],
        caller: LfsCaller,
        door: Door,
        service: LockServiceOf,
        body: UnlockRequest | None = None,
    ) -> LockAnswer:
        """Give a lock back; with `force`, somebody else's too, for whoever may end it."""
        await require(door, caller, _room_of(workspace), Action.READ)
        number = id_of(lock_id)
        try:
            lock = await service.get(number)
            if lock.workspace_id != workspace:
                raise no_such_lock(number)
            return LockAnswer(lock=shown(await _unlock(door, caller, service, lock, body)))
        except NoSuchLock as error:
            raise no_such_lock(number) from error
        except NotHolder as error:
            reason = f"{lock.path} is locked by {lock.holder_name}: only an admin may force it"
            raise ApiError(ErrorCode.FORBIDDEN, reason) from error


async def _unlock(
    door: Doorkeeper, caller: Identity, service: LockService, lock: Lock, body: UnlockRequest | None
) -> Lock:
    if lock.holder_id != caller.user_id:
        await require_at(door, caller, lock, Action.READ)
        if body is not None and body.force:
            await require_at(door, caller, lock, Action.FORCE_UNLOCK)
            return await service.force(lock, caller.user_id, _FORCED)
    return await service.release(lock, caller.user_id)


def _room_of(workspace_id: int) -> RoomName:
    return parse_room_name(f"workspace:{workspace_id}", plain_names_workspace_id=None)
