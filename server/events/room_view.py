"""Who is in a room, as its JSON clients see it: users, each with all devices, from the room's awareness.

One view serves all JSON clients of a room, so that a frame of awareness is read once.
"""

import asyncio
import math
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from server.events.shown_state import ShownState, read_state
from server.events.typing_rule import TYPING_SECONDS, TypingRule
from server.news.hub import News
from server.protocol.awareness_codec import AwarenessEntry

RENEWAL_SECONDS = 14.0
"""Yjs clients say again every 15 s what they have said: that is no sign of typing."""


class Watcher(Protocol):
    """A JSON client in the room."""

    @property
    def client_id(self) -> int:
        """Under which it is shown."""

    def tell(self, news: News) -> None:
        """What a user of the room does."""


@dataclass(slots=True)
class _Device:
    user_id: int
    clock: int
    state: bytes
    shown: ShownState
    heard_at_seconds: float
    typing_until_seconds: float


@dataclass(slots=True)
class _User:
    """`latest`: what the device that spoke last has shown."""

    latest: ShownState
    device_ids: set[int] = field(default_factory=set)
    rule: TypingRule = field(default_factory=TypingRule)
    timer: asyncio.TimerHandle | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


class RoomView:
    """`user_of`: the user who speaks for a client id, for states that name none. `now_seconds` is never set back."""

    def __init__(
        self,
        user_of: Callable[[int], int | None],
        *,
        now_seconds: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._user_of = user_of
        self._now_seconds = now_seconds
        self._now_ms = now_ms
        self._devices: dict[int, _Device] = {}
        self._users: dict[int, _User] = {}
        self.watchers: set[Watcher] = set()
        self.last_frame: object = None  # the frame of awareness that was read last

    def members(self) -> list[dict[str, Any]]:
        """Everybody here, as `join_room` answers."""
        return [self._present(user_id, user) for user_id, user in self._users.items()]

    def take(self, entries: Iterable[AwarenessEntry], *, typing_expires: bool = True) -> None:
        """Awareness as the room has let it pass; what is known already is skipped.

        `typing_expires`: who shows typing and then nothing for TYPING_SECONDS types no more.
        """
        changed: dict[int, set[int]] = {}  # user id -> the devices that have spoken
        for entry in entries:
            user_id = (
                self._remove(entry.client_id) if entry.state is None else self._renew(entry, typing_expires)
            )
            if user_id is not None:
                changed.setdefault(user_id, set()).add(entry.client_id)
        for user_id, device_ids in changed.items():
            self._tell_changes(user_id, device_ids)

    def _renew(self, entry: AwarenessEntry, typing_expires: bool) -> int | None:
        known = self._devices.get(entry.client_id)
        if entry.state is None or (known is not None and entry.clock <= known.clock):
            return None
        shown = read_state(entry.state)
        user_id = shown.user_id or self._user_of(entry.client_id)
        if user_id is None:
            return None
        now = self._now_seconds()
        if not shown.typing:
            typing_until = -math.inf
        elif (
            known is not None
            and known.state == entry.state
            and now - known.heard_at_seconds > RENEWAL_SECONDS
        ):
            typing_until = known.typing_until_seconds
        else:
            typing_until = now + TYPING_SECONDS if typing_expires else math.inf
        self._devices[entry.client_id] = _Device(user_id, entry.clock, entry.state, shown, now, typing_until)
        user = self._users.setdefault(user_id, _User(shown))
        user.device_ids.add(entry.client_id)
        user.latest = shown
        return user_id

    def _remove(self, client_id: int) -> int | None:
        device = self._devices.pop(client_id, None)
        if device is None:
            return None
        user = self._users[device.user_id]
        user.device_ids.discard(client_id)
        if user.device_ids:
            devices = [self._devices[each] for each in user.device_ids]
            user.latest = max(devices, key=lambda each: each.heard_at_seconds).shown
        return device.user_id

    def _tell_changes(self, user_id: int, device_ids: Container[int]) -> None:
        """Tell everybody but the device that has said it."""
        user = self._users[user_id]
        before, was_there = user.told, bool(user.told)
        if not user.device_ids:
            self._cancel(user)
            del self._users[user_id]
            if was_there:
                self._tell("user_left", user_id, {}, but=device_ids)
            return
        self._tell_typing(user_id, is_silent=not was_there)
        user.told = now = self._present(user_id, user)
        if not was_there:
            self._tell("user_joined", user_id, now, but=device_ids)
            return
        if any(now.get(part) != before.get(part) for part in ("state", "activity")):
            update = {"state": now["state"], "activity": now["activity"]}
            self._tell("presence_update", user_id, update, but=device_ids)
        if now["cursor"] != before["cursor"]:
            self._tell("cursor", user_id, {"cursor": now["cursor"]}, but=device_ids)

    def _tell_typing(self, user_id: int, *, is_silent: bool = False) -> None:
        user, now = self._users[user_id], self._now_seconds()
        user.rule.until(max(self._devices[each].typing_until_seconds for each in user.device_ids))
        self._cancel(user)
        is_typing = user.rule.take(now)
        if is_typing is not None and not is_silent:
            self._tell("typing_start" if is_typing else "typing_stop", user_id, {}, but=user.device_ids)
        due_seconds = user.rule.due_seconds(now)
        if due_seconds is not None:
            user.timer = asyncio.get_running_loop().call_later(due_seconds, self._tell_typing, user_id)

    def _tell(self, kind: str, user_id: int, payload: Mapping[str, Any], *, but: Container[int]) -> None:
        news = News(kind, {"user_id": user_id, **payload}, user_id, self._now_ms())
        for watcher in tuple(self.watchers):
            if watcher.client_id not in but:
                watcher.tell(news)

    def _present(self, user_id: int, user: _User) -> dict[str, Any]:
        devices = [self._devices[each].shown for each in user.device_ids]
        is_away = all(device.state == "away" for device in devices)
        return {
            "user_id": user_id,
            "name": None,
            **user.latest.user,
            "state": "away" if is_away else "online",
            "typing": user.rule.is_shown,
            "activity": user.latest.activity,
            "cursor": user.latest.cursor,
        }

    def close(self) -> None:
        """Nobody looks any more."""
        for user in self._users.values():
            self._cancel(user)

    @staticmethod
    def _cancel(user: _User) -> None:
        if user.timer is not None:
            user.timer.cancel()
            user.timer = None
