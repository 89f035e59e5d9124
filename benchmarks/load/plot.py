"""Draws the figures of a run: times of answers, CPU and memory over the minutes, a column for each pattern."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

COLOURS = {
    "medical-api": "#1b6ca8",
    "voicedrive-api": "#c8553d",
    "nginx on systems-1": "#5b8c5a",
    "database server, whole": "#7d5ba6",
    "load, whole": "#999999",
}
RANKS = {"p50": "-", "p95": "--", "p99": ":"}


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the plot as SVG; the same figures give the same file."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "load", "svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}
    )
    patterns = result["patterns"]
    figure, rows = pyplot.subplots(
        3,
        len(patterns),
        figsize=(5.5 * len(patterns), 9),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, pattern in enumerate(patterns):
        rows[0][column].set_title(f"Pattern {pattern['pattern']}")
        _times(rows[0][column], pattern)
        _uses(rows[1][column], pattern, "cpu")
        _uses(rows[2][column], pattern, "memory")
        rows[2][column].set_xlabel("seconds")
    rows[0][0].set_yscale("log")
    rows[0][0].yaxis.set_major_formatter("{x:g}")
    for row in rows[1:]:
        row[0].set_ylim(bottom=0)
    for row, label in zip(rows, ("answer, ms", "CPU, % of one core", "memory, MB"), strict=True):
        row[0].set_ylabel(label)
        row[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _times(axes: Axes, pattern: dict[str, Any]) -> None:
    for app, course in pattern["courses"].items():
        for rank, style in RANKS.items():
            axes.plot(
                [point["at"] for point in course],
                [point[rank] for point in course],
                style,
                color=COLOURS.get(app),
                label=f"{app} {rank}",
                linewidth=1.2,
            )


def _uses(axes: Axes, pattern: dict[str, Any], what: str) -> None:
    for name, colour in COLOURS.items():
        series = pattern["series"].get(name)
        if series:
            axes.plot(series["at"], series[what], color=colour, label=name, linewidth=1.2)
