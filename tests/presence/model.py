"""Presence as one would say it in a few lines: everything is worked out anew from all that has happened."""

from dataclasses import dataclass, field


@dataclass
class _Span:
    """Somebody was there from `since` on, until `until` if that is not None."""

    user_id: int
    room: str | None
    away: bool = False
    until: float | None = None
    at_once: bool = False


@dataclass
class NaiveModel:
    """`spans`: of each device, keyed by connection, and by connection and room."""

    grace_seconds: float
    spans: dict[object, _Span] = field(default_factory=dict)
    ended: list[_Span] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)

    def begin(self, key: object, user_id: int, room: str | None, *, away: bool = False) -> None:
        self.spans[key] = _Span(user_id, room, away)

    def end(self, key: object, now: float, *, at_once: bool) -> None:
        span = self.spans.pop(key, None)
        if span is not None:
            span.until, span.at_once = now, at_once
            self.ended.append(span)

    def is_there(self, user_id: int, room: str | None, now: float) -> bool:
        """A device is there, or the last one that was there went a moment ago and may come back."""
        if any(each.user_id == user_id and each.room == room for each in self.spans.values()):
            return True
        gone = [each for each in self.ended if each.user_id == user_id and each.room == room]
        if not gone:
            return False
        last = gone[-1]
        assert last.until is not None
        return not last.at_once and now < last.until + self.grace_seconds

    def members(self, room: str, users: range, now: float) -> dict[int, str]:
        """User -> state, of those whom others see there."""
        there = [each for each in users if self.is_there(each, room, now) and each not in self.hidden]
        return {each: self.state_in(each, room) for each in there}

    def state_in(self, user_id: int, room: str) -> str:
        devices = [each for each in self.spans.values() if (each.user_id, each.room) == (user_id, room)]
        if not devices:  # in the grace: as the device that went last
            gone = [each for each in self.ended if (each.user_id, each.room) == (user_id, room)]
            devices = gone[-1:]
        return "away" if all(each.away for each in devices) else "online"

    def state(self, user_id: int, rooms: list[str], now: float) -> str:
        """Of a user, as others see it."""
        if user_id in self.hidden or not self.is_there(user_id, None, now):
            return "offline"
        states = [self.state_in(user_id, room) for room in rooms if self.is_there(user_id, room, now)]
        return "away" if states and set(states) == {"away"} else "online"
