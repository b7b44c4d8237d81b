"""Users as JSON clients see them, from the awareness of their devices."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.events.room_view import RoomView
from server.news.hub import News
from server.protocol.awareness_codec import AwarenessEntry
from tests.limits.clock import Clock


class Watching:
    """One JSON client, shown under an id."""

    def __init__(self, client_id: int) -> None:
        self.client_id = client_id
        self.heard: list[News] = []

    def tell(self, news: News) -> None:
        self.heard.append(news)

    def kinds(self) -> list[str]:
        return [news.type for news in self.heard]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def view(clock: Clock) -> AsyncIterator[RoomView]:
    view = RoomView({5: 50}.get, now_seconds=clock, now_ms=lambda: 0)
    yield view
    view.close()


def watch(view: RoomView, client_id: int = 1) -> Watching:
    watcher = Watching(client_id)
    view.watchers.add(watcher)
    return watcher


def says(client_id: int, clock: int, user_id: int | None = 10, **state: Any) -> AwarenessEntry:
    user = {} if user_id is None else {"user": {"id": user_id, "name": f"user {user_id}"}}
    return AwarenessEntry(client_id, clock, json.dumps({**user, **state}).encode())


async def test_what_is_known_already_is_no_news(view: RoomView) -> None:
    watcher = watch(view)
    view.take([says(2, 1), says(2, 1), says(2, 2)])
    view.take([says(2, 1, away=True)])
    assert watcher.kinds() == ["user_joined"]


async def test_nobody_hears_of_what_the_same_device_has_said(view: RoomView) -> None:
    own, other = watch(view, 2), watch(view, 3)
    view.take([says(2, 1)])
    view.take([says(2, 2, away=True)])
    assert (own.kinds(), other.kinds()) == ([], ["user_joined", "presence_update"])


async def test_a_user_is_away_when_all_devices_are(view: RoomView) -> None:
    watcher = watch(view)
    view.take([says(2, 1), says(3, 1, away=True)])
    assert view.members()[0]["state"] == "online"
    view.take([AwarenessEntry(2, 1, None)])
    assert watcher.heard[-1].payload["state"] == "away"
    view.take([AwarenessEntry(3, 1, None)])
    assert watcher.kinds() == ["user_joined", "presence_update", "user_left"]
    assert view.members() == []


async def test_a_state_without_a_user_is_that_of_its_client_id(view: RoomView) -> None:
    view.take([says(5, 1, None), says(6, 1, None)])
    assert [(member["user_id"], member["name"]) for member in view.members()] == [(50, None)]


async def test_a_state_said_again_by_the_library_is_no_sign_of_typing(view: RoomView, clock: Clock) -> None:
    watcher = watch(view)
    view.take([says(2, 1)])
    view.take([says(2, 2, typing=True)])
    clock.seconds += 15
    view.take([says(2, 3, typing=True)])
    assert watcher.kinds() == ["user_joined", "typing_start", "typing_stop"]
    clock.seconds += 3
    view.take([says(2, 4, typing=True)])  # a key was pressed
    assert watcher.kinds()[3:] == ["typing_start"]


@pytest.mark.parametrize("cursor", ["x" * 5000, [[[[]]]] * 2000])
async def test_what_is_too_large_is_not_shown(view: RoomView, cursor: Any) -> None:
    view.take([says(2, 1, cursor=cursor, activity="x" * 300, typing="yes", away="no")])
    (member,) = view.members()
    assert (member["cursor"], member["activity"], member["typing"], member["state"]) == (
        None,
        None,
        False,
        "online",
    )
