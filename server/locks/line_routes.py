"""`/api/locks/waiting` and `/api/locks/audit`: who stands in line, and what was done to others' locks."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel

from auth.grants import Action
from crdt_store.lock_audit import AuditEntry
from server.access.callers import Caller, Door, require
from server.locks.access import path_of, room_of_path
from server.locks.called import LockServiceOf
from server.locks.rest_models import LockPath, WorkspaceId, time_of
from server.rooms.names import parse_room_name

_MAX_ITEMS = 200


class AuditModel(BaseModel):
    """`action`: `forced` or `transferred`, by `actor_id`, away from `holder_id`; `new_holder_id`: to whom."""

    id: int
    workspace_id: int
    path: str
    lock_id: int
    action: str
    holder_id: int
    actor_id: int
    new_holder_id: int | None
    reason: str
    at: datetime

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(
            id=entry.id,
            workspace_id=entry.workspace_id,
            path=entry.path,
            lock_id=entry.lock_id,
            action=entry.action,
            holder_id=entry.holder_id,
            actor_id=entry.actor_id,
            new_holder_id=entry.new_holder_id,
            reason=entry.reason,
            at=time_of(entry.at_ms),
        )


class AuditPage(BaseModel):
    """`next_before`: ask again with it for what is older; null on the last page."""

    items: list[AuditModel]
    next_before: int | None


def add_line_routes(router: APIRouter) -> None:
    """Before the routes of single locks, whose paths would match these."""

    @router.delete("/locks/waiting", status_code=204)
    async def stop_waiting(
        workspace: Annotated[WorkspaceId, Query()],
        path: Annotated[LockPath, Query()],
        caller: Caller,
        service: LockServiceOf,
    ) -> None:
        """Stand in line for this path no more; whoever does not stand there has nothing to leave."""
        room = room_of_path(workspace, path)
        await service.stop_waiting(room.id, path_of(room), caller.user_id)

    @router.get("/locks/audit")
    async def list_audit(
        workspace: Annotated[WorkspaceId, Query()],
        caller: Caller,
        door: Door,
        service: LockServiceOf,
        path: Annotated[LockPath | None, Query()] = None,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_ITEMS)] = 50,
    ) -> AuditPage:
        """What was taken from its holder or given away, newest first. `path`: on it, above it and below it."""
        room = parse_room_name(f"workspace:{workspace}", plain_names_workspace_id=None)
        await require(door, caller, room, Action.FORCE_UNLOCK)
        if path is not None:
            path = path_of(room_of_path(workspace, path))
        found = await service.audit(workspace, path, before=before, limit=limit + 1)
        items = [AuditModel.of(entry) for entry in found[:limit]]
        return AuditPage(items=items, next_before=items[-1].id if len(found) > limit else None)
