"""The workloads by name, and the one figure by which servers are compared in each."""

from dataclasses import dataclass

from bench.load.arrival_workloads import (
    ColdJoin,
    Idle,
    Join,
    Storm,
    run_cold_join,
    run_idle,
    run_join,
    run_storm,
)
from bench.load.figures import Figures
from bench.load.live_workloads import Live, run_live
from bench.load.stage import Stage


@dataclass(frozen=True, slots=True)
class Workload:
    """`main` names the figure, `unit` says what it is; lower is better unless `is_rate`."""

    plan: Live | Join | ColdJoin | Storm | Idle
    main: str
    unit: str
    is_rate: bool = False

    @property
    def needs_store(self) -> bool:
        """Whether every server must keep its documents."""
        return isinstance(self.plan, ColdJoin)


def _live(plan: Live) -> Workload:
    return Workload(plan, "cpu_us", "CPU µs a delivery")


WORKLOADS = {
    "fanout-100": _live(Live(writers=1, receivers=100, rate=50)),
    "fanout-500": _live(Live(writers=1, receivers=500, rate=16)),
    "editors-50": _live(Live(writers=50, rate=5, seconds=3, compares_texts=True)),
    "editors-100": _live(Live(writers=100, rate=5, seconds=3, compares_texts=True)),
    "awareness-100": _live(Live(writers=100, rate=5, seconds=3, cursors=True)),
    "rooms-500": _live(Live(writers=2, rooms=500, rate=1, seconds=3)),
    "flood-100": Workload(
        Live(writers=1, receivers=100, window=8, seconds=3), "per_second", "deliveries a second", is_rate=True
    ),
    "join": Workload(Join(authors=5, times=20), "join_ms", "ms"),
    "cold-join": Workload(ColdJoin(edits_per_update=10), "join_ms", "ms"),
    "storm-1000": Workload(Storm(clients=1000, rooms=10), "cpu_s", "CPU s"),
    "idle-1000": Workload(Idle(clients=1000), "kb_per_connection", "KB a connection"),
}


def run(stage: Stage, workload: Workload) -> Figures:
    """Raises SwarmError, FrameError, MalformedBytes or PermissionError where the server fails it."""
    plan = workload.plan
    if isinstance(plan, Live):
        return run_live(stage, plan)
    if isinstance(plan, Join):
        return run_join(stage, plan)
    if isinstance(plan, ColdJoin):
        return run_cold_join(stage, plan)
    if isinstance(plan, Storm):
        return run_storm(stage, plan)
    return run_idle(stage, plan)
