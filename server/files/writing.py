"""Writing to a file without a replica of it: a change of some version, made in the newest as its author would have.

The same change of the same version is written under the same client id, so asking twice writes it once.
"""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from crdt_store.conflict_checks import ConflictCheck
from crdt_store.group_commit import GroupCommit
from server.documents.absent_author import AbsentAuthor
from server.documents.service import Locked, LockOn
from server.engine.text_edits import write_edits
from server.files.check_later import CheckLater
from server.files.conflict_finding import Conflict, find_conflicts
from server.files.edits import Edit, apply_edits
from server.files.offsets import to_utf8
from server.files.version import Version, digest_of
from server.files.versions import ROOT, FileState, UnknownVersion, Versions, WrittenBy
from server.protocol.update_shape import check_update
from server.protocol.varint import buf, var_uint
from server.rooms.names import RoomName
from server.rooms.room import Room, RoomBusy
from server.rooms.room_manager import RoomManager
from server.rooms.runs import Author

_BUSY_SECONDS = 10.0
"""So long a change waits for others that are on their way in."""

_CLIENT_ID_BITS = 53
_MAX_ATTEMPTS = 8

_ANSWER_MS = 5_000
"""So long whoever has made the change looks for conflicts itself, to answer with them; then others do."""

EditsOf = Callable[[str], Sequence[Edit]]
"""The text of a version -> what is to be changed in it. Runs in a thread; what it raises is passed on."""


class FileFull(Exception):
    """The document takes no more; the message names the limit."""


class FileExists(Exception):
    """What was to be created is there already."""


class Outcome(NamedTuple):
    """`state`: the file with the change. `is_merged`: others' changes are in it too.

    `check`: the change itself, if it was one. `is_asked`: somebody will look at it, unless its conflicts are kept.
    """

    state: FileState
    is_merged: bool
    conflicts: Sequence[Conflict]
    check: ConflictCheck | None = None
    is_asked: bool = False


class _Change(NamedTuple):
    """`edits` of what `base` says, under a client id of its own."""

    name: RoomName
    author: Author
    base: FileState
    edits: Sequence[Edit]
    client_id: int
    update: bytes

    @property
    def check(self) -> ConflictCheck:
        """Whether anybody has changed the same."""
        base, digest = self.base.version, digest_of(self.update)
        return ConflictCheck(
            self.name.canonical, base.epoch, self.author.user_id, digest, self.client_id, version=str(base)
        )


