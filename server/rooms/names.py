"""Room names (docs/wire.md): `chat:7`, `chat:7@2`, `project:7`, `workspace:7`, `workspace:7/{file_id}`, `global`.

A name has one canonical form; whatever names the same room parses to the same value.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import StrEnum

MAX_FILE_ID_CHARACTERS = 512
_NUMBERED = re.compile(r"(chat|project|workspace):([1-9][0-9]{0,17})(?:/(.*))?", re.DOTALL)
_SEGMENT = re.compile(r"chat:([1-9][0-9]{0,17})@([1-9][0-9]{0,8})")
_RESERVED = re.compile(r"(chat|project|workspace|global):")
_JOINERS = "\u200c\u200d"  # invisible, but part of words and emoji in use


class BadRoomName(ValueError):
    """A text that names no room; the message says why and may be shown to whoever sent it."""


class RoomKind(StrEnum):
    """What a room is for."""

    CHAT = "chat"
    SEGMENT = "segment"
    PROJECT = "project"
    WORKSPACE = "workspace"
    FILE = "file"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class RoomName:
    """`id` is the chat's, project's or workspace's; `aliases` are the texts a permission pattern may match.

    `segment`: which of the closed documents of a chat's thread it is.
    """

    kind: RoomKind
    id: int
    canonical: str
    aliases: tuple[str, ...]
    segment: int | None = None

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
    segment = _SEGMENT.fullmatch(text)
    if segment:
        return segment_name(int(segment[1]), int(segment[2]))
    if _RESERVED.match(text):
        raise BadRoomName("rooms are chat:N, chat:N@N, project:N, workspace:N, workspace:N/file and global")
    if plain_names_workspace_id is None:
        raise BadRoomName("plain names are off here: use workspace:N/file")
    return _file(plain_names_workspace_id, text, plain=True)


def chat_name(chat_id: int) -> RoomName:
    """The room of a chat, with the newest part of its thread."""
    canonical = f"chat:{chat_id}"
    return RoomName(RoomKind.CHAT, chat_id, canonical, (canonical,))


def segment_name(chat_id: int, number: int) -> RoomName:
    """A closed document of a chat's thread; who may read the chat may read it."""
    return RoomName(RoomKind.SEGMENT, chat_id, f"chat:{chat_id}@{number}", (f"chat:{chat_id}",), number)


def file_name(workspace_id: int, file_id: str) -> RoomName:
    """The room of a file, whose id is normalised."""
    canonical = f"workspace:{workspace_id}/{file_id}"
    return RoomName(RoomKind.FILE, workspace_id, canonical, (canonical,))


def workspace_name(workspace_id: int) -> RoomName:
    """The room of a workspace, with the tree of its files."""
    canonical = f"workspace:{workspace_id}"
    return RoomName(RoomKind.WORKSPACE, workspace_id, canonical, (canonical,))


def normalized_file_id(text: str) -> str:
    """The one form of a file's id, or of a path. Raises BadRoomName."""
    file_id = unicodedata.normalize("NFC", text)
    if not file_id or len(file_id) > MAX_FILE_ID_CHARACTERS:
        raise BadRoomName(f"a file's name has 1 to {MAX_FILE_ID_CHARACTERS} characters")
    if any(_is_invisible(character) for character in file_id):
        raise BadRoomName("a file's name holds no control or invisible characters")
    if any(part in ("", ".", "..") for part in file_id.split("/")):
        raise BadRoomName("a file's name has no empty, `.` or `..` parts")
    return file_id


def _file(workspace_id: int, text: str, *, plain: bool) -> RoomName:
    name = file_name(workspace_id, normalized_file_id(text))
    file_id = name.canonical.partition("/")[2]
    plain = plain and not _RESERVED.match(file_id)  # or a pattern for another room would match it
    return replace(name, aliases=(name.canonical, file_id)) if plain else name


def _is_invisible(character: str) -> bool:
    if character == "\ufffd":  # what stood here was not UTF-8
        return True
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
