"""Paths of a workspace: how they are written, when two are the same, and which one is free. PURE.

Two paths are the same if they differ in case alone: Windows, where Unreal's editors run, has one file for both.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Self

from server.rooms.names import MAX_FILE_ID_CHARACTERS, BadRoomName, normalized_file_id

MAX_PATH_CHARACTERS = MAX_FILE_ID_CHARACTERS
_MAX_TEXT_CHARACTERS = 4 * MAX_PATH_CHARACTERS  # before it is composed
_MAX_EXTENSION_CHARACTERS = 32
_NUMBERED = re.compile(r"(.*) \(([1-9][0-9]{0,8})\)", re.DOTALL)


class BadPath(ValueError):
    """A text that is no path, and cannot be made one; the message is for whoever sent it."""


def normal_path(text: str) -> str:
    """NFC, with `/` between parts, none of which is empty, `.` or `..`. Raises BadPath."""
    if len(text) > _MAX_TEXT_CHARACTERS:
        raise BadPath(f"a path has up to {MAX_PATH_CHARACTERS} characters")
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    try:
        return normalized_file_id("/".join(parts))
    except BadRoomName as error:
        raise BadPath(str(error).replace("a file's name", "a path")) from error


def folded(path: str) -> str:
    """The same for all spellings of a path."""
    return unicodedata.normalize("NFC", path.casefold())


def folders_above(path: str) -> Iterator[str]:
    """The nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


class PathIndex:
    """Which paths are files, and which are folders: those that were made, and all that are above of something."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self._below: Counter[str] = Counter()

    def copy(self) -> Self:
        other = type(self)()
        other._files, other._folders = self._files.copy(), self._folders.copy()
        other._below = self._below.copy()
        return other

    def file_at(self, path: str) -> str | None:
        """The id of the file."""
        return self._files.get(folded(path))

    def folder_at(self, path: str) -> str | None:
        """How a folder that was made is spelled."""
        return self._folders.get(folded(path))

    def is_taken(self, path: str) -> bool:
        """Whether there is a file or a folder, or what is above is a file."""
        key = folded(path)
        is_folder = key in self._folders or key in self._below
        return key in self._files or is_folder or any(above in self._files for above in folders_above(key))

    def add_file(self, file_id: str, path: str) -> None:
        key = folded(path)
        if key not in self._files:
            self._below.update(folders_above(key))
        self._files[key] = file_id

    def remove_file(self, path: str) -> None:
        key = folded(path)
        if self._files.pop(key, None) is not None:
            self._forget_above(key)

    def add_folder(self, path: str) -> None:
        key = folded(path)
        if key not in self._folders:
            self._below.update(folders_above(key))
        self._folders[key] = path

    def remove_folder(self, path: str) -> None:
        key = folded(path)
        if self._folders.pop(key, None) is not None:
            self._forget_above(key)

    def _forget_above(self, key: str) -> None:
        for above in folders_above(key):
            self._below[above] -= 1
            if not self._below[above]:
                del self._below[above]

    def free_for_file(self, path: str) -> str:
        """The path, or the nearest one with a number: `name (2).ext`. A part above that is a file gets one too."""
        return self._free(path, self._is_anything)

    def free_for_folder(self, path: str) -> str:
        """The same for a folder, which may be there already."""
        return self._free(path, self._files.__contains__)

    def _free(self, path: str, is_taken: Callable[[str], bool]) -> str:
        *above, name = path.split("/")
        folder = ""
        for part in above:
            folder = _numbered(folder + part, self._files.__contains__) + "/"
        free = _numbered(folder + name, is_taken)
        is_too_long = len(free) > MAX_PATH_CHARACTERS and above
        return _numbered(name, is_taken) if is_too_long else free  # there is room at the top

    def _is_anything(self, key: str) -> bool:
        return key in self._files or key in self._folders or key in self._below


def _numbered(path: str, is_taken: Callable[[str], bool]) -> str:
    """The first of `a.md`, `a (2).md`, `a (3).md` … that is not taken; no longer than a path may be."""
    if not is_taken(folded(path)):
        return path
    folder, slash, name = path.rpartition("/")
    dot = name.rfind(".")
    if dot <= 0 or len(name) - dot > _MAX_EXTENSION_CHARACTERS:
        dot = len(name)
    stem, extension = name[:dot], name[dot:]
    number = 2
    match = _NUMBERED.fullmatch(stem)
    if match is not None:
        stem, number = match[1], int(match[2]) + 1
    while True:
        end = f" ({number}){extension}"
        room = max(MAX_PATH_CHARACTERS - len(folder) - len(slash) - len(end), 0)
        candidate = folder + slash + stem[:room] + end
        if not is_taken(folded(candidate)):
            return candidate
        number += 1
