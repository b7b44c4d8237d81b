"""What Git LFS says and hears of locks: what a client sends beyond this is left unread, as its API grows."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from crdt_store.lock_rows import Lock
from server.locks.rest_models import LockPath

MAX_ITEMS = 1000
DEFAULT_ITEMS = 100


class Ref(BaseModel):
    """A branch; locks are the same on all."""

    name: str = ""


class CreateRequest(BaseModel):
    """`path`: from the root of the repository, which is that of the workspace."""

    path: LockPath
    ref: Ref | None = None


class VerifyRequest(BaseModel):
    """`limit`: 0, or none, is as many as the server likes."""

    cursor: str = ""
    limit: int = 0
    ref: Ref | None = None


class UnlockRequest(BaseModel):
    """`force`: though it is somebody else's."""

    force: bool = False
    ref: Ref | None = None


class Owner(BaseModel):
    """Whose it is."""

    name: str


class LfsLock(BaseModel):
    """A lock, of whatever kind."""

    id: str
    path: str
    locked_at: datetime
    owner: Owner


class Refusal(BaseModel):
    """What every refused request is answered with. `lock`: the one that is in the way, with 409."""

    message: str
    request_id: str
    documentation_url: str
    lock: Annotated[LfsLock | None, Field(exclude_if=lambda lock: lock is None)] = None


class LockAnswer(BaseModel):
    """One lock: made, or gone."""

    lock: LfsLock


class LockList(BaseModel):
    """`next_cursor` is left out on the last page."""

    locks: list[LfsLock]
    next_cursor: Annotated[str | None, Field(exclude_if=lambda cursor: cursor is None)] = None


class VerifiedLocks(BaseModel):
    """The caller's, and those of everybody else."""

    ours: list[LfsLock]
    theirs: list[LfsLock]
    next_cursor: Annotated[str | None, Field(exclude_if=lambda cursor: cursor is None)] = None


def shown(lock: Lock) -> LfsLock:
    """As Git LFS has it."""
    seconds = lock.acquired_at_ms // 1000
    return LfsLock(
        id=str(lock.id),
        path=lock.path,
        locked_at=datetime.fromtimestamp(seconds, UTC),
        owner=Owner(name=lock.holder_name),
    )


def shown_json(lock: Lock) -> dict[str, Any]:
    """The same as JSON."""
    return shown(lock).model_dump(mode="json")


def id_of(text: str) -> int:
    """A lock's id or a cursor, as clients send it; 0, which no lock has, for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0


def page_limit(asked: int) -> int:
    """How many to list."""
    return min(asked, MAX_ITEMS) if asked > 0 else DEFAULT_ITEMS