class FileWriter:
    """Every method raises LogUnavailable, RoomUnavailable, RoomBusy, Locked, FileFull, BudgetExceeded, EngineFailure.

    `author`: who changes it, and in which run of an agent.
    """

    def __init__(
        self,
        versions: Versions,
        rooms: RoomManager,
        commits: GroupCommit,
        lock_on: LockOn,
        now_ms: Callable[[], int],
    ) -> None:
        self._lock_on = lock_on
        self._versions = versions
        self._rooms = rooms
        self._commits = commits
        self._now_ms = now_ms

    async def write(self, name: RoomName, author: Author, version: Version, edits_of: EditsOf) -> Outcome:
        """Change the file as it was at that version, and merge that into what it is now; returns once it is saved.

        Raises NoSuchRoom, UnknownVersion.
        """
        base = await self._versions.at(name.canonical, version)
        edits = await asyncio.to_thread(edits_of, base.text)
        if not edits:
            return Outcome(base, False, ())
        return await self._make(name, author, base, edits, creates=False)

    async def create(self, name: RoomName, author: Author, epoch: int, text: str) -> Outcome:
        """Make a file that says this. `epoch`: of the document, as the log has it. Raises FileExists."""
        nothing = FileState(Version(epoch, 0), (), b"", "")
        return await self._make(name, author, nothing, [Edit(0, 0, text)], creates=True)

    async def _make(
        self, name: RoomName, author: Author, base: FileState, edits: Sequence[Edit], *, creates: bool
    ) -> Outcome:
        for attempt in range(_MAX_ATTEMPTS):
            client_id = _client_id(name, author, base.version, edits, attempt)
            update = await asyncio.to_thread(creation_of if creates else change_of, base, edits, client_id)
            change = _Change(name, author, base, edits, client_id, update)
            check = CheckLater(
                change.check, self._now_ms() + _ANSWER_MS, None if creates else base.version.seq
            )
            if await self._merge(change, check, creates=creates):
                return await self._outcome(change, check)
        raise RoomBusy

    async def _outcome(self, change: _Change, check: CheckLater) -> Outcome:
        """Of a change that was saved."""
        name, base = change.name.canonical, change.base
        written = await self._versions.written_since(name, base.version)
        index = _index_of(change.client_id, written or ())
        if written is None or index is None:
            raise UnknownVersion(f"{name} was replaced meanwhile")
        others, mine = written[:index], written[index]
        state = await asyncio.to_thread(base.after, [*others, mine])
        self._versions.keep(name, state)
        if not others:
            return Outcome(state, False, (), change.check, check.is_asked)
        conflicts = await asyncio.to_thread(find_conflicts, base, change.edits, others, [mine.data])
        is_merged = state.text != apply_edits(base.text, change.edits)
        return Outcome(state, is_merged, conflicts, change.check, check.is_asked)

    async def _merge(self, change: _Change, check: CheckLater, *, creates: bool) -> bool:
        """Returns once it is committed. False: somebody else writes under this client id. Raises Locked."""
        name, author, update = change.name, change.author, change.update
        user_id = author.user_id
        self._check_unlocked(name, user_id)
        async with self._rooms.visit(name, may_create=creates) as room:
            await _wait_until_free(room, update)
            self._check_unlocked(name, user_id)  # it may have become so meanwhile
            if room.epoch != change.base.version.epoch:
                raise UnknownVersion(f"{name} was replaced or deleted since that version")
            held = room.document.contents.state
            if change.client_id not in held:
                if creates and held:
                    raise FileExists(f"{name} exists")
                if room.full_reason is not None:
                    raise FileFull(room.full_reason)
                await room.merge(AbsentAuthor(*author), update, is_reply=False, effects_of=lambda _: [check])
            elif room.authors.get(change.client_id) != user_id:
                return False  # else it was asked before
            await self._commits.drain()
            if room.journal.failure is not None:
                raise room.journal.failure
            if room.is_over or await room.would_change(update):
                raise RoomBusy
        return True

    def _check_unlocked(self, name: RoomName, user_id: int) -> None:
        holder = self._lock_on(name, user_id)
        if holder is not None:
            raise Locked(f"{name} is locked by {holder}")


async def _wait_until_free(room: Room, update: bytes) -> None:
    """Others' updates may be on their way in. Raises RoomBusy."""
    try:
        async with asyncio.timeout(_BUSY_SECONDS):
            while room.is_busy:
                await room.would_change(update)  # answers as soon as nobody works on the document
    except TimeoutError as error:
        raise RoomBusy from error


def _client_id(name: RoomName, author: Author, version: Version, edits: Sequence[Edit], attempt: int) -> int:
    who = author.user_id if author.run is None else f"{author.user_id} {author.run.id}"
    digest = blake2b(f"{name}\n{who}\n{version}\n{attempt}\n".encode(), digest_size=8)
    for start, end, text in edits:
        digest.update(f"{start} {end} {len(text)} {text}".encode())
    return int.from_bytes(digest.digest()) >> (64 - _CLIENT_ID_BITS)


def change_of(base: FileState, edits: Sequence[Edit], client_id: int) -> bytes:
    """What a client writes when it makes these edits; the file has nothing of its id. Raises EngineFailure."""
    bounds = to_utf8(base.text, [place for edit in edits for place in edit[:2]])
    in_bytes = [(bounds[2 * nth], bounds[2 * nth + 1], edit.text) for nth, edit in enumerate(edits)]
    return write_edits(base.content, ROOT, in_bytes, client_id)


def creation_of(base: FileState, edits: Sequence[Edit], client_id: int) -> bytes:
    """A document that says this; one that says nothing is made by something that is deleted."""
    text = apply_edits(base.text, edits)
    if text:
        return write_edits((), ROOT, [(0, 0, text)], client_id)
    client = var_uint(client_id)
    return b"\1\1%b\0\1\1%b\1\1%b\1\0\1" % (client, buf(ROOT.encode()), client)


def _index_of(client_id: int, written: Sequence[WrittenBy]) -> int | None:
    """Which of these is written under the client id."""
    mark = var_uint(client_id)
    for index, each in enumerate(written):
        if mark in each.data and client_id in check_update(each.data).structs:
            return index
    return None
