"""All parts of presence, put together."""

from collections.abc import Callable

import anyio

from crdt_store.database import Database
from crdt_store.presence import PresenceStore
from server.access.doorkeeper import Doorkeeper
from server.presence.directory import PresenceDirectory
from server.presence.keeper import PresenceKeeper
from server.presence.saving import PresenceSaver
from server.presence.sharing import Sharing
from server.presence.tracker import Tracker
from server.presence.world import World


class PresenceParts:
    """`keeper` hears of everything, `world` tells it in `global`, `directory` answers over HTTP."""

    def __init__(
        self,
        database: Database,
        doorkeeper: Doorkeeper,
        *,
        node_id: str,
        grace_seconds: float,
        now_seconds: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        tracker, sharing = Tracker(grace_seconds), Sharing(doorkeeper)
        self._store = PresenceStore(database, node_id)
        self._saver = PresenceSaver(self._store, tracker, now_seconds=now_seconds, now_ms=now_ms)
        self._now_ms = now_ms
        self.keeper = PresenceKeeper(tracker, now_seconds=now_seconds, now_ms=now_ms)
        self.world = World(tracker, sharing, now_ms)
        self.directory = PresenceDirectory(self.keeper, self._store, self._saver, sharing, now_ms)
        self.keeper.on_users += [self._saver.changed, self.world.changed]
        doorkeeper.on_change(self.world.rights_changed)

    async def begin(self) -> None:
        """Clear up after the last run; before anybody is let in. Raises LogUnavailable."""
        for user_id in await self._store.begin(self._now_ms()):
            self.keeper.hide(user_id, is_hidden=True)

    async def run(self) -> None:
        """For as long as the server runs."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._saver.run)
            tasks.start_soon(self.world.run)

    async def close(self) -> None:
        """The server stops; everybody on it is gone."""
        self.keeper.settle()
        self.keeper.close()
        await self._saver.close()
