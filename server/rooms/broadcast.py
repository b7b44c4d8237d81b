"""Edits on their way to the members of a room: those of one window leave as one update, in one frame."""

import time
from collections.abc import Callable
from functools import partial

from crdt_store.pace import Pace
from server.protocol.merge_updates import merge_consecutive
from server.protocol.update_shape import UpdateShape
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import update_message
from server.rooms.departure import Departure
from server.rooms.member import Member
from server.rooms.roster import Roster

_SECONDS_PER_RECEIVER = 0.0004
"""Eighty times what it takes to send to one: waiting keeps a room's sends to about an eightieth of a core."""

_MIN_WINDOW_SECONDS = 0.001
_MAX_GATHERED_BYTES = 64 * 1024


class Broadcast:
    """Everybody hears of an edit; its author, and who has shown its client ids, once it is committed.

    The first edit after a pause leaves at once. `max_window_seconds` bounds how long one ever waits.
    """

    def __init__(
        self,
        members: Roster,
        when_committed: Callable[[Callable[[], None]], None],
        *,
        max_window_seconds: float,
    ) -> None:
        self._members = members
        self._when_committed = when_committed
        self._max_window_seconds = max_window_seconds
        self._edits: list[tuple[bytes, UpdateShape]] = []
        self._bytes = 0
        self._authors: set[Member] = set()
        self._pace = Pace()
        self._departure = Departure(self._leave)

    def add(self, author: Member, update: bytes, shape: UpdateShape) -> None:
        """An edit that the document has taken in and that the journal has."""
        self._edits.append((update, shape))
        self._authors.add(author)
        self._bytes += len(update)
        if self._bytes > _MAX_GATHERED_BYTES:
            self._departure.hasten()
        elif not self._departure.is_due:
            self._departure.within(self._pace.wait_seconds(time.monotonic(), self._window_seconds()))

    def cancel(self) -> None:
        """The room is over."""
        self._departure.cancel()

    def _window_seconds(self) -> float:
        """The more receivers, the longer: small rooms gain nothing by waiting."""
        seconds = min(self._max_window_seconds, _SECONDS_PER_RECEIVER * (len(self._members) - 1))
        return seconds if seconds >= _MIN_WINDOW_SECONDS else 0.0

    def _leave(self) -> None:
        edits, self._edits = self._edits, []
        authors, self._authors = self._authors, set()
        self._bytes = 0
        self._pace.left(time.monotonic(), len(edits), self._window_seconds())
        starts: dict[int, int] = {}
        for _, shape in edits:
            for client, (first, _) in shape.structs.items():
                starts.setdefault(client, first)
        update = edits[0][0] if len(edits) == 1 else merge_consecutive(edits)
        frame = Frame(update_message(update))
        concerned = authors | self._members.showing(starts)
        self._members.send_to_all(frame, starts, but=concerned)
        self._when_committed(partial(self._members.send_to, concerned, frame, starts))
