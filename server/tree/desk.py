"""What is done to the tree over HTTP: ordinary edits of its document, decided by the tree as it is then."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from crdt_store.files import FileRow
from crdt_store.lock_rows import LockTaken
from server.documents.service import Documents
from server.locks.telling import iso
from server.rooms.names import RoomName, file_name
from server.rooms.room_manager import NoSuchRoom
from server.rooms.runs import Author
from server.tree.entries import Entry, Folder
from server.tree.languages import language_of
from server.tree.paths import MAX_PATH_CHARACTERS, BadPath, PathIndex, folded
from server.tree.tree import Tree
from server.tree.trees import Plan, Trees

_PURGED_AT_ONCE = 100
logger = logging.getLogger(__name__)


class PathTaken(Exception):
    """There is a file or a folder already; the message is for people."""


class NoSuchFile(Exception):
    """The tree, or its trash, has no such file or folder."""


CreateText = Callable[[int, str, Author, str], Awaitable[object]]
"""(workspace, file id, author, text): make the file's document."""


class TreeDesk:
    """All raise LogUnavailable, RoomUnavailable, and LockTaken where somebody else has locked a path.

    Paths are normalised. `rename`: what finds its path taken gets a number; else PathTaken is raised.
    """

    def __init__(self, trees: Trees, documents: Documents, create_text: CreateText) -> None:
        self.trees = trees
        self._documents = documents
        self._create_text = create_text

    # Files

    async def create(
        self,
        workspace_id: int,
        author: Author,
        file_id: str,
        path: str,
        *,
        language: str | None = None,
        text: str | None = None,
        rename: bool = False,
    ) -> Entry:
        """A new file; the same one, asked for again. Raises PathTaken, FileExists."""
        plan = partial(self._create, workspace_id, author, file_id, path, language, rename)
        await self.trees.edit(workspace_id, author, plan)
        if text is not None:
            await self._create_text(workspace_id, file_id, author, text)
        return await self.get(workspace_id, file_id)

    async def copy(
        self, workspace_id: int, author: Author, source_id: str, file_id: str, path: str, *, rename: bool
    ) -> Entry:
        """A new file with all that another's document has now. Raises NoSuchFile, PathTaken, UpdateRefused."""
        source = await self.get(workspace_id, source_id)
        plan = partial(self._create, workspace_id, author, file_id, path, source.language, rename)
        await self.trees.edit(workspace_id, author, plan)
        await self._copy_document(
            file_name(workspace_id, source_id), file_name(workspace_id, file_id), author
        )
        return await self.get(workspace_id, file_id)

    async def _copy_document(self, source: RoomName, target: RoomName, author: Author) -> None:
        """Once: whoever has lost the answer asks again."""
        try:
            await self._documents.describe(target)
        except NoSuchRoom:
            with suppress(NoSuchRoom):  # nobody has ever written it
                content = await self._documents.export(source)
                await self._documents.replace(target, content, author)

    def _create(
        self,
        workspace_id: int,
        author: Author,
        file_id: str,
        path: str,
        language: str | None,
        rename: bool,
        tree: Tree,
    ) -> Plan:
        held = tree.entries.get(file_id)
        if held is not None and folded(held.path) == folded(path):
            return Plan()
        if held is not None or self.trees.book.get(workspace_id, file_id) is not None:
            raise PathTaken(f"there is a file {file_id!r} already, or in the trash")
        free = _free(tree.paths, path, rename=rename)
        self._check_locks(workspace_id, author.user_id, free)
        now_ms = self.trees.now_ms()
        entry = Entry(
            free, language or language_of(free), author.user_id, iso(now_ms), _path_at(tree, now_ms)
        )
        return Plan({file_id: entry})

    async def change(
        self,
        workspace_id: int,
        author: Author,
        file_id: str,
        *,
        path: str | None,
        language: str | None,
        rename: bool,
    ) -> Entry:
        """Raises NoSuchFile, PathTaken."""

        def plan(tree: Tree) -> Plan:
            held = tree.entries.get(file_id)
            if held is None:
                raise NoSuchFile(f"there is no file {file_id!r} in this workspace")
            entry = held if language is None else held._replace(language=language)
            if path is not None and path != held.path:
                paths = tree.paths.copy()
                paths.remove_file(held.path)
                free = _free(paths, path, rename=rename)
                self._check_locks(workspace_id, author.user_id, held.path, free)
                entry = entry._replace(path=free, path_at=_path_at(tree, self.trees.now_ms()))
            return Plan({file_id: entry})

        await self.trees.edit(workspace_id, author, plan)
        return await self.get(workspace_id, file_id)

    async def delete(self, workspace_id: int, author: Author, file_id: str) -> None:
        """Into the trash; what is there already stays. Raises NoSuchFile."""

        def plan(tree: Tree) -> Plan:
            held = tree.entries.get(file_id)
            if held is None and self.trees.book.get(workspace_id, file_id) is None:
                raise NoSuchFile(f"there is no file {file_id!r} in this workspace")
            if held is not None:
                self._check_locks(workspace_id, author.user_id, held.path)
            return Plan({file_id: None})

        await self.trees.edit(workspace_id, author, plan)

    async def get(self, workspace_id: int, file_id: str) -> Entry:
        """Raises NoSuchFile."""
        held = (await self.trees.read(workspace_id)).entries.get(file_id)
        if held is None:
            raise NoSuchFile(f"there is no file {file_id!r} in this workspace")
        return held

    # Folders

    async def create_folder(self, workspace_id: int, author: Author, path: str) -> tuple[str, Folder]:
        """A folder, or the one that is there. Raises PathTaken."""
        made: dict[str, Folder] = {}

        def plan(tree: Tree) -> Plan:
            known = tree.paths.folder_at(path)
            if known is not None:
                made[known] = tree.folders[known]
                return Plan()
            if tree.paths.free_for_folder(path) != path:
                raise PathTaken(f"{path!r}, or what is above it, is a file")
            self._check_locks(workspace_id, author.user_id, path)
            made[path] = Folder(author.user_id, iso(self.trees.now_ms()))
            return Plan(folders=made)

        await self.trees.edit(workspace_id, author, plan)
        return next(iter(made.items()))

    async def move_folder(self, workspace_id: int, author: Author, path: str, new_path: str) -> None:
        """With all that is in it; locks of it go along. Raises NoSuchFile, PathTaken, BadPath."""

        def plan(tree: Tree) -> Plan:
            entries, folders = _within(tree, path)
            self._check_locks(workspace_id, author.user_id, path, new_path)
            paths, path_at = tree.paths.copy(), _path_at(tree, self.trees.now_ms())
            for entry in entries.values():
                paths.remove_file(entry.path)
            for each in folders:
                paths.remove_folder(each)
            if folded(new_path).startswith(folded(path) + "/"):
                raise PathTaken(f"{new_path!r} is in {path!r}")
            if paths.is_taken(new_path):
                raise PathTaken(f"there is something at {new_path!r} already")
            moved: dict[str, Entry | None] = {
                file_id: entry._replace(path=_moved(entry.path, path, new_path), path_at=path_at)
                for file_id, entry in entries.items()
            }
            gone: dict[str, Folder | None] = dict.fromkeys(folders)
            there = {_moved(each, path, new_path): folder for each, folder in folders.items()}
            return Plan(moved, gone | there, moves={path: new_path})

        if path != new_path:
            await self.trees.edit(workspace_id, author, plan)

    async def delete_folder(self, workspace_id: int, author: Author, path: str) -> None:
        """All files in it go to the trash, together. Raises NoSuchFile."""

        def plan(tree: Tree) -> Plan:
            entries, folders = _within(tree, path)
            self._check_locks(workspace_id, author.user_id, path)
            return Plan(dict.fromkeys(entries), dict.fromkeys(folders))

        await self.trees.edit(workspace_id, author, plan)

    # The trash

    async def restore(
        self, workspace_id: int, author: Author, file_id: str, *, together: bool
    ) -> Mapping[str, Entry]:
        """Take it out of the trash, or all that went there with it; where its path is taken it gets a number.

        One that is there no more is as it is. Raises NoSuchFile.
        """
        restored: dict[str, Entry] = {}

        def plan(tree: Tree) -> Plan:
            row = self.trees.book.get(workspace_id, file_id)
            if row is None:
                raise NoSuchFile(f"there is no file {file_id!r} in this workspace")
            if file_id in tree.entries:
                restored[file_id] = tree.entries[file_id]
                return Plan()
            rows = sorted(self.trees.book.of_batch(row)) if together else [row]
            paths, path_at = tree.paths.copy(), _path_at(tree, self.trees.now_ms())
            for each in rows:
                if each.file_id not in tree.entries:
                    free = paths.free_for_file(each.path)
                    self._check_locks(workspace_id, author.user_id, free)
                    paths.add_file(each.file_id, free)
                    restored[each.file_id] = Entry(
                        free, each.language, each.created_by, each.created_at, path_at
                    )
            return Plan(dict(restored), is_restored=True)

        await self.trees.edit(workspace_id, author, plan)
        return restored

    async def purge(self, workspace_id: int, user_id: int, file_id: str) -> None:
        """Delete a file of the trash for good, with its document. Raises NoSuchFile."""
        await self.trees.read(workspace_id)  # all that was done to it before is stored
        row = self.trees.book.get(workspace_id, file_id)
        if row is None or row.deleted_at_ms is None:
            raise NoSuchFile(f"there is no file {file_id!r} in the trash of this workspace")
        with suppress(NoSuchRoom):  # it never had content, or was purged by half
            await self._documents.delete(file_name(workspace_id, file_id), user_id)
        await self.trees.files.forget(workspace_id, file_id)
        self.trees.book.forget(workspace_id, file_id)

    async def purge_older(self, than_ms: int) -> None:
        """Delete for good what has been in the trash since before that time (ms since 1970)."""
        while rows := await self.trees.files.trashed(before_ms=than_ms, limit=_PURGED_AT_ONCE):
            for row in rows:
                await self._purge_old(row)

    async def _purge_old(self, row: FileRow) -> None:
        with suppress(NoSuchFile):  # somebody has restored it just now
            await self.purge(row.workspace_id, row.deleted_by or 0, row.file_id)

    def _check_locks(self, workspace_id: int, user_id: int, *paths: str) -> None:
        """Raises LockTaken."""
        for path in paths:
            for lock in self.trees.locks.overlapping(workspace_id, path):
                if lock.holder_id != user_id:
                    raise LockTaken(lock, ())


