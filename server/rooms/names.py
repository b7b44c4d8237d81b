"""Room names (docs/wire.md): `chat:7`, `project:7`, `workspace:7`, `workspace:7/{file_id}`, `global`.

A name has one canonical form; whatever names the same room parses to the same value.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

MAX_FILE_ID_CHARACTERS = 512
_NUMBERED = re.compile(r"(chat|project|workspace):([1-9][0-9]{0,17})(?:/(.*))?", re.DOTALL)
_RESERVED = re.compile(r"(chat|project|workspace|global):")
_JOINERS = "\u200c\u200d"  # invisible, but part of words and emoji in use


class BadRoomName(ValueError):
    """A text that names no room; the message says why and may be shown to whoever sent it."""


class RoomKind(StrEnum):
    """What a room is for."""

    CHAT = "chat"
    PROJECT = "project"
    WORKSPACE = "workspace"
    FILE = "file"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class RoomName:
    """`id` is the chat's, project's or workspace's; `aliases` are the texts a permission pattern may match."""

    kind: RoomKind
    id: int
    canonical: str
    aliases: tuple[str, ...]

    @property
    def has_document(self) -> bool:
        """Whether there is a Yjs document: project and global rooms carry awareness and events only."""
        return self.kind not in (RoomKind.PROJECT, RoomKind.GLOBAL)

    def __str__(self) -> str:
        return self.canonical


def parse_room_name(text: str, *, plain_names_workspace_id: int | None) -> RoomName:
    """Raises BadRoomName. Where a workspace for plain names is given, `a/b.md` is a file of it."""
    if text == "global":
        return RoomName(RoomKind.GLOBAL, 0, "global", ("global",))
    match = _NUMBERED.fullmatch(text)
    if match:
        scheme, number, file_id = match[1], int(match[2]), match[3]
        if file_id is None:
            canonical = f"{scheme}:{number}"
            return RoomName(RoomKind(scheme), number, canonical, (canonical,))
        if scheme != "workspace":
            raise BadRoomName(f"a {scheme} has no files")
        return _file(number, file_id, plain=number == plain_names_workspace_id)
    if _RESERVED.match(text):
        raise BadRoomName("rooms are chat:N, project:N, workspace:N, workspace:N/file and global")
    if plain_names_workspace_id is None:
        raise BadRoomName("plain names are off here: use workspace:N/file")
    return _file(plain_names_workspace_id, text, plain=True)


def _file(workspace_id: int, text: str, *, plain: bool) -> RoomName:
    file_id = unicodedata.normalize("NFC", text)
    if not file_id or len(file_id) > MAX_FILE_ID_CHARACTERS:
        raise BadRoomName(f"a file's name has 1 to {MAX_FILE_ID_CHARACTERS} characters")
    if any(_is_invisible(character) for character in file_id):
        raise BadRoomName("a file's name holds no control or invisible characters")
    if any(part in ("", ".", "..") for part in file_id.split("/")):
        raise BadRoomName("a file's name has no empty, `.` or `..` parts")
    canonical = f"workspace:{workspace_id}/{file_id}"
    plain = plain and not _RESERVED.match(file_id)  # or a pattern for another room would match it
    return RoomName(RoomKind.FILE, workspace_id, canonical, (canonical, file_id) if plain else (canonical,))


def _is_invisible(character: str) -> bool:
    if character == "\ufffd":  # what stood here was not UTF-8
        return True
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
