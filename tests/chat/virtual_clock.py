"""Timers without waiting: stands in for the event loop of what only calls `call_later`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

__all__ = ["clock"]


@dataclass
class Timer:
    at_seconds: float
    act: Callable[[], None] | None

    def cancel(self) -> None:
        self.act = None


class Clock:
    """Timers go off in their order while it runs."""

    def __init__(self) -> None:
        self.now_seconds = 0.0
        self._timers: list[Timer] = []

    def call_later(self, seconds: float, act: Callable[..., None], *arguments: object) -> Timer:
        timer = Timer(self.now_seconds + seconds, lambda: act(*arguments))
        self._timers.append(timer)
        self._timers.sort(key=lambda each: each.at_seconds)
        return timer

    def run(self, until_seconds: float) -> None:
        """Until that time."""
        while self._timers and self._timers[0].at_seconds <= until_seconds:
            timer = self._timers.pop(0)
            self.now_seconds = timer.at_seconds
            if timer.act is not None:
                timer.act()
        self.now_seconds = until_seconds

    @property
    def is_idle(self) -> bool:
        return not any(timer.act for timer in self._timers)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    return clock
