"""The searches' curves: the best known so far, as a share of the grid's best, over the grid's time."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.tuning.deciding import best_so_far
from airflow_provider_aiopt.tuning.models import TuneReport

_COLOURS = ("#4C78A8", "#2E7D4F", "#E9A23B", "#7B5EA7", "#D1495B")
_MUTED = "#8C8C8C"
_ORDERS = 400


def random_search(grid: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return the median best known after each configuration of a grid that is measured in random order.

    :param grid: its points
    :returns: the share of the grid's time, and the rate
    """
    rates = [point["items_per_s"] or 0.0 for point in grid]
    chance = random.Random(0)  # noqa: S311 - no secret
    orders = [chance.sample(rates, len(rates)) for _ in range(_ORDERS)]
    return [
        (count / len(rates), statistics.median(max(order[:count]) for order in orders))
        for count in range(1, len(rates) + 1)
    ]


def draw(values: Mapping[str, Any], runs: Mapping[str, TuneReport], path: Path) -> None:
    """Draw the curves to a PNG file."""
    from matplotlib.figure import Figure

    best = max(point["items_per_s"] or 0.0 for point in values["grid"])
    grid_s = values["grid_s"]
    figure = Figure(figsize=(9.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    part = random_search(values["grid"])
    axes.step(
        [100 * time for time, _ in part],
        [100 * rate / best for _, rate in part],
        where="post",
        color=_MUTED,
        linewidth=1.2,
        linestyle=":",
        label="the grid in random order (median)",
    )
    for (name, report), colour in zip(runs.items(), _COLOURS * len(runs), strict=False):
        curve = best_so_far(report.trials, "throughput")
        curve.append((report.seconds, curve[-1][1]))
        axes.step(
            [100 * time / grid_s for time, _ in curve],
            [100 * rate / best for _, rate in curve],
            where="post",
            color=colour,
            linewidth=2,
            label=name,
        )
        axes.plot([100 * report.seconds / grid_s], [100 * curve[-1][1] / best], "o", color=colour)
    axes.axhline(95, color=_MUTED, linewidth=1)
    axes.axvline(20, color=_MUTED, linewidth=1)
    axes.annotate("20 %", (20, 0), (3, 4), textcoords="offset points", size=8)
    axes.annotate("95 %", (0, 95), (4, 3), textcoords="offset points", size=8)
    axes.set_xlim(0, max(40, *(100 * report.seconds / grid_s + 2 for report in runs.values())))
    axes.set_ylim(0, 108)
    axes.set_xlabel(
        f"Time of the search, % of the grid's ({len(values['grid'])} configurations, {grid_s:.0f} s)"
    )
    axes.set_ylabel("Best so far, % of the grid's best")
    axes.set_title("aiopt tune, from a deliberately bad configuration", loc="left", weight="bold")
    axes.grid(axis="y", color="#E4E4E4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=150, metadata={"Software": None})
