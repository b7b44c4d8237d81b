"""The tables: how we compare, and every figure behind it."""

import statistics
from collections.abc import Sequence

from bench.load.figures import Summary
from bench.load.results import Comparison, Ratio, Record, comparisons, runs_of, servers_of
from bench.load.server_kinds import OURS
from bench.load.workloads import WORKLOADS

_ABOUT_A_RUN = {"workload", "server", "loadavg", "ok", "error", "round"}


def report(records: Sequence[Record], facts: Sequence[str]) -> str:
    """Markdown. `facts` say where and when it was measured."""
    compared = comparisons(records)
    peers = [server for server in servers_of(records) if server != OURS]
    lines = ["# Load benchmarks", "", *(f"- {fact}" for fact in facts), ""]
    lines += [
        "Medians (lowest-highest). A ratio is ours divided by theirs: below 1 we need less, except where ↑ says that",
        "more is better. Noise is the range divided by the median, the larger one of ours and the best peer's.",
        "",
    ]
    lines += _ratio_table(compared, peers)
    for comparison in compared:
        lines += ["", f"## {comparison.workload}", "", *_details(records, comparison.workload)]
    return "\n".join(lines) + "\n"


def _ratio_table(compared: Sequence[Comparison], peers: Sequence[str]) -> list[str]:
    rows = []
    for each in compared:
        workload, best = WORKLOADS[each.workload], each.best_peer
        ours, ratios = each.main.get(OURS), [_ratio(each.ratio(peer)) for peer in peers]
        rows.append(
            [
                each.workload,
                workload.unit + (" ↑" if workload.is_rate else ""),
                _summary(ours),
                f"{best} {_summary(each.main[best])}" if best else "",
                f"**{_ratio(each.ratio(best))}**" if best and each.ratio(best) else "",
                _noise([of for of in (ours, each.main[best] if best else None) if of]),
                *ratios,
            ]
        )
    head = ["workload", "figure", "ours", "best peer", "ours / best", "noise"]
    return _table([*head, *(f"/ {peer}" for peer in peers)], rows)


def _details(records: Sequence[Record], workload: str) -> list[str]:
    main = WORKLOADS[workload].main
    names: list[str] = [main]
    rows, failures = [], []
    for server in servers_of(records):
        runs = runs_of(records, workload, server)
        names += [name for run in runs for name in run if name not in _ABOUT_A_RUN and name not in names]
        names = list(dict.fromkeys(names))
        failures += [f"- {server}: {run['error'].splitlines()[0]}" for run in runs if "error" in run]
        rows.append((server, runs))
    cells = [
        [server, *(_median(runs, name) for name in names), _median(runs, "loadavg"), _successes(runs)]
        for server, runs in rows
        if runs
    ]
    table = _table(["server", *names, "loadavg", "ok"], cells)
    return [*table, "", *dict.fromkeys(failures)] if failures else table


def _median(runs: Sequence[Record], name: str) -> str:
    values = [run[name] for run in runs if name in run]
    return _number(statistics.median(values)) if values else ""


def _successes(runs: Sequence[Record]) -> str:
    return f"{sum(1 for run in runs if run['ok'])}/{len(runs)}"


def _summary(of: Summary | None) -> str:
    return f"{_number(of.median)} ({_number(of.lowest)}-{_number(of.highest)})" if of else "failed"


def _noise(summaries: Sequence[Summary]) -> str:
    known = [of.spread for of in summaries if of.runs > 1]
    return f"{max(known):.0%}" if known else "unknown"


def _ratio(ratio: Ratio | None) -> str:
    return f"{ratio.median:.2f}" if ratio else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), "|---" * len(head) + "|", *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
