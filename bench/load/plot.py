"""The picture of the ratios."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.load.results import Comparison
from bench.load.server_kinds import OURS
from bench.load.workloads import WORKLOADS

_COLOURS = (
    "#0072b2",
    "#56b4e9",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#999999",
)  # told apart by the colour-blind
_MARKERS = "osD^vP"
_WORSE, _BETTER = "#fbe9e7", "#e8f5e9"
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def draw(compared: Sequence[Comparison], peers: Sequence[str], folder: Path) -> None:
    """Write plot.svg and plot.png: for each workload, how many times as good as each peer we are."""
    import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # in the group `bench`

    mpl.use("Agg")
    from matplotlib import pyplot  # type: ignore[import-not-found, unused-ignore]

    figure, axes = pyplot.subplots(figsize=(9, 1.6 + 0.55 * len(compared)), layout="constrained")
    least, most = _mark(axes, compared, peers)
    _style(axes, compared, least / 1.15, most * 1.15)
    figure.legend(loc="outside lower center", ncols=len(peers), frameon=False)
    for name in ("plot.svg", "plot.png"):
        figure.savefig(folder / name, dpi=130)
    pyplot.close(figure)


def _mark(axes: Any, compared: Sequence[Comparison], peers: Sequence[str]) -> tuple[float, float]:
    """A mark for each ratio; the least and the most of them."""
    least, most = 0.7, 1.4
    for index, peer in enumerate(peers):
        look = {"color": _COLOURS[index % len(_COLOURS)], "marker": _MARKERS[index % len(_MARKERS)]}
        axes.plot([], [], label=peer, linestyle="", **look)  # its line of the legend
        offset = (index - (len(peers) - 1) / 2) * 0.14
        for row, comparison in enumerate(compared):
            if times := _times_as_good(comparison, peer):
                median, lowest, highest = times
                range_of_runs = [[median - lowest], [highest - median]]
                axes.errorbar(median, row + offset, xerr=range_of_runs, linestyle="", elinewidth=1.2, **look)
                least, most = min(least, lowest), max(most, highest)
    return least, most


def _style(axes: Any, compared: Sequence[Comparison], least: float, most: float) -> None:
    """One row for each workload, worse to the left, better to the right."""
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    axes.axvspan(least, 1, color=_WORSE, zorder=0)
    axes.axvspan(1, most, color=_BETTER, zorder=0)
    axes.axvline(1, color="black", linewidth=1)
    ticks = [tick for tick in _TICKS if least <= tick <= most]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(compared)), [_label(each) for each in compared])
    axes.set_ylim(len(compared) - 0.5, -0.5)
    axes.grid(axis="x", color="white", linewidth=1)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("← worse          how many times as good as the peer          better →")
    axes.set_title(f"{OURS} beside its peers: medians, and the range of all runs", fontsize=11)


def _times_as_good(comparison: Comparison, peer: str) -> tuple[float, float, float] | None:
    """Median, least and most; what is better is above 1, whichever way the figure goes."""
    ratio = comparison.ratio(peer)
    if ratio is None:
        return None
    if WORKLOADS[comparison.workload].is_rate:
        return ratio.median, ratio.lowest, ratio.highest
    return 1 / ratio.median, 1 / ratio.highest, 1 / ratio.lowest


def _label(comparison: Comparison) -> str:
    return f"{comparison.workload}\n{WORKLOADS[comparison.workload].unit}"
