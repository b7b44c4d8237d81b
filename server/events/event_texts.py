"""News as the text of an event, written once for all who hear it."""

from server.events.envelope import write_event
from server.news.hub import News


class EventTexts:
    """Whoever publishes tells one listener after the other: so the last text is enough to remember."""

    def __init__(self) -> None:
        self._news: News | None = None
        self._room: str | None = None
        self._text = ""

    def of(self, news: News, room: str | None) -> str:
        """`room` and `event_seq` are added to the payload. Raises ValueError, TypeError for what is no JSON."""
        if news is not self._news or room != self._room:
            payload = dict(news.payload)
            if room is not None:
                payload["room"] = room
            if news.seq is not None:
                payload["event_seq"] = news.seq
            text = write_event(news.type, payload, sender_id=news.sender_id, at_ms=news.at_ms)
            self._news, self._room, self._text = news, room, text
        return self._text
