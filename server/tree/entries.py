"""What the tree of a workspace says of files and folders, and what becomes of them. PURE."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from server.tree.languages import MAX_LANGUAGE_CHARACTERS, language_of
from server.tree.paths import BadPath, normal_path

_MAX_TIME_CHARACTERS = 64


class Entry(NamedTuple):
    """A file. `created_by`: None if nobody knows. `created_at`: ISO 8601. `path_at`: ms since 1970 when it got its
    path: of two files with one path the earlier has it.
    """

    path: str
    language: str
    created_by: int | None
    created_at: str
    path_at: int


class Folder(NamedTuple):
    """A folder that was made; others are where files are."""

    created_by: int | None
    created_at: str


class Stamp(NamedTuple):
    """Who made something, and when (ISO 8601)."""

    created_by: int | None
    created_at: str


class ChangeKind(StrEnum):
    """What has become of a file or folder. `COLLIDED`: it has another path than was wanted."""

    CREATED = "created"
    RENAMED = "renamed"
    DELETED = "deleted"
    RESTORED = "restored"
    COLLIDED = "collided"
    CHANGED = "changed"
    """Its language, which nobody is told."""


class Change(NamedTuple):
    """Of the file `file_id`, or of a folder where that is None. `entry`: None if it is in the trash now.

    `path`: where it is, or was last; `old_path`: where it was before. `wanted_path`: what somebody asked for, and it
    has not.
    """

    kind: ChangeKind
    file_id: str | None
    path: str
    entry: Entry | None = None
    old_path: str | None = None
    wanted_path: str | None = None


def entry_of(fields: Mapping[str, object]) -> Entry | None:
    """What these fields say, as far as that makes sense; None without a path."""
    path = path_of(fields)
    if path is None:
        return None
    language, path_at = fields.get("language"), fields.get("path_at")
    created_by, created_at = stamp_of(fields)
    is_language = isinstance(language, str) and 0 < len(language) <= MAX_LANGUAGE_CHARACTERS
    return Entry(
        path,
        str(language) if is_language else language_of(path),
        created_by,
        created_at,
        path_at if type(path_at) is int else 0,
    )


def path_of(fields: Mapping[str, object]) -> str | None:
    """Normalised; None if it has none that could be."""
    path = fields.get("path")
    try:
        return normal_path(path) if isinstance(path, str) else None
    except BadPath:
        return None


def stamp_of(fields: Mapping[str, object]) -> Stamp:
    """Who made it and when, as the fields have it."""
    created_by, created_at = fields.get("created_by"), fields.get("created_at")
    is_time = isinstance(created_at, str) and len(created_at) <= _MAX_TIME_CHARACTERS
    return Stamp(created_by if type(created_by) is int else None, str(created_at) if is_time else "")


def changes_of(
    before: Mapping[str, Entry | None], after: Mapping[str, Entry | None], *, restored: bool = False
) -> list[Change]:
    """What has become of these files; `restored`: those that are new were in the trash."""
    found: list[Change] = []
    for file_id, entry in after.items():
        old = before.get(file_id)
        if entry is None:
            if old is not None:
                found.append(Change(ChangeKind.DELETED, file_id, old.path, old_path=old.path))
        elif old is None:
            kind = ChangeKind.RESTORED if restored else ChangeKind.CREATED
            found.append(Change(kind, file_id, entry.path, entry))
        elif old.path != entry.path:
            found.append(Change(ChangeKind.RENAMED, file_id, entry.path, entry, old.path))
        elif old != entry:
            found.append(Change(ChangeKind.CHANGED, file_id, entry.path, entry))
    return found
