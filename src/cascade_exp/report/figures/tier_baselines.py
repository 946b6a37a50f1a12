"""The picture of tiers beside their baselines: CoE's Fig. 3 (Kolawole et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.analysis_style import on_report
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import CASCADE, CHOSEN, SINGLE, Size
from cascade_exp.report.pages import view
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.tiers_schema import TierBaselines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Label, colour and marker of each method.
_LOOKS = {
    "tiers": ("tiers", CASCADE, "o"),
    "confidence": ("confidence cascade of each tier's best model", CHOSEN, "."),
    "single": ("single models", SINGLE, "s"),
}


@figure(
    "tier_comparison",
    place="tier_baselines",
    title="Cost against score of each method",
    caption="Every setting of each; the ringed ones are those of the table, with their "
    "intervals. All are in tier_comparison.csv.",
    of="tier_baselines",
)
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
