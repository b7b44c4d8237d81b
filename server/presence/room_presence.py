"""Who is in one room: users, each with all devices, from what their devices show. Pure: no clock, no timer."""

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from server.presence.shown_state import ShownState, read_state
from server.presence.typing_rule import TYPING_SECONDS, TypingRule

RENEWAL_SECONDS = 14.0
"""Yjs clients say again every 15 s what they have said: that is no sign of typing."""


class Told(NamedTuple):
    """What those in the room are told of a user. `but`: the devices that said it, by client id, need not hear it."""

    type: str
    user_id: int
    payload: Mapping[str, Any]
    but: Container[int]


@dataclass(slots=True)
class _Device:
    """`shown` is None until it is read: of many states in a moment only the last one is. `number` counts them."""

    user_id: int
    shown_user: Mapping[str, Any]
    state: bytes
    shown: ShownState | None
    number: int
    heard_at_seconds: float
    is_renewal: bool
    typing_expires: bool
    typing_until_seconds: float = -math.inf


@dataclass(slots=True)
class _User:
    """`latest`: what the device that spoke last has shown, or went last. `leaves_at_seconds`: once all are gone."""

    latest: ShownState
    device_ids: set[int] = field(default_factory=set)
    rule: TypingRule = field(default_factory=TypingRule)
    leaves_at_seconds: float = math.inf
    told: Mapping[str, Any] = field(default_factory=dict)


