import pytest

from bench.load.figures import percentile, summary
from bench.load.report import report
from bench.load.results import Record, comparisons
from bench.load.timetable import latencies_ms


def record(workload: str, server: str, ok: float = 1.0, **figures: float) -> Record:
    return {"workload": workload, "server": server, "ok": ok, **figures}


def test_a_summary_knows_its_noise() -> None:
    of = summary([10.0, 12.0, 11.0])

    assert (of.median, of.lowest, of.highest, of.runs) == (11.0, 10.0, 12.0, 3)
    assert of.spread == pytest.approx(2 / 11)


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(n) for n in range(1, 201)]

    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile([7.0], 99) == 7
    assert percentile([], 99) == 0


def test_a_latency_is_counted_for_each_character_of_a_run() -> None:
    sent = {1: [10.0, 10.5, 11.0]}

    assert latencies_ms([(11.5, 1, 0, 1), (12.0, 1, 1, 3), (99.0, 2, 0, 5)], sent) == [1500, 1500, 1000]


def test_the_best_peer_is_the_cheapest_or_the_fastest() -> None:
    records = [
        record("fanout-100", "costudio", cpu_us=30.0),
        record("fanout-100", "y-websocket", cpu_us=20.0),
        record("fanout-100", "hocuspocus", cpu_us=25.0),
        record("flood-100", "costudio", per_second=50.0),
        record("flood-100", "y-websocket", per_second=20.0),
        record("flood-100", "hocuspocus", per_second=25.0),
    ]

    fanout, flood = comparisons(records)

    assert (fanout.best_peer, flood.best_peer) == ("y-websocket", "hocuspocus")
    ratio = fanout.ratio("y-websocket")
    assert ratio is not None
    assert ratio.median == 1.5


def test_a_ratio_ranges_over_all_pairs_of_runs() -> None:
    ours = [record("fanout-100", "costudio", cpu_us=value) for value in (10.0, 20.0, 30.0)]
    theirs = [record("fanout-100", "y-websocket", cpu_us=value) for value in (5.0, 10.0)]
    ratio = comparisons(ours + theirs)[0].ratio("y-websocket")

    assert ratio is not None
    assert ratio.median == pytest.approx(20 / 7.5)
    assert (ratio.lowest, ratio.highest) == (1.0, 6.0)


def test_another_version_of_ours_is_no_peer() -> None:
    records = [record("fanout-100", "costudio", cpu_us=2.0), record("fanout-100", "before", cpu_us=1.0)]

    (fanout,) = comparisons(records)

    assert fanout.best_peer is None
    assert fanout.ratio("before") is not None


def test_a_run_that_failed_is_told_and_not_compared() -> None:
    records = [
        record("fanout-100", "costudio", cpu_us=10.0),
        record("fanout-100", "costudio", ok=0.0, cpu_us=1.0),
        record("fanout-100", "y-websocket", cpu_us=10.0),
        {**record("fanout-100", "hocuspocus", ok=0.0), "error": "gone\nand more"},
    ]

    table = report(records, ["a fact"])

    assert "| fanout-100 | CPU µs a delivery | 10 (10-10) | y-websocket 10 (10-10) | **1.00** |" in table
    assert "| 1/2 |" in table
    assert "- hocuspocus: gone\n" in table
