"""Who is online gets to the database, some seconds late, whatever the disk does meanwhile."""

from collections.abc import Sequence
from typing import cast

import pytest

from crdt_store.presence import PresenceStore, Seen
from crdt_store.update_log import LogUnavailable
from server.presence.saving import PresenceSaver
from server.presence.tracker import Changes, Tracker, UserChange
from tests.limits.clock import Clock


class Store:
    """A `PresenceStore` that fails when it is told to."""

    def __init__(self) -> None:
        self.saved: list[list[Seen]] = []
        self.fails = False
        self.is_known = True
        self.has_ended = False

    async def save(self, seen: Sequence[Seen]) -> None:
        if self.fails:
            raise LogUnavailable("no disk")
        self.saved.append(list(seen))

    async def beat(self, now_ms: int) -> bool:
        return self.is_known

    async def end(self) -> None:
        self.has_ended = True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def tracker() -> Tracker:
    tracker = Tracker(0)
    tracker.connect("tab", 1)
    tracker.settle(0)
    return tracker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def saver(store: Store, tracker: Tracker, clock: Clock) -> PresenceSaver:
    return PresenceSaver(
        cast(PresenceStore, store),
        tracker,
        now_seconds=clock,
        now_ms=lambda: int(clock.seconds * 1000),
        batch_seconds=0,
        beat_seconds=0,
    )


def change(**users: UserChange) -> Changes:
    return Changes({}, {int(name[1:]): each for name, each in users.items()}, set())


async def test_all_that_has_changed_goes_in_one_write(saver: PresenceSaver, store: Store) -> None:
    saver.changed(change(u1=UserChange("online", 1000, None), u2=UserChange("online", 1000, "chat:1")))
    saver.changed(change(u1=UserChange("offline", 990, "chat:2")))
    await saver.save()
    assert store.saved == [[Seen(1, False, 990_000, "chat:2"), Seen(2, True, 1_000_000, "chat:1")]]
    await saver.save()
    assert len(store.saved) == 1
    assert saver.unsaved(1) is None


async def test_what_cannot_be_saved_is_kept_until_it_can(saver: PresenceSaver, store: Store) -> None:
    store.fails = True
    saver.changed(change(u1=UserChange("online", 1000, None)))
    with pytest.raises(LogUnavailable):
        await saver.save()
    assert saver.unsaved(1) is not None
    store.fails = False
    await saver.save()
    assert store.saved == [[Seen(1, True, 1_000_000)]]


async def test_a_node_that_was_taken_for_dead_says_again_who_is_online(
    saver: PresenceSaver, store: Store
) -> None:
    store.is_known = False
    await saver._beat()
    await saver.save()
    assert store.saved == [[Seen(1, True, 1_000_000)]]


async def test_when_the_server_stops_everybody_on_it_is_gone(saver: PresenceSaver, store: Store) -> None:
    await saver.close()
    assert store.saved == [[Seen(1, False, 1_000_000)]]
    assert store.has_ended
