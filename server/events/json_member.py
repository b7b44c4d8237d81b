"""A JSON client as its room sees it: it has no replica, shows itself in awareness, and sees what others show."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from server.news.hub import News
from server.presence.keeper import FRAME_SECONDS, PresenceKeeper
from server.presence.shown_state import write_state
from server.presence.typing_rule import TYPING_SECONDS, TypingRule
from server.protocol.awareness_codec import AwarenessEntry, write_entries
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.rooms.departure import Departure
from server.rooms.room import Room

RENEWAL_SECONDS = 15.0
"""Yjs clients forget who has shown nothing for 30 s."""

_NOTHING = b"\0\0"  # an update, or what a replica with nothing in it answers


class Host(Protocol):
    """The session that the member belongs to."""

    @property
    def user_id(self) -> int: ...

    @property
    def shown_user(self) -> Mapping[str, Any]: ...

    def deny(self, reason: str) -> None:
        """Tell its client that something was not accepted."""


class JsonMember:
    """A `Member` of its room and a `Watcher` of its presence."""

    has_replica = False
    run = None
    may_write = True
    """It brings nothing but an empty reply; what its user says in a document, the server writes."""

    def __init__(
        self,
        host: Host,
        room: Room,
        presence: PresenceKeeper,
        client_id: int,
        *,
        is_away: bool,
        tell: Callable[[News], None],
        on_closed: Callable[[str], None],
        now_seconds: Callable[[], float],
    ) -> None:
        """`tell` hears of the others; `on_closed` gets the reason when the room sends the member away."""
        self.client_id = client_id
        self.tell = tell
        self._host = host
        self._room = room
        self._presence = presence
        self._on_closed = on_closed
        self._now_seconds = now_seconds
        self._is_away = is_away
        self._cursor: Any = None
        self._selection: Mapping[str, Any] | None = None  # the cursor, as editors know it
        self._has_moved = False
        self._typing = TypingRule()
        self._clock = 0
        self._is_paused = False
        self._is_gone = False
        self._departure = Departure(self._show)
        self._typing_timer: asyncio.TimerHandle | None = None
        self._renewal: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        """Come in, see who is here, and be seen."""
        self._room.join(self)
        if self._room.name.has_document:  # where there was an earlier epoch, it is asked what it brings
            self._room.receive_update(self, _NOTHING, is_reply=True)
        self._presence.watch(self._room.name.canonical, self)
        self._show()

    def leave(self) -> None:
        """Go; the others are told."""
        if not self._is_gone:
            self._end()
            self._room.leave(self)

    @property
    def is_gone(self) -> bool:
        """Whether it has left, or was sent away."""
        return self._is_gone

    # What the client shows

    def show_away(self, is_away: bool) -> None:
        """Whether its user is at the keyboard."""
        if is_away != self._is_away:
            self._is_away = is_away
            self._departure.within(FRAME_SECONDS)

    def show_cursor(self, cursor: Any) -> None:
        """Any JSON; the last of those that come within a moment is shown."""
        self._cursor, self._selection, self._has_moved = cursor, None, True
        self._departure.within(FRAME_SECONDS)

    def show_typing(self, is_typing: bool) -> None:
        """A key was pressed, or all is sent; the end comes by itself too."""
        self._typing.until(self._now_seconds() + TYPING_SECONDS if is_typing else float("-inf"))
        self._tell_typing()

    def _tell_typing(self) -> None:
        if self._typing_timer is not None:
            self._typing_timer.cancel()
            self._typing_timer = None
        now = self._now_seconds()
        if self._typing.take(now) is not None:
            self._departure.within(0)
        due_seconds = self._typing.due_seconds(now)
        if due_seconds is not None:
            self._typing_timer = asyncio.get_running_loop().call_later(due_seconds, self._tell_typing)

    def _show(self) -> None:
        """JSON clients see it although the room stands still, or has yet to find out whose replica is old."""
        if self._is_gone:
            return
        self._clock += 1
        if self._has_moved:  # once: what is said in lines sticks to a character from then on
            self._has_moved = False
            cursors = self._presence.cursors(self._room.name.canonical)
            self._selection = None if cursors is None else cursors.relative(self._cursor)
        state = write_state(
            self.shown_user,
            is_away=self._is_away,
            is_typing=self._typing.is_shown,
            cursor=self._cursor if self._selection is None else self._selection,
            is_selection=self._selection is not None,
        )
        entry = AwarenessEntry(self.client_id, self._clock, state)
        self._presence.shown(self._room.name.canonical, self, entry)
        if not self._is_paused:
            self._room.receive_awareness(self, write_entries([entry]))
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = asyncio.get_running_loop().call_later(RENEWAL_SECONDS, self._show)

    # Member

    @property
    def user_id(self) -> int:
        return self._host.user_id

    @property
    def shown_user(self) -> Mapping[str, Any]:
        return self._host.shown_user

    def deliver(self, frame: Frame) -> bool:
        """Of what replicas are sent it needs nothing: the others' presence comes as news."""
        return True

    def pause(self) -> None:
        """The room stands still."""
        self._is_paused = True

    def resume(self) -> None:
        """It goes on: show what has changed meanwhile."""
        if self._is_paused:
            self._is_paused = False
            self._show()

    def slow_down(self, seconds: float) -> None:
        """It does nothing costly."""

    def fail(self, error: Exception) -> None:
        """The room found fault with what this member is made to say."""
        self.close(CloseCode.INTERNAL_ERROR, str(error))

    def deny(self, reason: str) -> None:
        """Something that was written for it was not accepted."""
        self._host.deny(reason)

    def close(self, code: CloseCode, reason: str) -> None:
        """The room sends it away; the session goes on."""
        if not self._is_gone:
            self._end()
            self._room.leave(self)
            self._on_closed(reason)

    def _end(self) -> None:
        self._is_gone = True
        self._departure.cancel()
        self._presence.unwatch(self._room.name.canonical, self)
        self._presence.shown(
            self._room.name.canonical, self, AwarenessEntry(self.client_id, self._clock, None)
        )
        for timer in (self._typing_timer, self._renewal):
            if timer is not None:
                timer.cancel()
