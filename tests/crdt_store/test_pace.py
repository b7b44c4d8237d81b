"""When what is gathered may leave: a sender and a clock of numbers, nothing else."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest

from crdt_store.pace import Pace

WINDOW_SECONDS = 0.016


class Departure(NamedTuple):
    """So many pieces left together at this time; the first of them had waited so long."""

    at: float
    pieces: int
    waited_seconds: float


def sent(pace: Pace, arrivals: Iterable[float], window_seconds: float = WINDOW_SECONDS) -> list[Departure]:
    """What leaves when, of pieces that come at these times (ascending) whatever becomes of those before."""
    departures: list[Departure] = []
    first = due = 0.0
    count = 0
    for now in arrivals:
        if count and due <= now:
            pace.left(due, count, window_seconds)
            departures.append(Departure(due, count, due - first))
            count = 0
        if not count:
            first, due = now, now + pace.wait_seconds(now, window_seconds)
        count += 1
    pace.left(due, count, window_seconds)
    return [*departures, Departure(due, count, due - first)]


def answered(
    pace: Pace, senders: int, round_trip_seconds: float, seconds: float, *, begin: float = 0.0
) -> list[Departure]:
    """The same for senders each of whom sends its next piece so long after the one before has left."""
    departures: list[Departure] = []
    # They are not in step: each comes in its own part of the first round trip.
    coming = sorted(begin + round_trip_seconds * index / senders for index in range(senders))
    while coming[0] < begin + seconds:
        first = coming[0]
        leaves = first + pace.wait_seconds(first, WINDOW_SECONDS)
        together = sum(at <= leaves for at in coming)
        coming = sorted([*coming[together:], *[leaves + round_trip_seconds] * together])
        pace.left(leaves, together, WINDOW_SECONDS)
        departures.append(Departure(leaves, together, leaves - first))
    return departures


def every(seconds: float, *, of: float, begin: float = 0.0) -> list[float]:
    """Times at this distance, during `of` seconds."""
    return [begin + index * seconds for index in range(round(of / seconds))]


@pytest.mark.parametrize("distance_seconds", [0.3, 1.0, 3600.0])
def test_single_pieces_never_wait(distance_seconds: float) -> None:
    departures = sent(Pace(), every(distance_seconds, of=distance_seconds * 50))
    assert len(departures) == 50
    assert {departure.waited_seconds for departure in departures} == {0.0}


@pytest.mark.parametrize("per_second", [5, 20, 50, 90])
def test_a_low_rate_opens_no_windows(per_second: int) -> None:
    departures = sent(Pace(), every(1 / per_second, of=5))
    assert len(departures) == 5 * per_second
    assert {departure.waited_seconds for departure in departures} == {0.0}


@pytest.mark.parametrize("per_second", [300, 1000, 20_000])
def test_a_steady_high_rate_is_gathered_in_windows(per_second: int) -> None:
    departures = sent(Pace(), every(1 / per_second, of=4))
    assert departures[0].waited_seconds == 0.0, "the first piece waits for nobody"
    opened = [departure for departure in departures if departure.at > 0.1]
    assert sum(departure.pieces for departure in departures) == 4 * per_second
    assert len(opened) <= 3.9 / WINDOW_SECONDS + 1
    assert max(departure.waited_seconds for departure in departures) <= WINDOW_SECONDS + 1e-9
    mean_count = sum(departure.pieces for departure in opened) / len(opened)
    assert mean_count >= 0.9 * per_second * WINDOW_SECONDS


def test_a_high_rate_that_only_chance_makes_uneven_keeps_its_windows() -> None:
    random = Random(1)
    now, arrivals = 0.0, []
    while now < 20:
        now += random.expovariate(500)
        arrivals.append(now)
    departures = sent(Pace(), arrivals)
    assert len(departures) < 1.2 * 20 / WINDOW_SECONDS


@pytest.mark.parametrize("senders", [1, 2, 8, 30])
def test_senders_that_wait_for_their_answers_are_soon_left_alone(senders: int) -> None:
    """Windows would serve each of them once a window, however quick it is."""
    departures = answered(Pace(), senders, 0.001, 1.0)
    slowed = [departure for departure in departures if departure.waited_seconds > 0]
    assert slowed, "nothing opened the windows, so nothing could close them"
    assert len(slowed) <= 5
    closed_at = slowed[-1].at
    assert closed_at < 0.2
    alone = [departure for departure in departures if departure.at > closed_at]
    assert len(alone) >= 0.9 * (1.0 - closed_at) / 0.001, "they are served as fast as they ask"


def test_after_a_second_alone_windows_are_tried_again() -> None:
    departures = answered(Pace(), 1, 0.001, 10.0)
    slowed = [departure.at for departure in departures if departure.waited_seconds > 0]
    distances = [later - sooner for sooner, later in pairwise(slowed)]
    assert 5 <= 1 + sum(distance > 0.5 for distance in distances) <= 10
    assert all(distance < 0.1 or distance >= 1.0 for distance in distances)
    assert len(departures) > 0.9 * 8_000, "trials cost little"


def test_a_sender_that_no_longer_waits_is_gathered_again() -> None:
    pace = Pace()
    alone = answered(pace, 1, 0.001, 0.5)
    later = sent(pace, every(0.001, of=3, begin=alone[-1].at + 0.001))
    assert sum(departure.waited_seconds > 0 for departure in later) > 1.5 / WINDOW_SECONDS


def test_a_pause_closes_the_windows() -> None:
    pace = Pace()
    busy = sent(pace, every(0.001, of=1))
    assert pace.wait_seconds(busy[-1].at, WINDOW_SECONDS) > 0
    after = busy[-1].at + 0.3
    first, *_ = sent(pace, [after])
    assert first.waited_seconds == 0.0
    assert sent(pace, [after + 0.01])[0].waited_seconds == 0.0


def test_windows_close_when_the_rate_falls_below_their_worth() -> None:
    pace = Pace()
    busy = sent(pace, every(0.001, of=1))
    slower = sent(pace, every(0.02, of=3, begin=busy[-1].at + 0.02))
    assert {departure.waited_seconds for departure in slower if departure.at > busy[-1].at + 1} == {0.0}


def test_a_window_of_nothing_never_lets_wait() -> None:
    departures = sent(Pace(), every(0.0001, of=1), 0.0)
    assert {departure.waited_seconds for departure in departures} == {0.0}
    assert len(departures) == 10_000


def test_windows_that_shrink_to_nothing_let_nobody_wait() -> None:
    pace = Pace()
    busy = sent(pace, every(0.001, of=1))
    assert pace.wait_seconds(busy[-1].at, WINDOW_SECONDS) > 0
    assert pace.wait_seconds(busy[-1].at, 0.0) == 0.0
