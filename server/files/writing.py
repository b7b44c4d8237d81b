"""Writing to a file without a replica of it: a change of some version, made in the newest as its author would have.

The same change of the same version is written under the same client id, so asking twice writes it once.
"""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from crdt_store.group_commit import GroupCommit
from server.documents.absent_author import AbsentAuthor
from server.documents.service import Locked, LockOn
from server.engine.text_edits import write_edits
from server.files.conflict_finding import Conflict, find_conflicts
from server.files.edits import Edit, apply_edits
from server.files.offsets import to_utf8
from server.files.version import Version
from server.files.versions import ROOT, FileState, UnknownVersion, Versions, WrittenBy
from server.protocol.update_shape import check_update
from server.protocol.varint import buf, var_uint
from server.rooms.names import RoomName
from server.rooms.room import Room, RoomBusy
from server.rooms.room_manager import RoomManager

_BUSY_SECONDS = 10.0
"""So long a change waits for others that are on their way in."""

_CLIENT_ID_BITS = 53

EditsOf = Callable[[str], Sequence[Edit]]
"""The text of a version -> what is to be changed in it. Runs in a thread; what it raises is passed on."""


class FileFull(Exception):
    """The document takes no more; the message names the limit."""


class FileExists(Exception):
    """What was to be created is there already."""


class Outcome(NamedTuple):
    """`state`: the file with the change. `is_merged`: others' changes are in it too. `write_id` names the change."""

    state: FileState
    is_merged: bool
    conflicts: Sequence[Conflict]
    write_id: int


class FileWriter:
    """Every method raises LogUnavailable, RoomUnavailable, RoomBusy, Locked, FileFull, EngineFailure."""

    def __init__(self, versions: Versions, rooms: RoomManager, commits: GroupCommit, lock_on: LockOn) -> None:
        self._lock_on = lock_on
        self._versions = versions
        self._rooms = rooms
        self._commits = commits

    async def write(self, name: RoomName, user_id: int, version: Version, edits_of: EditsOf) -> Outcome:
        """Change the file as it was at that version, and merge that into what it is now; returns once it is saved.

        Raises NoSuchRoom, UnknownVersion.
        """
        base = await self._versions.at(name.canonical, version)
        edits = await asyncio.to_thread(edits_of, base.text)
        if not edits:
            return Outcome(base, False, (), 0)
        client_id = _client_id(name, user_id, version, edits)
        update = await asyncio.to_thread(_update, base, edits, client_id)
        await self._merge(name, user_id, version.epoch, update, client_id, creates=False)
        return await self._outcome(name, base, edits, client_id)

    async def create(self, name: RoomName, user_id: int, epoch: int, text: str) -> Outcome:
        """Make a file that says this. `epoch`: of the document, as the log has it. Raises FileExists."""
        nothing, edit = FileState(Version(epoch, 0), (), b"", ""), Edit(0, 0, text)
        client_id = _client_id(name, user_id, nothing.version, [edit])
        update = await asyncio.to_thread(_creation, text, client_id)
        await self._merge(name, user_id, epoch, update, client_id, creates=True)
        return await self._outcome(name, nothing, [edit], client_id)

    async def _outcome(
        self, name: RoomName, base: FileState, edits: Sequence[Edit], client_id: int
    ) -> Outcome:
        """Of a change that was saved."""
        written = await self._versions.written_since(name.canonical, base.version)
        index = _index_of(client_id, written or ())
        if written is None or index is None:
            raise UnknownVersion(f"{name} was replaced meanwhile")
        others, mine = written[:index], written[index]
        state = await asyncio.to_thread(base.after, [*others, mine])
        self._versions.keep(name.canonical, state)
        if not others:
            return Outcome(state, False, (), client_id)
        conflicts = await asyncio.to_thread(find_conflicts, base, edits, others, mine.data)
        is_merged = state.text != apply_edits(base.text, edits)
        return Outcome(state, is_merged, conflicts, client_id)

    async def _merge(
        self, name: RoomName, user_id: int, epoch: int, update: bytes, client_id: int, *, creates: bool
    ) -> None:
        """Returns once it is committed. Raises Locked."""
        holder = self._lock_on(name, user_id)
        if holder is not None:
            raise Locked(f"{name} is locked by {holder}")
        async with self._rooms.visit(name, may_create=creates) as room:
            await _wait_until_free(room, update)
            if room.epoch != epoch:
                raise UnknownVersion(f"{name} was replaced or deleted since that version")
            held = room.document.contents.state
            if client_id not in held:  # else it was asked before
                if creates and held:
                    raise FileExists(f"{name} exists")
                if room.full_reason is not None:
                    raise FileFull(room.full_reason)
                await room.merge(AbsentAuthor(user_id), update)
            await self._commits.drain()
            if room.journal.failure is not None:
                raise room.journal.failure
            if room.is_over or await room.would_change(update):
                raise RoomBusy


async def _wait_until_free(room: Room, update: bytes) -> None:
    """Others' updates may be on their way in. Raises RoomBusy."""
    try:
        async with asyncio.timeout(_BUSY_SECONDS):
            while room.is_busy:
                await room.would_change(update)  # answers as soon as nobody works on the document
    except TimeoutError as error:
        raise RoomBusy from error


def _client_id(name: RoomName, user_id: int, version: Version, edits: Sequence[Edit]) -> int:
    digest = blake2b(f"{name}\n{user_id}\n{version}\n".encode(), digest_size=8)
    for start, end, text in edits:
        digest.update(f"{start} {end} {len(text)} {text}".encode())
    return int.from_bytes(digest.digest()) >> (64 - _CLIENT_ID_BITS)


def _update(base: FileState, edits: Sequence[Edit], client_id: int) -> bytes:
    bounds = to_utf8(base.text, [place for edit in edits for place in edit[:2]])
    in_bytes = [(bounds[2 * nth], bounds[2 * nth + 1], edit.text) for nth, edit in enumerate(edits)]
    return write_edits(base.content, ROOT, in_bytes, client_id)


def _creation(text: str, client_id: int) -> bytes:
    """A document that says this; one that says nothing is made by something that is deleted."""
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