def _free(paths: PathIndex, path: str, *, rename: bool) -> str:
    if not paths.is_taken(path):
        return path
    if not rename:
        raise PathTaken(f"there is something at {path!r} already")
    return paths.free_for_file(path)


def _path_at(tree: Tree, now_ms: int) -> int:
    return max(now_ms, tree.latest_path_at + 1)


def _within(tree: Tree, path: str) -> tuple[dict[str, Entry], dict[str, Folder]]:
    """The files and folders that a folder has, itself too. Raises NoSuchFile."""
    key = folded(path)
    entries = {
        file_id: entry for file_id, entry in tree.entries.items() if folded(entry.path).startswith(key + "/")
    }
    folders = {
        each: folder
        for each, folder in tree.folders.items()
        if folded(each) == key or folded(each).startswith(key + "/")
    }
    if not entries and not folders:
        raise NoSuchFile(f"there is no folder {path!r} in this workspace")
    return entries, folders


def _moved(path: str, folder: str, new_folder: str) -> str:
    """Raises BadPath."""
    rest: Sequence[str] = path.split("/")[folder.count("/") + 1 :]
    moved = "/".join([new_folder, *rest])
    if len(moved) > MAX_PATH_CHARACTERS:
        raise BadPath(f"{moved[:80]!r}… would have more than {MAX_PATH_CHARACTERS} characters")
    return moved
