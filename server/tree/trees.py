"""Trees of workspaces: between their documents, the database and whoever listens."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from crdt_store.database import Database
from crdt_store.files import FileRow, Files
from crdt_store.group_commit import GroupCommit
from crdt_store.update_log import DocumentDamaged, LogUnavailable, UpdateLog
from server.locks.book import LockBook
from server.locks.telling import iso
from server.news.hub import Hub, News
from server.protocol.structs import Id
from server.rooms.names import (
    BadRoomName,
    RoomKind,
    RoomName,
    normalized_file_id,
    parse_room_name,
    workspace_name,
)
from server.rooms.room import Room, RoomBusy
from server.rooms.room_manager import NoSuchRoom, RoomManager, RoomUnavailable
from server.rooms.rules import DocumentRules, Written
from server.rooms.runs import Author, BudgetExceeded
from server.tree.book import FileBook
from server.tree.entries import Change, ChangeKind, Entry, Folder, Stamp, changes_of
from server.tree.languages import language_of
from server.tree.recording import Recording, row_of
from server.tree.tree import Tree, write_entries
from server.tree.tree_rules import TreeRules

_COMMIT_SECONDS = 30.0
_PREFIX = "workspace:"
_UNAVAILABLE = (LogUnavailable, DocumentDamaged, NoSuchRoom, RoomUnavailable, RoomBusy)
_TOLD = (
    ChangeKind.CREATED,
    ChangeKind.RENAMED,
    ChangeKind.DELETED,
    ChangeKind.RESTORED,
    ChangeKind.COLLIDED,
)
Start = Callable[[Coroutine[Any, Any, None]], object]
logger = logging.getLogger(__name__)


class Plan(NamedTuple):
    """What the server is to write. `moves`: old path -> new one, of what locks follow."""

    entries: Mapping[str, Entry | None] = {}
    folders: Mapping[str, Folder | None] = {}
    is_restored: bool = False
    moves: Mapping[str, str] = {}


class OnMoved(Protocol):
    """Files are elsewhere, so others may write them now."""

    async def __call__(self) -> None: ...


class Trees:
    """`rooms`, `commits` and what else is told is set once that is there."""

    rooms: RoomManager
    commits: GroupCommit
    on_moved: OnMoved
    sweep_locks: Callable[[], Coroutine[Any, Any, None]]

    def __init__(
        self,
        database: Database,
        log: UpdateLog,
        locks: LockBook,
        hub: Hub,
        *,
        project_of: Callable[[int], Awaitable[int | None]],
        start: Start,
        now_ms: Callable[[], int],
        new_batch: Callable[[], str],
    ) -> None:
        """`start` runs what is to be done beside. `new_batch`: a text that is no other's."""
        self.files = Files(database)
        self.book = FileBook()
        self.locks = locks
        self.now_ms = now_ms
        self._database = database
        self._log = log
        self._hub = hub
        self._project_of = project_of
        self._start = start
        self._new_batch = new_batch
        self._settled: dict[str, asyncio.Future[None]] = {}  # by room
        self._unlisted: dict[int, dict[str, None]] = {}  # by workspace: files that have just got content

    async def begin(self) -> None:
        """Before anybody is let in. Raises LogUnavailable."""
        self.book.put(await self.files.all())

    # Rooms

    def rules_of(self, name: RoomName) -> DocumentRules | None:
        """As `rooms.rules.RulesOf`."""
        if name.kind is not RoomKind.WORKSPACE:
            return None
        return TreeRules(
            lambda changes, author_id: self._recording(name.id, changes, author_id),
            known_stamp=partial(self.book.stamp_of, name.id),
            locked_by=partial(self._locked_by, name.id),
            now_ms=self.now_ms,
            iso=iso,
        )

    def opened(self, room: Room) -> None:
        """A room was opened."""
        if isinstance(room.rules, TreeRules):
            settled = self._settled[room.name.canonical] = asyncio.get_running_loop().create_future()
            self._start(self._put_right(room, settled))

    def stored(self, document: str, updates: int, data_bytes: int) -> None:
        """As GroupCommit.on_stored: a file that has content has an entry too."""
        if not document.startswith(_PREFIX):
            return
        workspace, slash, file_id = document.removeprefix(_PREFIX).partition("/")
        if not slash or self.book.get(int(workspace), file_id) is not None:
            return
        if int(workspace) not in self._unlisted:
            self._unlisted[int(workspace)] = {}
            self._start(self._list_all(int(workspace)))
        self._unlisted[int(workspace)][file_id] = None

    def _locked_by(self, workspace_id: int, path: str, user_id: int) -> str | None:
        for lock in self.locks.overlapping(workspace_id, path):
            if lock.holder_id != user_id:
                return lock.holder_name
        return None

    # A document that is opened

    async def _put_right(self, room: Room, settled: asyncio.Future[None]) -> None:
        """See that the tree says what it may, and the database what the tree says."""
        try:
            async with room.standing_still():
                await self.commits.drain()
                rows = {row.file_id: row for row in await self.files.of(room.name.id)}
                self.book.put(rows.values())
                await self._write_right(room, rows, await self.files.unlisted(room.name.id))
        except RoomBusy:
            pass  # it is over
        except LogUnavailable as error:  # it is tried again when the room is opened again
            logger.error("%s is not compared with the database yet: %s", room.name, error)
        finally:
            settled.set_result(None)

    async def _write_right(self, room: Room, rows: Mapping[str, FileRow], unlisted: Iterable[str]) -> None:
        rules = room.rules
        assert isinstance(rules, TreeRules)
        update = await asyncio.to_thread(rules.settle_all, room.next_id)
        if update is not None:
            room.write_meanwhile(update)
        found = _found(rules.tree, unlisted, Stamp(None, iso(self.now_ms())), self.now_ms())
        update = write_entries(rules.tree, room.next_id, found, {})
        if update is not None:
            room.write_meanwhile(update)
        changes = _differences(rows, rules.tree, room.name.id)
        if changes:
            recording = self._recording(room.name.id, changes, None)
            await self._database.write(recording.store)
            self._know(recording)

    # What the server writes

    async def edit(
        self, workspace_id: int, author: Author | None, plan: Callable[[Tree], Plan]
    ) -> Sequence[Change]:
        """Write what `plan` makes of the tree as it is then; returns once it is committed.

        Raises what the plan raises, BudgetExceeded, LogUnavailable, RoomUnavailable.
        """
        name = workspace_name(workspace_id)
        async with self.rooms.visit(name, may_create=True) as room:
            await self._settled[name.canonical]
            answer: asyncio.Future[Sequence[Change]] = asyncio.get_running_loop().create_future()
            lost = LogUnavailable(f"{name} was closed: try again")
            give_up = partial(_settle, answer, lost)
            room.on_end(give_up)
            answer.add_done_callback(lambda _: room.on_end_no_more(give_up))
            author_id, run = author or (None, None)
            room.write(partial(self._build, room, author, plan, answer), author_id=author_id, run=run)
            try:
                async with asyncio.timeout(_COMMIT_SECONDS):
                    return await answer
            except TimeoutError as error:
                raise LogUnavailable(f"{name}: the change was not stored in time") from error

    async def read(self, workspace_id: int) -> Tree:
        """The tree, which must not be changed, once what it says is committed. Raises as `edit`."""
        trees: list[Tree] = []

        def look(tree: Tree) -> Plan:
            trees.append(tree)
            return Plan()

        await self.edit(workspace_id, None, look)
        return trees[-1]

    def _build(
        self,
        room: Room,
        author: Author | None,
        plan: Callable[[Tree], Plan],
        answer: "asyncio.Future[Sequence[Change]]",
        at: Id,
    ) -> Written | None:
        assert isinstance(room.rules, TreeRules)
        tree = room.rules.tree
        try:
            planned = plan(tree)
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            _settle(answer, error)
            return None
        update = write_entries(tree, at, planned.entries, planned.folders)
        if update is None:
            room.when_committed(partial(_settle, answer, ()))
            return None
        author_id, run = author or (None, None)
        try:
            if run is not None:
                run.check(room.name.canonical, len(update))
        except BudgetExceeded as exceeded:
            _settle(answer, exceeded)
            return None
        before = {file_id: tree.entries.get(file_id) for file_id in planned.entries}
        changes = changes_of(before, planned.entries, restored=planned.is_restored)
        changes += _folder_changes(tree, planned.folders)
        recording = self._recording(room.name.id, changes, author_id, planned.moves)
        on_stored = recording.on_stored

        def stored(recording: Recording) -> None:
            on_stored(recording)
            _settle(answer, recording.changes)

        recording.on_stored = stored
        return Written(update, [recording])

    # Files that the tree has not

    async def _list_all(self, workspace_id: int) -> None:
        waiting = self._unlisted[workspace_id]
        try:
            while waiting:
                stamps = {file_id: await self._stamp(workspace_id, file_id) for file_id in list(waiting)}
                await self.edit(workspace_id, None, partial(self._list, workspace_id, stamps))
                for file_id in stamps:
                    waiting.pop(file_id, None)
        except _UNAVAILABLE as error:  # they are when the tree is opened again
            logger.warning("files of workspace %d are not in its tree yet: %s", workspace_id, error)
        finally:
            del self._unlisted[workspace_id]

    async def _stamp(self, workspace_id: int, file_id: str) -> Stamp:
        """By who has first written it."""
        author_id = None
        async for stored in self._log.read(f"{_PREFIX}{workspace_id}/{file_id}", after=0):
            author_id = stored.row.author_id
            break
        return Stamp(author_id, iso(self.now_ms()))

    def _list(self, workspace_id: int, stamps: Mapping[str, Stamp], tree: Tree) -> Plan:
        entries: dict[str, Entry | None] = {}
        for file_id, stamp in stamps.items():
            if self.book.get(workspace_id, file_id) is None:
                entries |= _found(tree, [file_id], stamp, self.now_ms(), entries)
        return Plan(entries)

    # After the commit

    def _recording(
        self,
        workspace_id: int,
        changes: Sequence[Change],
        author_id: int | None,
        moves: Mapping[str, str] | None = None,
    ) -> Recording:
        moved = {
            each.old_path: each.path
            for each in changes
            if each.kind is ChangeKind.RENAMED and each.old_path is not None
        }
        batch = self._new_batch()
        return Recording(workspace_id, changes, author_id, self.now_ms(), batch, moves or moved, self._stored)

    def _stored(self, recording: Recording) -> None:
        self._know(recording)
        self._start(self._tell(recording))

    def _know(self, recording: Recording) -> None:
        self.book.put(recording.put_rows())
        for file_id in recording.deleted_ids():
            row = self.book.get(recording.workspace_id, file_id)
            if row is not None:
                trashed = row._replace(
                    deleted_at_ms=recording.now_ms, deleted_by=recording.author_id, batch=recording.batch
                )
                self.book.put([trashed])

    async def _tell(self, recording: Recording) -> None:
        """Whoever listens; and see to what has depended on where files are."""
        if recording.moved_locks:
            await self.sweep_locks()
        project_id = await self._project_of(recording.workspace_id)
        rooms = [f"{_PREFIX}{recording.workspace_id}"]
        rooms += [] if project_id is None else [f"project:{project_id}"]
        for kind in _TOLD:
            changes = [each for each in recording.changes if each.kind is kind]
            if changes:
                payload = {"change": str(kind), "files": [_told(each) for each in changes]}
                news = News("file_update", payload, recording.author_id, recording.now_ms)
                for room in rooms:
                    self._hub.publish(room, news)
        if any(each.kind in (ChangeKind.RENAMED, ChangeKind.DELETED) for each in recording.changes):
            await self.on_moved()

    def path_of(self, document: str) -> str:
        """Where the file of a document is, or was last."""
        name = parse_room_name(document, plain_names_workspace_id=None)
        file_id = document.partition("/")[2]
        row = self.book.get(name.id, file_id)
        return file_id if row is None else row.path

    def rooms_at(self, workspace_id: int, path: str) -> list[str]:
        """The open rooms of files on this path, or below."""
        found: list[str] = []
        for name in tuple(self.rooms.rooms):
            if name.startswith(f"{_PREFIX}{workspace_id}/"):
                held = self.book.path_of(parse_room_name(name, plain_names_workspace_id=None))
                if held is not None and (held == path or held.startswith(path + "/")):
                    found.append(name)
        return found


