"""Counts are exact, and their memory is bounded."""

from server.limits.windows import BoundedMemory
from tests.limits.clock import Clock


def test_a_window_begins_with_the_first_event_and_then_ends() -> None:
    clock = Clock()
    windows = BoundedMemory(clock)
    assert windows.incr("a", 60) == 1
    clock.seconds += 59
    assert windows.incr("a", 60, amount=2) == 3
    assert windows.get_expiry("a") == 1060
    clock.seconds += 1
    assert windows.get("a") == 0
    assert windows.get_expiry("a") == clock.seconds
    assert windows.incr("a", 60) == 1


def test_keys_are_apart_and_can_be_forgotten() -> None:
    windows = BoundedMemory(Clock())
    windows.incr("a", 60)
    windows.incr("b", 60)
    windows.clear("a")
    assert (windows.get("a"), windows.get("b")) == (0, 1)
    assert windows.reset() == 1
    assert windows.get("b") == 0
    assert windows.check()


def test_windows_that_have_ended_make_room() -> None:
    clock = Clock()
    windows = BoundedMemory(clock)
    for key in range(1000):
        windows.incr(f"old {key}", 60)
    clock.seconds += 60
    for key in range(1000):
        windows.incr(f"new {key}", 60)
    assert len(windows) == 1000
    assert windows.get("new 0") == windows.get("new 999") == 1


def test_too_many_windows_push_out_the_oldest() -> None:
    windows = BoundedMemory(Clock(), max_keys=100)
    for key in range(1000):
        windows.incr(str(key), 60)
    assert len(windows) == 100
    assert [windows.get(key) for key in ("0", "899", "900", "999")] == [0, 0, 1, 1]


def test_a_key_whose_window_begins_anew_is_the_youngest() -> None:
    clock = Clock()
    windows = BoundedMemory(clock, max_keys=4)
    for key in "abc":
        windows.incr(key, 60)
    clock.seconds += 30
    windows.incr("x", 60)
    clock.seconds += 30
    for key in "cyzw":
        windows.incr(key, 60)
    assert [windows.get(key) for key in "abcxyzw"] == [0, 0, 1, 0, 1, 1, 1]
