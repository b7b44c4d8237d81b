"""Locks as the API shows them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from crdt_store.lock_rows import Lock, LockTaken
from crdt_store.tables import MAX_ID
from server.access.texts import Body
from server.locks.rules import LockKind
from server.locks.telling import iso
from server.rooms.names import MAX_FILE_ID_CHARACTERS

_MAX_WORKSPACE_ID = 10**18 - 1  # what a room's name can hold
_MAX_REASON_CHARACTERS = 500

WorkspaceId = Annotated[int, Field(ge=1, le=_MAX_WORKSPACE_ID)]
LockPath = Annotated[str, Field(min_length=1, max_length=4 * MAX_FILE_ID_CHARACTERS)]  # before it is composed
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LockModel(BaseModel):
    """`fence` grows with every acquisition: whoever stores what a holder sends refuses a lower one than it has seen.

    `expires_at`: null if it does not end by itself; of a session's lock, unless it is renewed, which the server does.
    """

    id: int
    workspace_id: int
    path: str
    kind: LockKind
    holder_id: int
    holder_name: str
    fence: int
    acquired_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, lock: Lock) -> Self:
        return cls(
            id=lock.id,
            workspace_id=lock.workspace_id,
            path=lock.path,
            kind=LockKind(lock.kind),
            holder_id=lock.holder_id,
            holder_name=lock.holder_name,
            fence=lock.fence,
            acquired_at=time_of(lock.acquired_at_ms),
            expires_at=None if lock.expires_at_ms is None else time_of(lock.expires_at_ms),
        )


class ListedLock(LockModel):
    """`waiting`: the users who wait for it to end, first come, first in the list."""

    waiting: list[int]


class LockPage(BaseModel):
    """`next_after` is the `after` to ask the next page with; null on the last one."""

    items: list[ListedLock]
    next_after: int | None


class LockRequest(Body):
    """`ttl_seconds`: of a lease. `wait`: be notified when what is in the way is gone."""

    workspace_id: WorkspaceId
    path: LockPath
    kind: Annotated[LockKind, Field(strict=False)] = LockKind.LEASE
    ttl_seconds: Seconds | None = None
    wait: bool = False


class RenewRequest(Body):
    """`ttl_seconds`: of a lease; from now on."""

    ttl_seconds: Seconds | None = None


class TransferRequest(Body):
    """Whose it is to be."""

    user_id: Annotated[int, Field(ge=1, le=MAX_ID)]


class ForceRequest(Body):
    """Why: it is kept."""

    reason: Annotated[str, Field(min_length=1, max_length=_MAX_REASON_CHARACTERS)]


def taken_details(taken: LockTaken, *, may_read: bool) -> dict[str, Any]:
    """Who has what is in the way, since and until when, and who waits already.

    `may_read`: whether the caller may know which lock that is.
    """
    lock = taken.lock
    return {
        "lock_id": lock.id if may_read else None,
        "path": lock.path if may_read else None,
        "kind": lock.kind,
        "holder_id": lock.holder_id,
        "holder_name": lock.holder_name,
        "since": iso(lock.acquired_at_ms),
        "expires_at": None if lock.expires_at_ms is None else iso(lock.expires_at_ms),
        "waiting": list(taken.waiting),
    }


def time_of(at_ms: int) -> datetime:
    """In UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)
