"""The picture of a comparison of cascading methods: improvement factor against score, in panels.

After Lebovitz et al. 2023, Fig. 3; the rows and the CSV live in ``methods``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cascade_exp.cascade.frontier import Baseline, cost_at_score
from cascade_exp.report.comparison.methods import front_points, method_rows
from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.schema import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (style.PALETTE), less black, which is the method that every panel repeats.
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1.5)),
)
_PANELS = {
    "No ensemble": ("none",),
    "Comparison ensemble": ("comparison",),
    "Mean ensemble": ("mean_logits", "mean_softmax"),
}
_REPEATED = ("max_softmax", "none", "none")  # metric, ensemble, calibration
_NAME_WIDTH = 28


@figure(
    "methods",
    place="methods",
    title="Cascading methods",
    caption="Improvement factor against {objective} of each method on {report}, at the settings"
    " found on {selection}; the table is methods.csv.",
    of="methods",
    folded=True,
)
def methods_figure(own: Results, methods: Mapping[str, Results], size: Size) -> Figure:
    """Improvement factor against score on the report split (Lebovitz et al. 2023, Fig. 3).

    A panel each for methods without ensemble, with comparison and with mean ensembles; the one of
    max softmax alone is drawn in black in all of them.
    """
    rows = method_rows(methods)
    panels = {
        title: members
        for title, ensembles in _PANELS.items()
        if (members := [row for row in rows if row.ensemble in ensembles])
    }
    repeated = [row for row in rows if (row.metric, row.ensemble, row.calibration) == _REPEATED]
    lines = max(map(len, panels.values())) + 1
    figure = style.new_figure(Size(max(0.8 + 3.4 * len(panels), 6.6), 4.4 + 0.2 * lines))
    grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, members) in zip(grid, panels.items(), strict=True):
        drawn = dict(zip((row.method for row in members), _looks(len(members)), strict=True))
        drawn |= {row.method: (style.INK, "solid") for row in repeated}
        for row in (*members, *(other for other in repeated if other not in members)):
            color, dashes = drawn[row.method]
            factors, scores = _curve(methods[row.method])
            axes.plot(
                factors,
                scores,
                color=color,
                linestyle=dashes,
                linewidth=1.5,
                marker="" if len(scores) > 1 else "o",
                label=f"{numbers.shorten(row.method, _NAME_WIDTH)}  "
                f"{numbers.factor(row.report.average_improvement)}",
            )
        _finish_panel(figure, axes, title)
    name, report = view.objective(own), view.split(own, "report")
    low = min(row.report.accuracy_low for row in rows)
    high = max(row.report.accuracy_high for row in rows)
    grid[0].set_ylim(*house_axes.score_limits([low, high], 0.04))
    house_axes.percent_ticks(grid[0].yaxis)
    grid[0].set_ylabel(f"{name} on {report} (%)")
    title = f"Cascading methods on {report}"
    if not view.same_split(own):
        title += f", at the settings found on {view.split(own, 'selection')}"
    if size.title:
        title = textwrap.fill(title, int(10 * figure.get_figwidth()))
        figure.suptitle(title, x=0.012, ha="left", fontsize=11, fontweight="bold")
    return figure


def _finish_panel(figure: Figure, axes: Axes, title: str) -> None:
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import offset_copy

    axes.axvline(1.0, color=style.MUTED, linewidth=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{round(value, 6):g}×")
    axes.set_xlabel("improvement factor")
    axes.set_title(title, fontsize=10)
    axes.legend(
        title="method, average improvement",
        title_fontsize=9,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=offset_copy(axes.transAxes, figure, y=-38, units="points"),
        borderaxespad=0.0,
        handlelength=2.2,
    )


def _looks(count: int) -> list[tuple[str, object]]:
    """Colours and dashes, by place in the panel: equal places of two panels look the same."""
    return [
        (_COLORS[i % len(_COLORS)], _DASHES[i // len(_COLORS) % len(_DASHES)]) for i in range(count)
    ]


def _curve(results: Results) -> tuple[list[float], list[float]]:
    """Improvement factors and scores of the settings that no other beats on the report split."""
    scores, costs = front_points(results, "report")
    levels = np.unique(scores)
    baseline = Baseline(tuple(results.baseline["report"]), kind="hull")
    factors = baseline.cost_at(levels) / cost_at_score(scores, costs, levels)
    defined = ~np.isnan(factors)
    return factors[defined].tolist(), levels[defined].tolist()
