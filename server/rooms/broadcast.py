"""Edits on their way to the members of a room: those of one window leave as one update, in one frame."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain

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
_MAX_APART = 32
"""With more authors in one window, none is sent the others' edits in a frame of its own: that takes their square."""


@dataclass(slots=True, eq=False)
class _Edit:
    author: Member | None
    update: bytes
    shape: UpdateShape


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
        self._edits: list[_Edit] = []
        self._owed: dict[Member, list[_Edit]] = {}
        self._bytes = 0
        self._pace = Pace()
        self._departure = Departure(self._leave)

    def add(self, author: Member | None, update: bytes, shape: UpdateShape) -> None:
        """An edit that the document has taken in and that the journal has; the server itself is None."""
        self._edits.append(_Edit(author, update, shape))
        self._bytes += len(update)
        if self._bytes > _MAX_GATHERED_BYTES:
            self._departure.hasten()
        else:
            self._depart()

    def _depart(self) -> None:
        if not self._departure.is_due:
            self._departure.within(self._pace.wait_seconds(time.monotonic(), self._window_seconds()))

    def cancel(self) -> None:
        """The room is over."""
        self._departure.cancel()

    def forget(self) -> None:
        """The document is another one: nobody is there who could use these edits."""
        self._departure.cancel()
        self._edits, self._owed, self._bytes = [], {}, 0

    def _window_seconds(self) -> float:
        """The more receivers, the longer: small rooms gain nothing by waiting."""
        seconds = min(self._max_window_seconds, _SECONDS_PER_RECEIVER * (len(self._members) - 1))
        return seconds if seconds >= _MIN_WINDOW_SECONDS else 0.0

    def _leave(self) -> None:
        edits, self._edits = self._edits, []
        self._bytes = 0
        if edits:
            self._pace.left(time.monotonic(), len(edits), self._window_seconds())
        own: dict[Member, list[_Edit]] = {}
        for edit in edits:
            for member in self._members.showing(edit.shape.structs) | {edit.author}:
                if member is not None:
                    own.setdefault(member, []).append(edit)
        owed, self._owed = self._owed, {}
        starts = _starts(chain(*owed.values(), edits))
        apart = own.keys() | owed.keys()
        if edits:
            frame = _frame(edits)
            self._members.send_to_all(frame, starts, but=apart)
            if len(own) > _MAX_APART:
                self._when_committed(partial(self._members.send_to, tuple(own), frame, starts))
                own = dict.fromkeys(own, edits)
            else:
                self._when_committed(partial(self._owe, own))
        for member in apart:
            theirs = own.get(member, ())
            lacking = owed.get(member, []) + [edit for edit in edits if edit not in theirs]
            if lacking:
                self._members.send_to((member,), _frame(lacking), starts)

    def _owe(self, own: dict[Member, list[_Edit]]) -> None:
        """What is committed is told to its authors: in a busy room with what else is to be said to them."""
        now, window_seconds = time.monotonic(), self._window_seconds()
        if self._departure.is_due or self._pace.wait_seconds(now, window_seconds):
            for member, theirs in own.items():
                self._owed.setdefault(member, []).extend(theirs)
            self._depart()
        else:
            for member, theirs in own.items():
                self._members.send_to((member,), _frame(theirs), _starts(theirs))


def _starts(edits: Iterable[_Edit]) -> dict[int, int]:
    """Client id -> the first clock that these bring of it."""
    starts: dict[int, int] = {}
    for edit in edits:
        for client, (first, _) in edit.shape.structs.items():
            if client not in starts or first < starts[client]:
                starts[client] = first
    return starts


def _frame(edits: list[_Edit]) -> Frame:
    update = edits[0].update
    if len(edits) > 1:
        update = merge_consecutive([(edit.update, edit.shape) for edit in edits])
    return Frame(update_message(update))
