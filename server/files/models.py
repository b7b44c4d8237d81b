"""What the routes of files take and answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from crdt_store.conflicts import StoredConflict
from crdt_store.held_edits import HeldBy
from crdt_store.lock_rows import Lock
from server.access.texts import Body
from server.files.conflict_finding import Conflict
from server.files.edits import Edit
from server.files.offsets import Unit
from server.files.text_diff import MAX_EDITS
from server.files.writing import Outcome
from server.locks.rest_models import LockModel, time_of

_MAX_OFFSET = 2**53 - 1


def _whole(text: str) -> str:
    """JSON can spell half a surrogate pair. Raises ValueError."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must have no half of a surrogate pair") from error
    return text


Offset = Annotated[int, Field(ge=0, le=_MAX_OFFSET)]
FileText = Annotated[str, AfterValidator(_whole)]


class EditModel(Body):
    """Replaces [start, end) of the text that was read."""

    start: Offset
    end: Offset
    text: FileText = ""


class EditsRequest(Body):
    """Edits that do not overlap, in any order; `unit`: what their offsets count."""

    edits: Annotated[list[EditModel], Field(max_length=MAX_EDITS)]
    unit: Literal["utf16", "codepoint"] = "utf16"

    def asked(self) -> tuple[list[Edit], Unit]:
        """As `edits_of` has them."""
        return [Edit(each.start, each.end, each.text) for each in self.edits], Unit(self.unit)


class LinesModel(BaseModel):
    """Lines [start, end), from 0."""

    start: int
    end: int


class FoundConflictModel(BaseModel):
    """`lines`: of the merged text. `base`: what both have changed; `others`: the users who wrote `theirs`.

    `id`: null if it is not kept, since the file has no room for more.
    """

    id: int | None
    lines: LinesModel
    base: str
    yours: str
    theirs: str
    merged: str
    others: list[int]

    @classmethod
    def of(cls, conflict_id: int | None, found: Conflict) -> Self:
        return cls(
            id=conflict_id,
            lines=LinesModel(start=found.lines.start, end=found.lines.end),
            base=found.base,
            yours=found.yours,
            theirs=found.theirs,
            merged=found.merged,
            others=list(found.others),
        )


class WrittenModel(BaseModel):
    """`version` has the change; `merged`: it has also changes of others that the caller had not read."""

    version: str
    merged: bool
    conflicts: list[FoundConflictModel]

    @classmethod
    def of(cls, outcome: Outcome, conflict_ids: Sequence[int | None]) -> Self:
        found = zip(conflict_ids, outcome.conflicts, strict=True)
        conflicts = [FoundConflictModel.of(conflict_id, conflict) for conflict_id, conflict in found]
        return cls(version=str(outcome.state.version), merged=outcome.is_merged, conflicts=conflicts)


class ConflictModel(BaseModel):
    """`yours` is what `author_id` wrote, `theirs` what `others` did; `resolution`: null while it is open."""

    id: int
    path: str
    base: str
    yours: str
    theirs: str
    merged: str
    author_id: int
    others: list[int]
    created_at_ms: int
    resolution: str | None
    resolved_by: int | None
    resolved_at_ms: int | None

    @classmethod
    def of(cls, stored: StoredConflict) -> Self:
        return cls(
            id=stored.id,
            path=stored.change.path,
            base=stored.new.base,
            yours=stored.new.yours,
            theirs=stored.new.theirs,
            merged=stored.new.merged,
            author_id=stored.change.author_id,
            others=list(stored.change.others),
            created_at_ms=stored.created_at_ms,
            resolution=stored.resolution,
            resolved_by=stored.resolved_by,
            resolved_at_ms=stored.resolved_at_ms,
        )


class ConflictPage(BaseModel):
    """`next_before`: ask again with it for what is older; null on the last page."""

    items: list[ConflictModel]
    next_before: int | None


class HeldModel(BaseModel):
    """`updates` of `user_id` are held, `bytes` in all. `waits_for`: null while they are being merged."""

    user_id: int
    updates: int
    bytes: int
    since: datetime
    waits_for: LockModel | None

    @classmethod
    def of(cls, held: HeldBy, lock: Lock | None) -> Self:
        return cls(
            user_id=held.author_id,
            updates=held.updates,
            bytes=held.size_bytes,
            since=time_of(held.since_ms),
            waits_for=None if lock is None else LockModel.of(lock),
        )


class HeldList(BaseModel):
    """One item for each author."""

    items: list[HeldModel]


class ResolveRequest(Body):
    """Whose text is to be there: `merged` leaves what is."""

    choice: Literal["yours", "theirs", "merged"]


class VersionModel(BaseModel):
    """The file's version now."""

    version: str
