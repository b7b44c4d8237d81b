"""The view of each room that JSON clients are in."""

import time
from collections.abc import Callable

from server.events.room_view import RoomView
from server.rooms.room import Room


class RoomViews:
    """Made for a room's first JSON client, kept until its last one has left."""

    def __init__(
        self, *, now_ms: Callable[[], int], now_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._now_seconds = now_seconds
        self._now_ms = now_ms
        self._views: dict[Room, RoomView] = {}

    def of(self, room: Room) -> RoomView:
        """The one that all JSON clients of the room share."""
        view = self._views.get(room)
        if view is None:
            user_of = room.presence.user_of
            view = RoomView(user_of, now_seconds=self._now_seconds, now_ms=self._now_ms)
            self._views[room] = view
        return view

    def left(self, room: Room) -> None:
        """A JSON client is gone."""
        view = self._views.get(room)
        if view is not None and not view.watchers:
            view.close()
            del self._views[room]
