"""Sending what was made beforehand: at given times, or as fast as it is received."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.load.client import Client
from bench.load.swarm import Arrival, Swarm, SwarmError

_STALLED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """A frame to be sent, which covers the next index of `key`."""

    at_seconds: float
    client: Client
    frame: bytes
    key: int


@dataclass(slots=True)
class Sent:
    """When what was sent. `times[key][index]` says it of one character or cursor state."""

    times: dict[int, list[float]] = field(default_factory=dict)
    late_seconds: list[float] = field(default_factory=list)
    count: int = 0
    started_at: float = 0.0

    def note(self, key: int, now: float) -> None:
        """Something was sent just now."""
        self.times.setdefault(key, []).append(now)
        self.count += 1


def play(swarm: Swarm, events: Sequence[Event]) -> Sent:
    """Send each event when it is due; return when the last one is sent."""
    sent = Sent(started_at=time.perf_counter())
    for event in sorted(events, key=lambda event: event.at_seconds):
        due_at = sent.started_at + event.at_seconds
        while (now := time.perf_counter()) < due_at:
            swarm.poll(due_at - now)
        sent.late_seconds.append(now - due_at)
        sent.note(event.key, now)
        swarm.send(event.client, event.frame)
        if not sent.count % 16:
            swarm.poll(0)
    return sent


def keep_outstanding(
    swarm: Swarm, events: Sequence[Event], window: int, receivers: int, seconds: float
) -> Sent:
    """Send the events in turn with at most `window` of them on their way to all receivers.

    Returns after so many seconds, or when there are no more.
    """
    sent = Sent(started_at=time.perf_counter())
    covered_before = swarm.covered
    for event in events:
        while sent.count * receivers - (swarm.covered - covered_before) > (window - 1) * receivers:
            swarm.poll(1.0)
            _check_moving(swarm)
        now = time.perf_counter()
        if now - sent.started_at > seconds:
            break
        sent.note(event.key, now)
        swarm.send(event.client, event.frame)
    return sent


def drain(swarm: Swarm, covered: int, limit_seconds: float) -> bool:
    """Receive until so much is covered; whether it was."""
    ends_at = time.perf_counter() + limit_seconds
    while swarm.covered < covered:
        if (now := time.perf_counter()) > ends_at or now - swarm.last_arrival_at > _STALLED_SECONDS:
            return False
        swarm.poll(0.02)
    return True


def latencies_ms(arrivals: Sequence[Arrival], times: Mapping[int, Sequence[float]]) -> list[float]:
    """Of each character and each receiver, from its sending to its arrival."""
    return [
        (arrived_at - sent_at) * 1000
        for arrived_at, key, first, end in arrivals
        if key in times
        for sent_at in times[key][first:end]
    ]


def _check_moving(swarm: Swarm) -> None:
    if time.perf_counter() - swarm.last_arrival_at > _STALLED_SECONDS:
        raise SwarmError("the server has stopped to deliver")