def _told(change: Change) -> dict[str, object]:
    return {
        "file_id": change.file_id,
        "path": change.path,
        "old_path": change.old_path,
        "wanted_path": change.wanted_path,
    }


def _settle(answer: "asyncio.Future[Sequence[Change]]", what: Sequence[Change] | Exception) -> None:
    if answer.done():
        return
    if isinstance(what, Exception):
        answer.set_exception(what)
    else:
        answer.set_result(what)


def _found(
    tree: Tree,
    file_ids: Iterable[str],
    stamp: Stamp,
    now_ms: int,
    placed: Mapping[str, Entry | None] | None = None,
) -> dict[str, Entry | None]:
    """Entries of files that the tree has not: each is at its id, or near it. `placed`: beside these."""
    paths, entries = None, {}
    for file_id in file_ids:
        if file_id in tree.entries:
            continue
        try:
            path = normalized_file_id(file_id)
        except BadRoomName:
            continue
        if paths is None:
            paths = tree.paths.copy()
            for other, entry in (placed or {}).items():
                paths.add_file(other, entry.path if entry else other)
        path = paths.free_for_file(path)
        paths.add_file(file_id, path)
        entries[file_id] = Entry(path, language_of(path), *stamp, max(now_ms, tree.latest_path_at + 1))
    return dict(entries)


def _folder_changes(tree: Tree, folders: Mapping[str, Folder | None]) -> list[Change]:
    return [
        Change(ChangeKind.DELETED if folder is None else ChangeKind.CREATED, None, path)
        for path, folder in folders.items()
        if (path in tree.folders) == (folder is None)
    ]


def _differences(rows: Mapping[str, FileRow], tree: Tree, workspace_id: int) -> list[Change]:
    """What the rows lack of the tree."""
    changes = [
        Change(ChangeKind.CHANGED, file_id, entry.path, entry)
        for file_id, entry in tree.entries.items()
        if rows.get(file_id) != row_of(workspace_id, file_id, entry)
    ]
    changes += [
        Change(ChangeKind.DELETED, row.file_id, row.path)
        for row in rows.values()
        if row.deleted_at_ms is None and row.file_id not in tree.entries
    ]
    return changes
