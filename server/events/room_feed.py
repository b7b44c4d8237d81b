"""What a JSON client hears of a room: what it has missed, then what happens; in order, nothing twice, all of it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from server.news.hub import Hub, News

MAX_MISSED = 1_000
"""Events; who has missed more reads them over HTTP."""


class RoomHistory(Protocol):
    """What is kept of rooms, by their canonical names."""

    async def last_event_seq(self, room: str) -> int:
        """Of the last event; 0 if there is none. Raises LogUnavailable."""

    async def events_after(self, room: str, seq: int, limit: int) -> tuple[Sequence[News], bool]:
        """(The first `limit` events after `seq`, with their own; whether others after `seq` are not kept any more).

        Raises LogUnavailable.
        """


class Missed(NamedTuple):
    """`last_seq`: of the last event before the ones to come. `gap`: `news` are not all, so none are given."""

    news: Sequence[News]
    last_seq: int
    gap: bool


class RoomFeed:
    """Holds everything back from the moment it is made until it is opened."""

    def __init__(self, room: str, hub: Hub, send: Callable[[News], None]) -> None:
        self._room = room
        self._send = send
        self._held: list[News] | None = []
        self._last_seq = 0
        self._unsubscribe = hub.subscribe(room, self.hear)

    def hear(self, news: News) -> None:
        """Pass it on, unless it was passed on already."""
        if self._held is not None:
            self._held.append(news)
        elif news.seq is None:
            self._send(news)
        elif news.seq > self._last_seq:
            self._last_seq = news.seq
            self._send(news)

    def hold(self) -> None:
        """Hold back what comes, until `open`."""
        if self._held is None:
            self._held = []

    async def missed(self, history: RoomHistory, last_seq: int | None, max_bytes: int) -> Missed:
        """What was kept after `last_seq`; None: the client has nothing, and wants what happens from now on.

        Raises LogUnavailable.
        """
        if last_seq is None:
            return Missed((), await history.last_event_seq(self._room), gap=False)
        news, gap = await history.events_after(self._room, last_seq, MAX_MISSED + 1)
        size_bytes = sum(len(str(each.payload)) for each in news)
        if gap or len(news) > MAX_MISSED or size_bytes > max_bytes:
            return Missed((), await history.last_event_seq(self._room), gap=True)
        return Missed(news, last_seq + len(news), gap=False)  # there are no holes

    def open(self, missed: Missed) -> None:
        """Send what was missed, what came meanwhile, and from now on what comes."""
        for news in missed.news:
            self._send(news)
        self._last_seq = missed.last_seq
        held, self._held = self._held or [], None
        for news in held:
            self.hear(news)

    def close(self) -> None:
        """Hear nothing more."""
        self._unsubscribe()
