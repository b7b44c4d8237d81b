"""What a run yields, and the arithmetic on several runs."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Figures = dict[str, float]
"""By name, with the unit in it. `ok` is 1 where the server did all that was asked, else 0."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One figure over several runs."""

    median: float
    lowest: float
    highest: float
    runs: int

    @property
    def spread(self) -> float:
        """The range as a share of the median: what is smaller than this is noise."""
        return (self.highest - self.lowest) / self.median if self.median else 0.0


def summary(values: Sequence[float]) -> Summary:
    """Raises ValueError where there are none."""
    return Summary(statistics.median(values), min(values), max(values), len(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
