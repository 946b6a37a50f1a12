"""Tiers beside their baselines: ``tier_comparison.csv``, ``tier_costs.csv`` and one picture.

The picture is CoE's Fig. 3, the table of costs its Table 2 in both accountings (Kolawole et al.
2024).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.analysis_style import on_report
from cascade_exp.report.figures.evaluation import write_pictures
from cascade_exp.report.figures.style import CASCADE, CHOSEN, SINGLE, Size
from cascade_exp.report.pages import view
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.tiers_schema import BaselinePoint, TierBaselines, TierCost
from cascade_exp.tables import write_dataclasses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPARISON = "tier_comparison.csv"
COSTS = "tier_costs.csv"

# Label, colour and marker of each method.
_LOOKS = {
    "tiers": ("tiers", CASCADE, "o"),
    "confidence": ("confidence cascade of each tier's best model", CHOSEN, "."),
    "single": ("single models", SINGLE, "s"),
}


def write_tier_baselines(baselines: TierBaselines | None, folder: Path) -> None:
    """Write both tables below ``folder``; without baselines, remove those that are there."""
    write_dataclasses(
        folder / COMPARISON, BaselinePoint, [] if baselines is None else baselines.points
    )
    write_dataclasses(folder / COSTS, TierCost, [] if baselines is None else baselines.costs)


def draw_tier_baselines(
    results: Results, baselines: TierBaselines | None, folder: Path
) -> list[Path]:
    """Draw ``plots/tier_comparison.png`` below ``folder``; without baselines, remove it."""
    return write_pictures(figures(results, baselines), folder)


def figures(
    results: Results, baselines: TierBaselines | None
) -> dict[str, Callable[[Size], Figure | None]]:
    """What builds the one picture, by its name; it builds none without baselines."""

    def build(size: Size) -> Figure | None:
        return None if baselines is None else baselines_figure(results, baselines, size)

    return {"tier_comparison": build}


def baselines_figure(results: Results, baselines: TierBaselines, size: Size) -> Figure:
    """Cost against score on the report split, the compared points with their intervals."""
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    for method, (label, color, marker) in _LOOKS.items():
        points = [point for point in baselines.points if point.method == method]
        axes.plot(
            [point.cost for point in points],
            [point.score for point in points],
            color=color,
            linewidth=0,
            marker=marker,
            markersize=5,
            label=label,
        )
        for point in points:
            if point.compared and point.score_interval and point.cost_interval:
                axes.errorbar(
                    point.cost,
                    point.score,
                    xerr=[
                        [max(0.0, point.cost - point.cost_interval[0])],
                        [max(0.0, point.cost_interval[1] - point.cost)],
                    ],
                    yerr=[
                        [max(0.0, point.score - point.score_interval[0])],
                        [max(0.0, point.score_interval[1] - point.score)],
                    ],
                    color=color,
                    marker="D",
                    markersize=8,
                    markerfacecolor="none",
                    capsize=3,
                )
    ends = [score for p in baselines.points for score in (p.score_interval or (p.score,))]
    axes.set_ylim(*house_axes.score_limits(ends))
    house_axes.percent_ticks(axes.yaxis)
    costs = [point.cost for point in baselines.points]
    house_axes.log_cost(axes, costs, view.unit(results), "mean cost", size.ticks)
    axes.set_ylabel(f"{view.objective(results)} (%)")
    if size.title:
        axes.set_title(f"Tiers, a confidence cascade and single models, {on_report(results)}")
    style.legend_below(figure, axes)
    return figure
