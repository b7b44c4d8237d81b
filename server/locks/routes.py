"""`/api/locks`: taken, kept up, given back and given on; paths without a document too (docs/locks.md)."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query

from auth.grants import Action
from crdt_store.lock_queries import LockFilter
from crdt_store.lock_rows import Lock, LockTaken, NoSuchLock, NotHolder
from crdt_store.tables import MAX_ID
from crdt_store.update_log import LogUnavailable
from crdt_store.users import NoSuchUser
from server.access.callers import Caller, Door, require
from server.api_errors import ApiError, ErrorCode, add_error_handlers
from server.locks.access import (
    is_able_to_hold,
    may,
    no_such_lock,
    path_of,
    require_at,
    room_of_path,
    taken_error,
)
from server.locks.called import LockServiceOf
from server.locks.line_routes import add_line_routes
from server.locks.rest_models import (
    ForceRequest,
    ListedLock,
    LockModel,
    LockPage,
    LockPath,
    LockRequest,
    RenewRequest,
    TransferRequest,
    WorkspaceId,
)
from server.locks.rules import BadDuration
from server.settings import Settings

_MAX_ITEMS = 200
_LockId = Annotated[int, Path(alias="id", gt=0, le=2**63 - 1)]


async def _lock(lock_id: _LockId, caller: Caller, service: LockServiceOf) -> Lock:
    """The lock of the path, for callers who are somebody. Raises ApiError, LogUnavailable."""
    try:
        return await service.get(lock_id)
    except NoSuchLock as error:
        raise no_such_lock(lock_id) from error


_Lock = Annotated[Lock, Depends(_lock)]


def add_lock_routes(app: FastAPI, settings: Settings) -> None:
    """Add the routes; `app.state` has `doorkeeper` and `locks` (LockService) while the server serves."""
    codes: dict[type[Exception], ErrorCode] = {
        LogUnavailable: ErrorCode.UNAVAILABLE,
        NoSuchLock: ErrorCode.NOT_FOUND,
        NotHolder: ErrorCode.FORBIDDEN,
        BadDuration: ErrorCode.INVALID_PARAMETER,
    }
    add_error_handlers(app, codes, internal=(LogUnavailable,))
    router = APIRouter(prefix="/api", tags=["locks"])
    _add_list_route(router)
    add_line_routes(router)
    _add_holder_routes(router)
    _add_change_of_holder_routes(router, by_membership=not settings.grants_are_authority)
    app.include_router(router)


def _add_list_route(router: APIRouter) -> None:
    @router.get("/locks")
    async def list_locks(
        caller: Caller,
        door: Door,
        service: LockServiceOf,
        workspace: Annotated[WorkspaceId | None, Query()] = None,
        path: Annotated[LockPath | None, Query()] = None,
        holder: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_ITEMS)] = 50,
        after: Annotated[int, Query(ge=0)] = 0,
    ) -> LockPage:
        """Locks where the caller may read. `path`: those that are in the way there: on it, above it or below it."""
        if path is not None:
            path = path_of(room_of_path(workspace or 1, path))
        wanted = LockFilter(workspace_id=workspace, overlapping=path, holder_id=holder)
        found = await service.page(wanted, after=after, limit=limit + 1)
        shown = [lock for lock in found[:limit] if await may(door, caller, lock, Action.READ)]
        waiting = await service.waiting_for_each(shown)
        items = [ListedLock(**dict(LockModel.of(lock)), waiting=waiting.get(lock.id, [])) for lock in shown]
        return LockPage(items=items, next_after=found[limit - 1].id if len(found) > limit else None)


def _add_holder_routes(router: APIRouter) -> None:
    @router.post("/locks", status_code=201)
    async def acquire_lock(
        body: LockRequest, caller: Caller, door: Door, service: LockServiceOf
    ) -> LockModel:
        """Lock a path, and all that is or comes below it."""
        room = room_of_path(body.workspace_id, body.path)
        await require(door, caller, room, Action.LOCK)
        try:
            lock = await service.acquire(
                room.id,
                path_of(room),
                caller.user_id,
                body.kind,
                ttl_seconds=body.ttl_seconds,
                wait=body.wait,
            )
        except LockTaken as taken:
            raise await taken_error(door, caller, taken) from taken
        return LockModel.of(lock)

    @router.post("/locks/{id}/renew")
    async def renew_lock(
        lock: _Lock, caller: Caller, door: Door, service: LockServiceOf, body: RenewRequest | None = None
    ) -> LockModel:
        """Have the caller's lock last as if it were acquired now."""
        await require_at(door, caller, lock, Action.LOCK)
        ttl_seconds = None if body is None else body.ttl_seconds
        return LockModel.of(await service.renew(lock, caller.user_id, ttl_seconds))

    @router.delete("/locks/{id}", status_code=204)
    async def release_lock(lock: _Lock, caller: Caller, door: Door, service: LockServiceOf) -> None:
        """Give the caller's lock back."""
        if lock.holder_id != caller.user_id:  # who holds it may, whatever has become of their role
            await require_at(door, caller, lock, Action.READ)
        await service.release(lock, caller.user_id)


def _add_change_of_holder_routes(router: APIRouter, *, by_membership: bool) -> None:
    @router.post("/locks/{id}/transfer")
    async def transfer_lock(
        body: TransferRequest, lock: _Lock, caller: Caller, door: Door, service: LockServiceOf
    ) -> LockModel:
        """Make it somebody else's: the caller's own, or anybody's whose lock the caller may end."""
        await require_at(door, caller, lock, Action.LOCK)
        if by_membership and not await is_able_to_hold(door, body.user_id, lock):
            raise _unable(body.user_id)
        is_admin = await may(door, caller, lock, Action.FORCE_UNLOCK)
        try:
            given = await service.transfer(lock, body.user_id, caller.user_id, is_admin=is_admin)
        except NoSuchUser as error:
            raise _unable(body.user_id) from error
        except LockTaken as taken:
            raise await taken_error(door, caller, taken) from taken
        return LockModel.of(given)

    @router.post("/locks/{id}/force")
    async def force_lock(
        body: ForceRequest, lock: _Lock, caller: Caller, door: Door, service: LockServiceOf
    ) -> LockModel:
        """End it, whosever it is. Who did so, when and why is kept."""
        await require_at(door, caller, lock, Action.FORCE_UNLOCK)
        return LockModel.of(await service.force(lock, caller.user_id, body.reason))


def _unable(user_id: int) -> ApiError:
    return ApiError(ErrorCode.INVALID_PARAMETER, f"body user_id: user {user_id} may not lock this")
