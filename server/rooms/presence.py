"""Telling the members of a room about each other: the latest state of each, many in one frame."""

import time
from collections.abc import Callable
from typing import Protocol

from server.protocol.awareness_codec import (
    AwarenessEntry,
    join_entries,
    read_entries,
    stamp_user,
    write_entry,
)
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import awareness_message
from server.rooms.awareness import AwarenessTable
from server.rooms.departure import Departure
from server.rooms.member import Member
from server.rooms.roster import Roster

_FRAME_SECONDS = 1 / 30
"""Nobody sees more than so many positions of a cursor a second."""


class PresenceObserver(Protocol):
    """Who follows what is shown in a room, without being in it."""

    def shown(self, member: Member, entry: AwarenessEntry) -> None:
        """A member shows this; a state of None: nothing any more."""

    def hides(self, user_id: int) -> bool:
        """Whether the other members are not to see what this user shows."""


class Presence:
    """The awareness of a room, and who hears of it; `observer` hears it first."""

    def __init__(self, members: Roster, now_seconds: Callable[[], float]) -> None:
        self._table: AwarenessTable[Member] = AwarenessTable()
        self._members = members
        self._now_seconds = now_seconds
        self._shown: dict[int, bytes] = {}  # client id -> its entry, encoded
        self._news: dict[int, bytes] = {}
        self._last = float("-inf")
        self._departure = Departure(self._leave)
        self.observer: PresenceObserver | None = None

    def receive(self, member: Member, data: bytes, *, may_own: Callable[[int], bool]) -> None:
        """Take in awareness entries and tell the others what is news. Raises MalformedAwareness.

        `may_own`: whether the member's user may use that client id.
        """
        news = self._table.receive(
            member,
            read_entries(data),
            may_own=may_own,
            stamp=lambda state: stamp_user(state, member.shown_user),
        )
        if news is not None:
            self._tell_others(member, news)

    def own_id(self, member: Member) -> int | None:
        """The client id that the member speaks for, once it has named one."""
        return self._table.own_id(member)

    def user_of(self, client_id: int) -> int | None:
        """The user of the member that speaks for this client id now."""
        owner = self._table.owner_of(client_id)
        return None if owner is None else owner.user_id

    def writer_of(self, client_id: int) -> int | None:
        """The same, if that member may write: who only looks on keeps nobody from an id."""
        owner = self._table.owner_of(client_id)
        return owner.user_id if owner is not None and owner.may_write else None

    def tell(self, member: Member) -> None:
        """Tell a member who is here."""
        if self._shown:
            self._members.send(member, awareness_message(join_entries(self._shown.values())), {})

    def leave(self, member: Member) -> None:
        """Tell the others that the member is gone."""
        news = self._table.leave(member, now_seconds=self._now_seconds())
        if news is not None:
            self._tell_others(member, news)

    def hide(self, user_id: int) -> None:
        """The observer hides a user from now on: the others are told that all of that user's clients are gone."""
        for client_id in [each for each in self._shown if self.user_of(each) == user_id]:
            del self._shown[client_id]
            clock = next(entry.clock for entry in self._table.states() if entry.client_id == client_id)
            self._send_soon(AwarenessEntry(client_id, clock, None))

    def cancel(self) -> None:
        """The room is over."""
        self._departure.cancel()

    def _tell_others(self, member: Member, news: AwarenessEntry) -> None:
        if self.observer is not None:
            self.observer.shown(member, news)
            if self.observer.hides(member.user_id):
                return
        self._send_soon(news)

    def _send_soon(self, news: AwarenessEntry) -> None:
        entry = self._news[news.client_id] = write_entry(news)
        if news.state is None:
            self._shown.pop(news.client_id, None)
        else:
            self._shown[news.client_id] = entry
        self._departure.within(max(0.0, self._last + _FRAME_SECONDS - time.monotonic()))

    def _leave(self) -> None:
        """Nobody is sent its own state, which may be newer by now."""
        self._last = time.monotonic()
        news, self._news = self._news, {}
        owners = {owner: own_id for own_id in news if (owner := self._table.owner_of(own_id)) is not None}
        self._members.send_to_all(Frame(awareness_message(join_entries(news.values()))), {}, but=owners)
        if len(news) > 1:
            for owner, own_id in owners.items():
                others = [entry for client_id, entry in news.items() if client_id != own_id]
                self._members.send(owner, awareness_message(join_entries(others)), {})
