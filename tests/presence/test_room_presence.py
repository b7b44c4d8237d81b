"""Users of one room, from what their devices show."""

import json
from typing import Any

import pytest

from server.presence.room_presence import RoomPresence, Told
from tests.limits.clock import Clock

GRACE_SECONDS = 3.0
NAMES = {10: {"id": 10, "name": "Ada", "color": "#123456"}, 20: {"id": 20, "name": "Bob"}}


class Shown:
    """One room, and what was told of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hidden: set[int] = set()
        self.room = RoomPresence(GRACE_SECONDS, self.hidden)
        self.told: list[Told] = []

    def says(self, client_id: int, user_id: int = 10, **state: Any) -> None:
        self.room.show(
            client_id,
            user_id,
            json.dumps(state).encode(),
            self.clock.seconds,
            shown_user=NAMES[user_id],
        )

    def goes(self, client_id: int, *, at_once: bool = True) -> None:
        self.room.remove(client_id, self.clock.seconds, at_once=at_once)

    def settle(self) -> list[str]:
        """The types of what is told now."""
        told, _ = self.room.settle(self.clock.seconds)
        self.told += told
        return [each.type for each in told]

    def passes(self, seconds: float, user_id: int = 10) -> list[str]:
        self.clock.seconds += seconds
        self.room.touch(user_id)
        return self.settle()


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_many_states_of_a_moment_are_told_as_one(shown: Shown) -> None:
    for place in range(50):
        shown.says(2, cursor=place)
    assert shown.settle() == ["user_joined"]
    for place in range(50):
        shown.says(2, cursor=place, away=place % 2 == 0)
    assert shown.settle() == []


def test_a_device_need_not_hear_what_it_has_said(shown: Shown) -> None:
    shown.says(2)
    shown.says(3, 20)
    shown.settle()
    shown.says(2, away=True)
    shown.settle()
    assert [set(told.but) for told in shown.told] == [{2}, {3}, {2}]  # type: ignore[call-overload]


def test_a_user_is_away_when_all_devices_are(shown: Shown) -> None:
    shown.says(2)
    shown.says(3, away=True)
    shown.settle()
    assert shown.room.members()[0]["state"] == "online"
    shown.goes(2)
    assert shown.settle() == ["presence_update"]
    assert shown.told[-1].payload["state"] == "away"
    shown.goes(3)
    assert shown.settle() == ["user_left"]
    assert shown.room.members() == []
    assert shown.room.is_empty


def test_who_comes_back_within_the_grace_has_not_left(shown: Shown) -> None:
    shown.says(2, cursor=1)
    shown.settle()
    shown.goes(2, at_once=False)
    assert shown.settle() == ["cursor"]  # there is none any more
    assert shown.passes(GRACE_SECONDS - 0.1) == []
    shown.says(7, cursor=1)
    assert shown.settle() == ["cursor"]
    assert shown.passes(GRACE_SECONDS * 2) == []


def test_who_does_not_come_back_has_left_after_the_grace(shown: Shown) -> None:
    shown.says(2)
    shown.settle()
    shown.goes(2, at_once=False)
    assert shown.settle() == []
    assert len(shown.room.members()) == 1
    assert shown.passes(GRACE_SECONDS) == ["user_left"]


def test_who_came_and_went_between_two_looks_is_not_told_of(shown: Shown) -> None:
    shown.says(2)
    shown.goes(2)
    assert shown.settle() == []


def test_names_are_the_servers_and_a_colour_may_be_the_clients(shown: Shown) -> None:
    shown.says(2)
    shown.says(3, 20, user={"name": "Bob", "color": "#ff0000", "email": "b@example.com"})
    shown.settle()
    assert [(m["name"], m["color"], "email" in m) for m in shown.room.members()] == [
        ("Ada", "#123456", False),
        ("Bob", "#ff0000", False),
    ]


def test_a_state_said_again_by_the_library_is_no_sign_of_typing(shown: Shown) -> None:
    shown.says(2)
    shown.settle()
    shown.says(2, typing=True)
    assert shown.settle() == ["typing_start"]
    assert shown.passes(15) == ["typing_stop"]
    shown.says(2, typing=True)
    assert shown.settle() == []
    shown.clock.seconds += 3
    shown.says(2, typing=True)  # a key was pressed
    assert shown.settle() == ["typing_start"]


def test_who_is_hidden_is_here_for_nobody(shown: Shown) -> None:
    shown.says(2)
    shown.settle()
    shown.hidden.add(10)
    assert shown.passes(0) == ["user_left"]
    shown.says(2, away=True, cursor=1, typing=True)
    assert shown.settle() == []
    assert shown.room.members() == []
    shown.hidden.clear()
    assert shown.passes(0) == ["user_joined"]
    assert shown.told[-1].payload["state"] == "away"


@pytest.mark.parametrize("cursor", ["x" * 5000, [[[[]]]] * 2000])
def test_what_is_too_large_is_not_shown(shown: Shown, cursor: Any) -> None:
    shown.says(2, cursor=cursor, activity="x" * 300, typing="yes", away="no")
    shown.settle()
    (member,) = shown.room.members()
    assert (member["cursor"], member["activity"], member["typing"], member["state"]) == (
        None,
        None,
        False,
        "online",
    )
