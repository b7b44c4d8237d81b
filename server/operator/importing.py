"""Writing to a document from a file, where no server runs on the database."""

import asyncio
import secrets

from crdt_store.compaction import Condense, CondenseFailed
from crdt_store.database import Database
from crdt_store.sql import SqlUpdateLog
from crdt_store.update_log import Row, Update
from server.documents.service import UpdateContradicts, in_current_names
from server.files.edits import Edit
from server.files.text_diff import diff
from server.files.version import Version
from server.files.versions import FileState
from server.files.writing import change_of, creation_of
from server.operator.errors import Refused
from server.operator.loading import Loaded, load
from server.protocol.contents import Contents
from server.protocol.split_update import split_ready
from server.protocol.update_shape import MalformedUpdate, check_update

_CLIENT_ID_BITS = 32
_NOTHING = FileState(Version(1, 0), (), b"", "")


async def import_text(
    database: Database, condense: Condense, name: str, text: str, author_id: int | None, now_ms: int
) -> bool:
    """Make the file say this, by an edit of what differs; False if it says so already.

    Raises LogUnavailable, Refused, EngineFailure.
    """
    loaded = await load(database, condense, name)
    client_id = secrets.randbits(_CLIENT_ID_BITS)
    if loaded is None:
        update = await asyncio.to_thread(creation_of, _NOTHING, [Edit(0, 0, text)], client_id)
    else:
        base = await asyncio.to_thread(loaded.as_file)
        edits = await asyncio.to_thread(diff, base.text, text)
        if not edits:
            return False
        update = await asyncio.to_thread(change_of, base, edits, client_id)
    await _append(database, condense, name, loaded, update, (client_id,), author_id, now_ms)
    return True


async def import_update(
    database: Database, condense: Condense, name: str, update: bytes, author_id: int | None, now_ms: int
) -> bool:
    """Merge a Yjs update into the document; False if that has all of it already.

    One of an earlier epoch, a copy from before a restore, is merged under the ids that stand for its own now.
    Raises LogUnavailable, Refused.
    """
    loaded = await load(database, condense, name)
    try:
        check_update(update)
        if loaded is None:
            ready = _ready(update, Contents())
        else:
            retired = (await SqlUpdateLog(database).head(name)).retired
            renamed = await asyncio.to_thread(in_current_names, update, retired, loaded.update())
            ready = await asyncio.to_thread(_ready, renamed, _contents(loaded))
    except MalformedUpdate as error:
        raise Refused(f"this is no Yjs update: {error}") from error
    except UpdateContradicts as error:
        raise Refused(
            "it and the document hold different things under the same ids: somebody wrote under an id of others"
        ) from error
    if ready is None:
        return False
    await _append(database, condense, name, loaded, ready, (), author_id, now_ms)
    return True


def _contents(loaded: Loaded) -> Contents:
    contents = Contents()
    for update in loaded.updates:
        contents.advance(check_update(update))
    return contents


def _ready(update: bytes, contents: Contents) -> bytes | None:
    """What of it the document lacks. Raises MalformedUpdate; Refused if that builds on what it lacks too."""
    if not contents.adds(check_update(update)):
        return None
    ready, rest = split_ready(update, contents.state)
    if rest is not None:
        raise Refused("it builds on something that is neither in the document nor in it")
    return ready


async def _append(
    database: Database,
    condense: Condense,
    name: str,
    loaded: Loaded | None,
    update: bytes,
    client_ids: tuple[int, ...],
    author_id: int | None,
    now_ms: int,
) -> None:
    """Store what was tried in another process first. Raises LogUnavailable, Refused."""
    log = SqlUpdateLog(database)
    before = () if loaded is None else loaded.updates
    try:
        tried = await condense(None, [*before, update])
    except CondenseFailed as error:
        raise Refused(f"the engine cannot take it: {error}") from error
    if tried.faults:
        raise Refused(f"the engine cannot take it: {tried.faults[0].error}")
    epoch = (await log.head(name)).epoch
    bound = client_ids if author_id is not None else ()
    await log.append([Row(name, author_id, bound, (Update(update, now_ms),), epoch)])
