"""Pictures of a cascade of tiers: exits against one threshold, parallel against sequential runs.

CoE's Fig. 7 and 8 (Kolawole et al. 2024); the tables of the same are ``results.tiers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.analysis_style import (
    SERIES,
    figure_title,
    on_report,
    score_against_cost,
    stacked_bars,
)
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import CASCADE, CHOSEN, SINGLE, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.tiers_schema import TierAnalyses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Bars that are drawn; of more thresholds, evenly spread ones.
_BARS = 12


@figure(
    "exits_by_threshold",
    place="tiers",
    title="One threshold for all tiers",
    caption="Where examples of {report} leave as all tiers but the last share a threshold.",
    of="tiers",
)
def exits_by_threshold_figure(results: Results, found: TierAnalyses, size: Size) -> Figure | None:
    """Where examples leave at one threshold for all tiers, a bar each (Fig. 7)."""
    if not found.thresholds:
        return None
    step = max(1, -(-len(found.thresholds) // _BARS))
    shown = found.thresholds[::-1][::step][::-1]
    total = view.size(results, "report")
    figure = style.new_figure(Size(size.width, 1.9 + 0.32 * len(shown), size.title))
    axes = figure.add_subplot()
    stacked_bars(
        axes,
        [at.condition for at in shown],
        [
            (
                f"at {numbers.shorten(stage, size.name_width)}",
                SERIES[i % len(SERIES)],
                [at.examples[i] / total for at in shown],
            )
            for i, stage in enumerate(found.stages)
        ],
        size,
    )
    house_axes.percent_ticks(axes.xaxis)
    axes.set_xlabel("share of all examples that leave (%)")
    figure_title(figure, f"Exits against one threshold for all tiers, {on_report(results)}", size)
    style.legend_below(figure, axes)
    return figure


@figure(
    "parallel",
    place="tiers",
    title="Models of a tier in parallel and in sequence",
    caption="The same settings, the models of a tier running at once or one after another.",
    of="tiers",
)
def parallel_figure(results: Results, found: TierAnalyses, size: Size) -> Figure | None:
    """Cost against score at every such threshold, models in turn or at once (Fig. 8)."""
    if not found.thresholds:
        return None
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    scores = [at.score for at in found.thresholds]
    for label, color, costs in (
        ("a tier's models at once", CASCADE, [at.parallel_cost for at in found.thresholds]),
        ("one after another", CHOSEN, [at.sequential_cost for at in found.thresholds]),
    ):
        axes.plot(costs, scores, color=color, linewidth=1.4, marker="o", markersize=4, label=label)
    singles = [(model.report.cost, model.report.score) for model in results.single_models]
    axes.scatter(
        [cost for cost, _ in singles],
        [score for _, score in singles],
        s=28,
        marker="s",
        color=SINGLE,
        label="single models",
    )
    score_against_cost(axes, results, [*scores, *(score for _, score in singles)])
    if size.title:
        axes.set_title(f"Tiers in parallel and in sequence, {on_report(results)}")
    style.legend_below(figure, axes)
    return figure
