"""The tracker says what a naive model says, at each moment; and what it tells, put together, is the truth."""

import json
import random
import sys
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

import pytest

from server.presence.tracker import Tracker
from tests.presence.model import NaiveModel

GRACE_SECONDS = 3.0
ROOMS = ["chat:1", "workspace:1/a.md", "project:2"]
USERS = range(1, 5)
STATE = b'{"user":{"name":"x"}}'


class Observer:
    """Puts together what is told, and trusts nothing else. A word that changes nothing is a fault."""

    def __init__(self) -> None:
        self.rooms: dict[str, dict[int, str]] = {room: {} for room in ROOMS}
        self.users: dict[int, str] = {}

    def hear(self, tracker: Tracker, now: float) -> None:
        changes = tracker.settle(now)
        for room, told in changes.rooms.items():
            here = self.rooms[room]
            for kind, user_id, payload, _ in told:
                if kind == "user_joined":
                    assert user_id not in here
                    here[user_id] = payload["state"]
                elif kind == "user_left":
                    del here[user_id]
                elif kind == "presence_update":
                    assert user_id in here
                    here[user_id] = payload["state"]
        for user_id, change in changes.users.items():
            assert self.users.get(user_id, "offline") != change.state
            self.users[user_id] = change.state


class Town:
    """Devices that come, show things, go and crash; the same is done to the tracker and to the model."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.now = 100.0
        self.tracker = Tracker(GRACE_SECONDS)
        self.model = NaiveModel(GRACE_SECONDS)
        self.open: dict[int, tuple[int, dict[str, int]]] = {}  # connection -> (user, room -> client id)
        self.ids = count(1)

    def step(self) -> None:
        acts: list[tuple[Callable[[], None], int]] = [
            (self.connect, 4),
            (self.show, 8),
            (self.leave_room, 2),
            (self.close, 3),
            (self.reload, 2),
            (self.hide, 1),
            (self.wait, 6),
        ]
        self.dice.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()

    def connect(self) -> None:
        connection, user_id = next(self.ids), self.dice.choice(USERS)
        self.open[connection] = user_id, {}
        self.tracker.connect(connection, user_id)
        self.model.begin(connection, user_id, None)

    def show(self) -> None:
        if not self.open:
            return
        connection = self.dice.choice(list(self.open))
        user_id, shown = self.open[connection]
        room, away = self.dice.choice(ROOMS), self.dice.random() < 0.4
        client_id = shown.setdefault(room, next(self.ids))
        state = json.dumps({"away": away}).encode()
        self.tracker.show(room, client_id, user_id, state, self.now)
        self.model.begin((connection, room), user_id, room, away=away)

    def leave_room(self) -> None:
        if self.open:
            connection = self.dice.choice(list(self.open))
            _, shown = self.open[connection]
            if shown:
                self._leave(connection, self.dice.choice(list(shown)), at_once=self.dice.random() < 0.5)

    def _leave(self, connection: int, room: str, *, at_once: bool) -> None:
        _, shown = self.open[connection]
        self.tracker.remove(room, shown.pop(room), self.now, at_once=at_once)
        self.model.end((connection, room), self.now, at_once=at_once)

    def close(self) -> None:
        """On purpose, or found dead after a long silence: at once; else the page may only be loaded again."""
        if self.open:
            self._close(self.dice.choice(list(self.open)), at_once=self.dice.random() < 0.5)

    def _close(self, connection: int, *, at_once: bool) -> None:
        _, shown = self.open[connection]
        for room in list(shown):
            self._leave(connection, room, at_once=at_once)
        del self.open[connection]
        self.tracker.disconnect(connection, self.now, at_once=at_once)
        self.model.end(connection, self.now, at_once=at_once)

    def reload(self) -> None:
        if self.open:
            connection = self.dice.choice(list(self.open))
            self._close(connection, at_once=False)
            if self.dice.random() < 0.5:
                self.now += self.dice.choice([0.5, 2.9])
            self.connect()

    def hide(self) -> None:
        user_id = self.dice.choice(USERS)
        is_hidden = user_id not in self.model.hidden
        self.tracker.hide(user_id, is_hidden=is_hidden)
        (self.model.hidden.add if is_hidden else self.model.hidden.discard)(user_id)

    def wait(self) -> None:
        self.now += self.dice.choice([0.01, 1.0, 2.999, GRACE_SECONDS, 10.0])

    def check(self, observer: Observer) -> None:
        for room in ROOMS:
            expected = self.model.members(room, USERS, self.now)
            assert {m["user_id"]: m["state"] for m in self.tracker.members(room)} == expected
            assert observer.rooms[room] == expected
        for user_id in USERS:
            expected_state = self.model.state(user_id, ROOMS, self.now)
            assert self.tracker.state_of(user_id) == expected_state
            assert observer.users.get(user_id, "offline") == expected_state


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_it_says_what_the_model_says_and_tells_it(seed: int) -> None:
    town = Town(random.Random(seed))
    observer, rare = Observer(), town.dice.random()
    for _ in range(400):
        town.step()
        if town.dice.random() < rare:  # else much happens before anybody is told
            observer.hear(town.tracker, town.now)
            town.check(observer)
    for connection in list(town.open):
        town._close(connection, at_once=False)
    town.now += GRACE_SECONDS
    observer.hear(town.tracker, town.now)
    town.check(observer)
    assert observer.rooms == {room: {} for room in ROOMS}
    assert set(observer.users.values()) <= {"offline"}
    assert (town.tracker._users, town.tracker._rooms, town.tracker._user_of) == ({}, {}, {})


def test_it_says_itself_when_it_has_to_be_asked_again() -> None:
    """Nobody leaves later than the tracker has said that somebody may."""
    dice = random.Random(7)
    for _ in range(100):
        town = Town(random.Random(dice.random()))
        observer = Observer()
        for _ in range(40):
            town.step()
        observer.hear(town.tracker, town.now)
        end = town.now + 30
        while (due := town.tracker.due_seconds()) is not None and due <= end:
            town.now = max(town.now, due)
            observer.hear(town.tracker, town.now)
            town.check(observer)
        town.now = end
        town.check(observer)


def test_a_user_with_three_tabs_joins_once_and_leaves_once() -> None:
    tracker, kinds = Tracker(GRACE_SECONDS), list[str]()
    for tab in range(3):
        tracker.connect(tab, 1)
        tracker.show("chat:1", tab, 1, STATE, tab)
        kinds += [told.type for told in tracker.settle(tab).rooms.get("chat:1", [])]
    for tab in range(3):
        tracker.remove("chat:1", tab, 10)
        tracker.disconnect(tab, 10)
        kinds += [told.type for told in tracker.settle(10).rooms.get("chat:1", [])]
    changes = tracker.settle(10 + GRACE_SECONDS)
    kinds += [told.type for told in changes.rooms["chat:1"]]
    assert kinds == ["user_joined", "user_left"]
    assert changes.users[1].state == "offline"
    assert changes.users[1].seen_at_seconds == 10
    assert changes.users[1].room == "chat:1"


def test_a_room_that_nobody_watches_waits_for_its_turn() -> None:
    tracker = Tracker(GRACE_SECONDS)
    tracker.show("chat:1", 1, 1, STATE, 0)
    tracker.show("chat:2", 2, 2, STATE, 0)
    assert set(tracker.settle(0, {"chat:2"}.__contains__).rooms) == {"chat:2"}
    assert tracker.has_changes
    assert set(tracker.settle(0).rooms) == {"chat:1"}
    assert not tracker.has_changes


def calls_of(act: Callable[[], object]) -> int:
    """How many calls of functions it takes."""
    calls = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return calls


def cost_of_a_join(others: int, *, in_room: int) -> int:
    tracker = Tracker(GRACE_SECONDS)
    for user_id in range(1, others + 1):
        tracker.connect(-user_id, user_id)
        room = "chat:1" if user_id <= in_room else f"chat:{user_id}"
        tracker.show(room, user_id, user_id, STATE, 0)
    tracker.settle(0)

    def join() -> None:
        tracker.connect("new", 1_000_000)
        tracker.show("chat:1", 1_000_000, 1_000_000, STATE, 1)
        tracker.settle(1)

    return calls_of(join)


def test_a_join_costs_as_much_among_ten_thousand_users_as_among_ten() -> None:
    few = cost_of_a_join(10, in_room=5)
    assert cost_of_a_join(10_000, in_room=5) == few
    assert cost_of_a_join(10_000, in_room=500) == few


def test_what_is_told_grows_with_what_changes_not_with_who_is_there() -> None:
    tracker = Tracker(GRACE_SECONDS)
    for user_id in range(500):
        tracker.show("chat:1", user_id, user_id, STATE, 0)
    assert len(tracker.settle(0).rooms["chat:1"]) == 500
    for place in range(1000):
        for user_id in range(5):
            tracker.show("chat:1", user_id, user_id, json.dumps({"cursor": place}).encode(), 1)
    told: list[Any] = []
    calls = calls_of(lambda: told.extend(tracker.settle(1).rooms["chat:1"]))
    assert [each.type for each in told] == ["cursor"] * 5
    assert calls < 1000
