"""The records of all runs: kept as lines of JSON, summed up by workload and server."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load.figures import Summary, summary
from bench.load.server_kinds import KINDS, OURS
from bench.load.workloads import WORKLOADS

Record = dict[str, Any]


def read_records(file: Path) -> list[Record]:
    """One record a line."""
    return [json.loads(line) for line in file.read_text().splitlines()]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours divided by a peer's: of the medians, and the least and the most that any two runs give."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One workload: the main figure of every server that did all that was asked at least once."""

    workload: str
    main: dict[str, Summary]

    @property
    def best_peer(self) -> str | None:
        """Which is best of those that are not ours."""
        peers = {name: of.median for name, of in self.main.items() if name in KINDS and name != OURS}
        if not peers:
            return None
        return (max if WORKLOADS[self.workload].is_rate else min)(peers, key=lambda name: peers[name])

    def ratio(self, peer: str) -> Ratio | None:
        """None where one of the two has no figure, or none above zero."""
        ours, theirs = self.main.get(OURS), self.main.get(peer)
        if ours is None or theirs is None or ours.lowest <= 0 or theirs.lowest <= 0:
            return None
        return Ratio(ours.median / theirs.median, ours.lowest / theirs.highest, ours.highest / theirs.lowest)


def comparisons(records: Sequence[Record]) -> list[Comparison]:
    """In the order of the workloads, those that were run."""
    return [
        Comparison(name, {server: summary(values) for server, values in _main_figures(records, name)})
        for name in WORKLOADS
        if any(record["workload"] == name for record in records)
    ]


def servers_of(records: Iterable[Record]) -> list[str]:
    """In the order in which they ran."""
    return list(dict.fromkeys(record["server"] for record in records))


def runs_of(records: Iterable[Record], workload: str, server: str) -> list[Record]:
    """All of them, failed ones too."""
    return [record for record in records if record["workload"] == workload and record["server"] == server]


def _main_figures(records: Sequence[Record], workload: str) -> Iterator[tuple[str, list[float]]]:
    main = WORKLOADS[workload].main
    for server in servers_of(records):
        values = [record[main] for record in runs_of(records, workload, server) if record["ok"]]
        if values:
            yield server, values
