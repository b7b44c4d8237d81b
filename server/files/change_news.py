"""`file_update` for whoever listens in a workspace or its project: who has changed which lines of a file.

At most one for each file, author and second. It comes from the log, so it is about what is saved, by whatever way it
came. Files to which nobody listens cost nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from crdt_store.runs import StoredRun
from crdt_store.update_log import UpdateLog
from server.files.change_tracking import AuthorChange, changes_by_author
from server.files.version import Version
from server.files.versions import FileState, UnknownVersion, Versions, WrittenBy, updates_of
from server.news.hub import Hub, News
from server.rooms.room_manager import NoSuchRoom

_MAX_FOLLOWED = 10_000
_PREFIX = "workspace:"

logger = logging.getLogger(__name__)


class ChangeNews:
    """`stored` hears of every flush; `run` has to run while the server serves."""

    def __init__(
        self,
        log: UpdateLog,
        versions: Versions,
        hub: Hub,
        *,
        is_heard: Callable[[str], bool],
        project_of: Callable[[int], Awaitable[int | None]],
        run_of: Callable[[int], Awaitable[StoredRun | None]],
        now_ms: Callable[[], int],
        path_of: Callable[[str], str] = lambda document: document.partition("/")[2],
        every_seconds: float = 1.0,
    ) -> None:
        """`is_heard`: whether anybody listens to a room. `project_of`: workspace -> its project, if any.

        `path_of`: the name of a file's document -> where the file is. `run_of`: an agent's run by its id.
        """
        self._path_of = path_of
        self._log = log
        self._versions = versions
        self._hub = hub
        self._is_heard = is_heard
        self._project_of = project_of
        self._run_of = run_of
        self._now_ms = now_ms
        self._every_seconds = every_seconds
        self._told: dict[str, Version] = {}
        self._new: dict[str, int] = {}  # file -> how many updates were stored since
        self._work = asyncio.Event()

    def stored(self, document: str, updates: int, data_bytes: int) -> None:
        """So many updates of a document were stored."""
        if document.startswith(_PREFIX) and "/" in document:
            self._new[document] = self._new.get(document, 0) + updates
            self._work.set()

    async def run(self) -> None:
        """Once a second, tell what is new."""
        while True:
            await self._work.wait()
            self._work.clear()
            for document, updates in self._take().items():
                try:
                    await self._tell(document, updates)
                except (NoSuchRoom, UnknownVersion):  # deleted or replaced meanwhile
                    self._told.pop(document, None)
                except Exception:
                    logger.exception("what has changed in %s is not told", document)
                    self._told.pop(document, None)
            await asyncio.sleep(self._every_seconds)

    def _take(self) -> dict[str, int]:
        new, self._new = self._new, {}
        return new

    async def _tell(self, document: str, updates: int) -> None:
        workspace, _, file_id = document.partition("/")
        project_id = await self._project_of(int(workspace.removeprefix(_PREFIX)))
        rooms = [workspace] if project_id is None else [workspace, f"project:{project_id}"]
        heard = [room for room in rooms if self._is_heard(room)]
        told = self._told.pop(document, None)
        if not heard:
            return
        base = await self._before(document, told, updates)
        written = None if base is None else await self._versions.written_since(document, base.version)
        if base is None or not written:
            return
        version = written[-1].version
        if len(self._told) >= _MAX_FOLLOWED:
            del self._told[next(iter(self._told))]
        self._told[document] = version
        for change in await asyncio.to_thread(changes_by_author, base, written):
            path = self._path_of(document)
            payload = {"file_id": file_id, "path": path, "version": str(version), **_said(change)}
            run = None if change.run_id is None else await self._run_of(change.run_id)
            if run is not None:
                payload["agent"] = {"name": run.agent, "run": run.run}
            news = News("file_update", payload, change.author_id, self._now_ms())
            for room in heard:
                self._hub.publish(room, news)

    async def _before(self, document: str, told: Version | None, updates: int) -> FileState | None:
        """The file as it was told last, or before its newest updates; None if it is not there any more."""
        if told is not None:
            return await self._versions.at(document, told)
        head = await self._log.head(document)
        newest: list[WrittenBy] = []
        async for stored in self._log.read(document, after=max(head.last_seq - updates - 1, 0)):
            newest += updates_of(stored)
        if len(newest) <= updates:
            return FileState(Version(head.epoch, 0), (), b"", "") if newest else None
        return await self._versions.at(document, newest[-updates - 1].version)


def _said(change: AuthorChange) -> dict[str, object]:
    lines = [{"start": start, "end": end} for start, end in change.ranges]
    return {"action": "changed", "lines": lines, "added": change.added, "removed": change.removed}
