"""The room `global`: who comes online and goes, told to those who share a room with them, and to nobody else."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import anyio.lowlevel

from crdt_store.update_log import LogUnavailable
from server.access.identity import Identity
from server.news.hub import News
from server.presence.sharing import Sharing
from server.presence.tracker import Changes, Tracker, UserState

_RETRY_SECONDS = 0.5
logger = logging.getLogger(__name__)


class WorldWatcher:
    """A JSON client in `global`; `identity` is asked for anew each time. `told`: whom it sees, and how."""

    def __init__(self, identity: Callable[[], Identity], tell: Callable[[News], None]) -> None:
        self.identity = identity
        self.tell = tell
        self.user_id = identity().user_id
        self.told: dict[int, UserState] = {}


class World:
    """Follows users, not rooms: what a change costs grows with those who share a project or a room with the user.

    `run` it: who may see whom may have to be looked up.
    """

    def __init__(self, tracker: Tracker, sharing: Sharing, now_ms: Callable[[], int]) -> None:
        self._tracker = tracker
        self._sharing = sharing
        self._now_ms = now_ms
        self._watchers: dict[int, set[WorldWatcher]] = {}  # by user
        self._seen_by: dict[int, set[WorldWatcher]] = {}  # by the user whom they see
        self._projects: dict[int, frozenset[int]] = {}  # of who is online
        self._online_in: dict[int, set[int]] = {}  # project -> users
        self._changed: dict[int, None] = {}
        self._is_changed = anyio.Event()

    # What happens

    def changed(self, changes: Changes) -> None:
        """Users have come, gone, or entered a room."""
        self._note(changes.users)
        self._note(changes.moved)

    def rights_changed(self, user_ids: Iterable[int] | None) -> None:
        """Those of these users; None: of anybody."""
        affected = set(self._projects) if user_ids is None else set(user_ids)
        for user_id in affected:
            for watcher in self._watchers.get(user_id, ()):
                affected = affected | watcher.told.keys()
        self._note(affected)

    def _note(self, user_ids: Iterable[int]) -> None:
        self._changed.update(dict.fromkeys(user_ids))
        if self._changed:
            self._is_changed.set()

    # Who is told

    async def watch(self, watcher: WorldWatcher) -> list[dict[str, Any]]:
        """Tell the watcher from now on; whom it sees now. Raises LogUnavailable."""
        self._watchers.setdefault(watcher.user_id, set()).add(watcher)
        try:
            for user_id in await self._near(watcher.user_id):
                await self._look(watcher, user_id, is_silent=True)
        except BaseException:
            self.unwatch(watcher)
            raise
        return [_present(user_id, state) for user_id, state in watcher.told.items()]

    def unwatch(self, watcher: WorldWatcher) -> None:
        """Tell it nothing more; idempotent."""
        _discard(self._watchers, watcher.user_id, watcher)
        for user_id in watcher.told:
            _discard(self._seen_by, user_id, watcher)
        watcher.told = {}

    async def run(self) -> None:
        """Follow the changes for as long as the server runs."""
        while True:
            await self._is_changed.wait()
            self._is_changed = anyio.Event()
            changed, self._changed = self._changed, {}
            while changed:
                user_id = next(iter(changed))
                try:
                    await self._follow(user_id)
                    del changed[user_id]
                except LogUnavailable as error:
                    logger.error("who may see whom cannot be looked up, trying again: %s", error)
                    await anyio.sleep(_RETRY_SECONDS)
                await anyio.lowlevel.checkpoint()

    async def _follow(self, user_id: int) -> None:
        await self._place(user_id)
        near = await self._near(user_id)
        watchers = {*self._seen_by.get(user_id, ())}
        for other in near:
            watchers |= self._watchers.get(other, set())
        for watcher in watchers - self._watchers.get(user_id, set()):
            await self._look(watcher, user_id)
        for watcher in tuple(self._watchers.get(user_id, ())):  # it may see others than before, too
            for other in near:
                await self._look(watcher, other)

    async def _place(self, user_id: int) -> None:
        """Keep in mind in which projects somebody who is online has a role."""
        is_online = self._tracker.is_connected(user_id)
        projects = await self._sharing.projects_of(user_id) if is_online else frozenset[int]()
        for project_id in self._projects.pop(user_id, frozenset()) - projects:
            _discard(self._online_in, project_id, user_id)
        if is_online:
            self._projects[user_id] = projects
            for project_id in projects:
                self._online_in.setdefault(project_id, set()).add(user_id)

    async def _near(self, user_id: int) -> set[int]:
        """Who is online and may share a room with the user."""
        near: set[int] = set()
        for project_id in await self._sharing.projects_of(user_id):
            near |= self._online_in.get(project_id, set())
        for room in self._tracker.rooms_of(user_id):
            near |= {member["user_id"] for member in self._tracker.members(room)}
        return near - {user_id}

    async def _look(self, watcher: WorldWatcher, user_id: int, *, is_silent: bool = False) -> None:
        """Have the watcher see of the user what it may."""
        rooms = [*self._tracker.rooms_of(user_id), self._tracker.last_room_of(user_id)]
        seen_in = [room for room in rooms if room is not None]
        is_online = self._tracker.state_of(user_id) != "offline"
        may_see = is_online and await self._sharing.shares(watcher.identity(), user_id, seen_in)
        if watcher not in self._watchers.get(watcher.user_id, ()):
            return
        state = self._tracker.state_of(user_id) if may_see else "offline"
        if state == watcher.told.get(user_id, "offline"):
            return
        if state == "offline":
            del watcher.told[user_id]
            _discard(self._seen_by, user_id, watcher)
        else:
            watcher.told[user_id] = state
            self._seen_by.setdefault(user_id, set()).add(watcher)
        if not is_silent:
            payload = {"user_id": user_id, "state": state, "activity": None}
            watcher.tell(News("presence_update", payload, user_id, self._now_ms()))


def _present(user_id: int, state: UserState) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "name": None,
        "state": state,
        "typing": False,
        "activity": None,
        "cursor": None,
    }


def _discard(table: dict[int, set[Any]], key: int, value: object) -> None:
    values = table.get(key)
    if values is not None:
        values.discard(value)
        if not values:
            del table[key]
