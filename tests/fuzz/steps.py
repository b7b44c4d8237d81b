"""Runs what is done to a document step by step, and notes what goes wrong."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Finding(Exception):
    """Something that bytes from outside must not be able to cause."""


class Steps:
    """`slowest`: (seconds, name) of one step."""

    def __init__(self) -> None:
        self.slowest = (0.0, "")

    def run(self, name: str, step: Callable[[], T]) -> T:
        """Time a step."""
        start = time.perf_counter()
        try:
            return step()
        finally:
            self.slowest = max(self.slowest, (time.perf_counter() - start, name))