class RoomPresence:
    """Of one room. What changes is gathered until it is settled.

    A user whose last device is gone stays for `grace_seconds`, and has not left if one comes back by then. Those in
    `hidden` are here for nobody else.
    """

    def __init__(self, grace_seconds: float, hidden: Container[int]) -> None:
        self._grace_seconds = grace_seconds
        self._hidden = hidden
        self._devices: dict[int, _Device] = {}  # by client id
        self._users: dict[int, _User] = {}
        self._changed: dict[int, set[int]] = {}  # user id -> the devices that have spoken
        self._shows = 0

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, nor was until a moment ago."""
        return not self._users

    def show(
        self,
        client_id: int,
        user_id: int,
        state: bytes,
        now_seconds: float,
        *,
        shown_user: Mapping[str, Any] = MappingProxyType({}),
        typing_expires: bool = True,
    ) -> None:
        """A device shows this, as the room has let it pass. `shown_user`: how its user looks, unless it says more.

        `typing_expires`: who shows typing and then nothing for TYPING_SECONDS types no more.
        """
        known = self._devices.get(client_id)
        is_renewal = (
            known is not None
            and known.state == state
            and now_seconds - known.heard_at_seconds > RENEWAL_SECONDS
        )
        self._shows += 1
        device = _Device(
            user_id, shown_user, state, None, self._shows, now_seconds, is_renewal, typing_expires
        )
        if known is not None:
            device.typing_until_seconds = known.typing_until_seconds
        self._devices[client_id] = device
        user = self._users.setdefault(user_id, _User(_NOTHING))
        user.device_ids.add(client_id)
        user.leaves_at_seconds = math.inf
        self._changed.setdefault(user_id, set()).add(client_id)

    def remove(self, client_id: int, now_seconds: float, *, at_once: bool) -> int | None:
        """A device is gone; its user. `at_once`: who was only on that device is so too, without a grace."""
        device = self._devices.pop(client_id, None)
        if device is None:
            return None
        user = self._users[device.user_id]
        user.device_ids.discard(client_id)
        if not user.device_ids:
            user.latest = (device.shown or read_state(device.state, device.shown_user))._replace(cursor=None)
            user.leaves_at_seconds = now_seconds + (0 if at_once else self._grace_seconds)
        self._changed.setdefault(device.user_id, set()).add(client_id)
        return device.user_id

    def touch(self, user_id: int) -> None:
        """Look at a user again: time has passed, or others may see more or less of them."""
        if user_id in self._users:
            self._changed.setdefault(user_id, set())

    def settle(self, now_seconds: float) -> tuple[list[Told], dict[int, float | None]]:
        """(what there is to tell; the users who were looked at, and when to touch each of them again)."""
        changed, self._changed = self._changed, {}
        told: list[Told] = []
        due: dict[int, float | None] = {}
        for user_id, spoke in changed.items():
            user = self._users[user_id]
            self._read(user, spoke, now_seconds)
            told += self._tell(user_id, user, spoke, now_seconds)
            if not user.device_ids and now_seconds >= user.leaves_at_seconds:
                del self._users[user_id]
                due[user_id] = None
            else:
                due[user_id] = _due_seconds(user, now_seconds)
        return told, due

    def _read(self, user: _User, spoke: set[int], now_seconds: float) -> None:
        for client_id in spoke:
            device = self._devices.get(client_id)
            if device is None or device.shown is not None:
                continue
            device.shown = read_state(device.state, device.shown_user)
            if not device.shown.typing:
                device.typing_until_seconds = -math.inf
            elif not device.typing_expires:
                device.typing_until_seconds = math.inf
            elif not device.is_renewal:
                device.typing_until_seconds = device.heard_at_seconds + TYPING_SECONDS
        devices = [self._devices[each] for each in user.device_ids]
        if devices:
            latest = max(devices, key=lambda each: each.number).shown
            user.latest = latest or _NOTHING
        typing_until = (device.typing_until_seconds for device in devices)
        user.rule.until(max(typing_until, default=-math.inf))

    def _tell(self, user_id: int, user: _User, spoke: set[int], now_seconds: float) -> list[Told]:
        before = user.told
        is_typing = user.rule.take(now_seconds)
        is_there = bool(user.device_ids) or now_seconds < user.leaves_at_seconds
        if not is_there or user_id in self._hidden:
            user.told = {}
            return [Told("user_left", user_id, {}, spoke)] if before else []
        now = user.told = self._present(user_id, user)
        if not before:
            return [Told("user_joined", user_id, now, spoke)]
        told = []
        if is_typing is not None:
            kind = "typing_start" if is_typing else "typing_stop"
            told.append(Told(kind, user_id, {}, frozenset(user.device_ids)))
        if any(now[part] != before[part] for part in ("state", "activity")):
            update = {"state": now["state"], "activity": now["activity"]}
            told.append(Told("presence_update", user_id, update, spoke))
        if now["cursor"] != before["cursor"]:
            told.append(Told("cursor", user_id, {"cursor": now["cursor"]}, spoke))
        return told

    def _present(self, user_id: int, user: _User) -> dict[str, Any]:
        shown = [self._devices[each].shown or _NOTHING for each in user.device_ids] or [user.latest]
        return {
            "user_id": user_id,
            "name": None,
            **user.latest.user,
            "state": "away" if all(each.state == "away" for each in shown) else "online",
            "typing": user.rule.is_shown,
            "activity": user.latest.activity,
            "cursor": user.latest.cursor,
        }

    def has(self, user_id: int) -> bool:
        """Whether the user is here, be it in hiding."""
        return user_id in self._users

    # Once it is settled

    def members(self) -> list[Mapping[str, Any]]:
        """Everybody who is here for the others, in the order in which they came."""
        return [user.told for user in self._users.values() if user.told]

    def member(self, user_id: int) -> Mapping[str, Any] | None:
        """One who is here, be it in hiding; None if they are not."""
        user = self._users.get(user_id)
        return None if user is None else user.told or self._present(user_id, user)


_NOTHING = ShownState({})


def _due_seconds(user: _User, now_seconds: float) -> float | None:
    typing_seconds = user.rule.due_seconds(now_seconds)
    due = [] if typing_seconds is None else [now_seconds + typing_seconds]
    if not user.device_ids:
        due.append(user.leaves_at_seconds)
    return min(due, default=None)
