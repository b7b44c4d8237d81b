"""What the history's routes take and answer."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from crdt_store.document_versions import NamedVersion
from server.history.desk import Blamed, Compared
from server.history.entries import Entry
from server.history.reading import Side

MAX_LISTED = 500
_Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


class Form(StrEnum):
    """How a past moment is given."""

    TEXT = "text"
    UPDATE = "update"


class EntryModel(BaseModel):
    """What one user wrote in one go, up to the row `seq`. `user_id` is null for what the server wrote by itself."""

    seq: int
    first_seq: int
    user_id: int | None
    began_at: datetime
    ended_at: datetime
    changes: int
    size_bytes: int

    @classmethod
    def of(cls, entry: Entry) -> Self:
        return cls(
            seq=entry.last_seq,
            first_seq=entry.first_seq,
            user_id=entry.author_id,
            began_at=_time(entry.from_ms),
            ended_at=_time(entry.to_ms),
            changes=entry.changes,
            size_bytes=entry.size_bytes,
        )


class HistoryPage(BaseModel):
    """Newest first; ask again with `next_before` as `before` until it is null."""

    items: list[EntryModel]
    next_before: int | None


class BlameModel(BaseModel):
    """Text from `start` to `end`, in UTF-16 units, that one user wrote in one go, up to the row `seq`."""

    start: int
    end: int
    user_id: int | None
    at: datetime
    seq: int


class BlamePage(BaseModel):
    """The text, and whose its ranges are, in order and without a hole."""

    text: str
    ranges: list[BlameModel]

    @classmethod
    def of(cls, blamed: Blamed) -> Self:
        ranges: list[BlameModel] = []
        end = 0
        for piece in blamed.pieces:
            change = blamed.changes.all[piece.number]
            start, end = end, end + _units(piece.text)
            last = ranges[-1] if ranges else None
            at = _time(change.at_ms)
            if (
                last is not None
                and last.user_id == piece.author_id
                and abs((at - last.at).total_seconds()) < 60
            ):
                last.end, last.at, last.seq = end, max(at, last.at), max(change.seq, last.seq)
            else:
                found = BlameModel(start=start, end=end, user_id=piece.author_id, at=at, seq=change.seq)
                ranges.append(found)
        return cls(text="".join(piece.text for piece in blamed.pieces), ranges=ranges)


class PartModel(BaseModel):
    """Text that is on both sides, or was added or removed: by whom and when, which is null for what is on both."""

    side: Side
    text: str
    user_id: int | None
    at: datetime | None
    seq: int | None


class DiffModel(BaseModel):
    """The text at two moments as one, in order."""

    parts: list[PartModel]

    @classmethod
    def of(cls, compared: Compared) -> Self:
        parts: list[PartModel] = []
        for part in compared.parts:
            change = None if part.number is None else compared.changes.all[part.number]
            last = parts[-1] if parts else None
            if last is not None and (last.side, last.user_id) == (part.side, part.author_id):
                last.text += part.text
                if change is not None:
                    last.at, last.seq = _time(change.at_ms), change.seq
            else:
                at, seq = (None, None) if change is None else (_time(change.at_ms), change.seq)
                found = PartModel(side=part.side, text=part.text, user_id=part.author_id, at=at, seq=seq)
                parts.append(found)
        return cls(parts=parts)


class VersionModel(BaseModel):
    """A moment with a name: all up to the row `seq`."""

    id: int
    name: str
    seq: int
    user_id: int
    created_at: datetime

    @classmethod
    def of(cls, version: NamedVersion) -> Self:
        return cls(
            id=version.id,
            name=version.name,
            seq=version.seq,
            user_id=version.author_id,
            created_at=_time(version.created_at_ms),
        )


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewVersionRequest(_Request):
    """`at`: a seq or a time; null for now."""

    name: _Label
    at: str | None = Field(None, max_length=64)


class RenameRequest(_Request):
    """Another name."""

    name: _Label


class RestoreRequest(_Request):
    """`at`: a seq or a time."""

    at: str = Field(max_length=64)


class RevertRequest(_Request):
    """What this user has written after `since`, a seq or a time; `0` is the beginning."""

    user_id: int = Field(gt=0, le=2**31 - 1)
    since: str = Field(max_length=64)


class TurnedBackModel(BaseModel):
    """`changed`: whether there was anything to do."""

    changed: bool


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def page_of(entries: list[Entry], limit: int) -> HistoryPage:
    """Of at most `limit` entries; one more says that there are others."""
    shown = entries[:limit]
    next_before = shown[-1].first_seq if len(entries) > limit else None
    return HistoryPage(items=[EntryModel.of(entry) for entry in shown], next_before=next_before)
