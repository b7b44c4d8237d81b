"""Who is online, on its way to the database: all changes of a moment in one transaction."""

import asyncio
import logging
from collections.abc import Callable

from crdt_store.presence import BEAT_SECONDS, PresenceStore, Seen
from crdt_store.update_log import LogUnavailable
from server.presence.tracker import Changes, Tracker

BATCH_SECONDS = 2.0
logger = logging.getLogger(__name__)


class PresenceSaver:
    """`run` it while the server serves. What cannot be saved now is saved later; nothing waits for it."""

    def __init__(
        self,
        store: PresenceStore,
        tracker: Tracker,
        *,
        now_seconds: Callable[[], float],
        now_ms: Callable[[], int],
        batch_seconds: float = BATCH_SECONDS,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._store = store
        self._tracker = tracker
        self._now_seconds = now_seconds
        self._now_ms = now_ms
        self._batch_seconds = batch_seconds
        self._beat_seconds = beat_seconds
        self._unsaved: dict[int, Seen] = {}

    def changed(self, changes: Changes) -> None:
        """Users have come or gone."""
        now_seconds, now_ms = self._now_seconds(), self._now_ms()
        for user_id, change in changes.users.items():
            at_ms = now_ms - int((now_seconds - change.seen_at_seconds) * 1000)
            self._unsaved[user_id] = Seen(user_id, change.state != "offline", at_ms, change.room)

    def unsaved(self, user_id: int) -> Seen | None:
        """What the database does not know of the user yet."""
        return self._unsaved.get(user_id)

    async def run(self) -> None:
        """Save every few seconds what there is, and say that this node is alive."""
        beaten_at_seconds = self._now_seconds()
        while True:
            await asyncio.sleep(self._batch_seconds)
            try:
                await self.save()
                if self._now_seconds() - beaten_at_seconds >= self._beat_seconds:
                    await self._beat()
                    beaten_at_seconds = self._now_seconds()
            except LogUnavailable as error:
                logger.error("who is online cannot be saved, trying again: %s", error)

    async def save(self) -> None:
        """Save what there is. Raises LogUnavailable, and then keeps it."""
        unsaved = list(self._unsaved.values())
        if unsaved:
            await self._store.save(unsaved)
            for each in unsaved:
                if self._unsaved.get(each.user_id) is each:
                    del self._unsaved[each.user_id]

    async def _beat(self) -> None:
        if not await self._store.beat(self._now_ms()):  # the others took this node for dead
            now_ms = self._now_ms()
            for user_id in self._tracker.online():
                room = self._tracker.last_room_of(user_id)
                self._unsaved.setdefault(user_id, Seen(user_id, True, now_ms, room))

    async def close(self) -> None:
        """The server stops: whoever is still online here is so no more."""
        now_ms = self._now_ms()
        for user_id in self._tracker.online():
            self._unsaved[user_id] = Seen(user_id, False, now_ms, self._tracker.last_room_of(user_id))
        try:
            await self.save()
            await self._store.end()
        except LogUnavailable as error:
            logger.error("who was online could not be saved: %s", error)
