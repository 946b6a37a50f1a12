"""Pictures beside other numbers: the Pareto front re-optimised on report, and published points.

Each ``*_figure`` builds one matplotlib figure within ``style.house_style()``, or None where there
is nothing to compare with.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import evaluation as plots
from cascade_exp.report.figures import style
from cascade_exp.report.figures.analysis_style import DASHED, GREEN, dots, figure_title, on_report
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import CHOSEN, FAINT, MUTED, SINGLE, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.analyses_schema import Analyses, Reoptimised
from cascade_exp.report.results.published import PublishedPoint
from cascade_exp.report.results.schema import Results
from cascade_exp.report.thinning import thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALL = (16, 9)
"""Areas of dots in the panels of two, which are smaller than a picture of one."""


@figure(
    "transfer",
    place="improvement",
    title="From selection to report",
    caption="What is lost by choosing thresholds on {selection}: the oracle chose its own on "
    "{report}, which is impossible in practice.",
    of="analyses",
)
def transfer_figure(results: Results, analyses: Analyses, size: Size) -> Figure | None:
    """The Pareto front of selection beside the one re-optimised on report (Lebovitz Fig. 6, 12).

    Cost and improvement factor against score, each split with its own single-model baseline.
    """
    oracle = analyses.reoptimised
    if oracle is None:
        return None
    figure, (left, right) = _two_panels(size)
    selection, report = (view.split(results, role) for role in ("selection", "report"))
    _transferred(left, results, oracle, size)
    _improvements(right, results, oracle)
    if size.narrow:
        right.set_ylabel(f"{view.objective(results)} (%)")
    title = f"Thresholds of {selection} on {report}"
    if oracle.average_improvement is not None:
        title += f": {_averages(results, oracle)}"
    figure_title(figure, title, size)
    style.legend_below(figure, left)
    return figure


def _transferred(axes: Axes, results: Results, oracle: Reoptimised, size: Size) -> None:
    """Cost against score: both Pareto fronts, the frozen settings, and single models mixed."""
    selection, report = (view.split(results, role) for role in ("selection", "report"))
    rows, best = results.frontier, oracle.rows
    found = [(row.cost, row.score) for row in rows]
    reoptimised = [(row.cost, row.score) for row in best]
    _steps(axes, found, FAINT, 1.6, f"Pareto front on {selection}, where it was found")
    _steps(axes, reoptimised, GREEN, 1.4, f"oracle: Pareto front re-optimised on {report}")
    drawn = plots.drawn_rows(results)
    _frozen(axes, [(row.report_cost, row.report_score) for row in drawn], results)
    for role, color in (("selection", FAINT), ("report", MUTED)):
        line = np.array(plots.baseline_line(results, role))
        axes.plot(
            line[:, 1],
            line[:, 0],
            color=color,
            linestyle=DASHED,
            linewidth=1.2,
            marker="s" if len(line) == 1 else "",
            label=f"single models mixed, on {view.split(results, role)}",
        )
    points = found + reoptimised + [(row.report_cost, row.report_score) for row in rows]
    for role in ("selection", "report"):
        points += [(cost, score) for score, cost in results.baseline[role]]
    _cost_axis(axes, results, [cost for cost, _ in points], size)
    axes.set_ylim(*house_axes.score_limits([score for _, score in points]))
    house_axes.percent_ticks(axes.yaxis)
    axes.set_ylabel(f"{view.objective(results)} (%)")


def _steps(
    axes: Axes, points: list[tuple[float, float]], color: str, width: float, label: str
) -> None:
    points = thinned(points, log=True)
    axes.plot(
        [x for x, _ in points],
        [y for _, y in points],
        color=color,
        drawstyle="steps-post",
        linewidth=width,
        marker="o" if len(points) == 1 else "",
        label=label,
    )


@figure(
    "published",
    place="improvement",
    title="Beside published points",
    caption="Points that papers print, as they are and relative to the model that each method "
    "replaces.",
    of="analyses",
)
def published_figure(results: Results, analyses: Analyses, size: Size) -> Figure | None:
    """The Pareto front on the report split among published points: as they are, and relatively.

    On the right cost and score are relative to the model each method replaces: the best single
    model here, the reference that its table names there.
    """
    points = analyses.published
    if not points:
        return None
    # the legend names sources: a line each
    taller = Size(size.width, size.height * 1.2, size.title)
    figure, (left, right) = _two_panels(taller, sharey=False)
    rows = plots.drawn_rows(results)
    own = [(model.report.cost, model.report.score) for model in results.single_models]
    best = view.best_single(results).report
    _frozen(left, [(row.report_cost, row.report_score) for row in rows], results)
    _frozen(
        right, [(r.report_cost / best.cost, r.report_score - best.score) for r in rows], results
    )
    label = f"single models {on_report(results)}"
    _scatter(left, own, "s", SINGLE, SINGLE, label)
    costs, scores = [cost for cost, _ in own], [score for _, score in own]
    for (marker, face, edge, name), group in _groups(points):
        label = textwrap.fill(name, 50 if size.narrow else 100)
        absolute = _known([(point.cost, point.score) for point in group])
        relative = _known([(point.cost_share, point.score_change) for point in group])
        # drawn even where empty: the legend is the left panel's
        _scatter(left, absolute, marker, face, edge, label)
        _scatter(right, relative, marker, face, edge, label)
        costs += [cost for cost, _ in absolute]
        scores += [score for _, score in absolute]
    _cost_axis(left, results, costs, size)
    left.set_ylim(*house_axes.score_limits(scores + [row.report_score for row in rows]))
    house_axes.percent_ticks(left.yaxis)
    left.set_ylabel(f"{view.objective(results)} (%)")
    right.axhline(0.0, color=MUTED, linewidth=1.0)
    right.axvline(1.0, color=MUTED, linewidth=1.0)
    house_axes.percent_ticks(right.xaxis)
    house_axes.percent_ticks(right.yaxis)
    right.yaxis.set_major_formatter(lambda value, _: _signed(100 * value))
    right.set_xlabel("cost, % of the model replaced")
    right.set_ylabel("score change (points)")
    figure_title(figure, f"Beside published points on {points[0].dataset}", size)
    style.legend_below(figure, left)
    return figure


def _groups(
    points: list[PublishedPoint],
) -> list[tuple[tuple[str, str, str, str], list[PublishedPoint]]]:
    """Marker, face, edge and label of what is drawn alike: a paper's single models, its cascades,
    and each method of which only relative numbers are printed."""
    groups: dict[tuple[str, str, str, str], list[PublishedPoint]] = {}
    markers = iter("v<>PX*" * len(points))
    for point in points:
        if point.reference is None:
            look = ("s", "none", SINGLE, f"single models, {point.source}")
        elif point.cost is not None:
            look = ("^", CHOSEN, CHOSEN, f"cascades, {point.source}")
        else:
            look = (next(markers), GREEN, GREEN, f"{point.method}, {point.source}")
        groups.setdefault(look, []).append(point)
    return list(groups.items())


def _known(pairs: list[tuple[float | None, float | None]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _scatter(
    axes: Axes, points: list[tuple[float, float]], marker: str, face: str, edge: str, label: str
) -> None:
    axes.scatter(
        [x for x, _ in points],
        [y for _, y in points],
        s=28,
        marker=marker,
        facecolors=face,
        edgecolors=edge,
        linewidths=1.0,
        zorder=4,
        label=label,
    )


def _signed(value: float) -> str:
    return f"{round(value, 6):+g}".replace("-", "−") if value else "0"


def _two_panels(size: Size, sharey: bool = True) -> tuple[Figure, tuple[Axes, Axes]]:
    """Two panels side by side, one above the other in a narrow figure."""
    if size.narrow:
        figure = style.new_figure(Size(size.width, size.height * 1.6, size.title))
        upper, lower = figure.subplots(2, sharey=sharey)
        return figure, (upper, lower)
    figure = style.new_figure(size)
    left, right = figure.subplots(1, 2, sharey=sharey, width_ratios=[3, 2])
    return figure, (left, right)


def _frozen(axes: Axes, points: list[tuple[float, float]], results: Results) -> None:
    """The Pareto front's settings on the report split, a dot each."""
    dots(axes, points, f"the Pareto front's settings {on_report(results)}", areas=_SMALL)


def _cost_axis(axes: Axes, results: Results, costs: list[float], size: Size) -> None:
    ticks = size.ticks if size.narrow else size.ticks - 3
    house_axes.log_cost(axes, costs, view.unit(results), "mean cost", ticks)


def _improvements(axes: Axes, results: Results, oracle: Reoptimised) -> None:
    rows = results.frontier
    found = [(row.improvement, row.score) for row in rows if row.improvement is not None]
    drawn = replace(results, frontier=plots.drawn_rows(results))
    frozen = [
        (factor, row.report_score)
        for factor, row in zip(view.report_improvements(drawn), drawn.frontier, strict=True)
        if factor is not None
    ]
    best = [(row.improvement, row.score) for row in oracle.rows if row.improvement is not None]
    for line, color in ((thinned(found, along=1), FAINT), (thinned(best, along=1), GREEN)):
        if line:
            axes.plot(
                [x for x, _ in line],
                [y for _, y in line],
                color=color,
                linewidth=1.4,
                marker="o" if len(line) == 1 else "",
            )
    if frozen:
        dots(axes, frozen, None, areas=_SMALL)
    if not (found or frozen or best):
        axes.set_xlim(0.8, 1.2)
        axes.set_xticks([1.0])
        words = "no single model\nscores as high"
        axes.text(0.5, 0.5, words, ha="center", color=MUTED, transform=axes.transAxes)
    else:
        axes.axvline(1.0, color=MUTED, linewidth=1.2, linestyle=DASHED)
    axes.xaxis.set_major_formatter(lambda value, _: f"{round(value, 6):g}×")
    axes.set_xlabel("improvement factor")


def _averages(results: Results, oracle: Reoptimised) -> str:
    frozen = numbers.factor(results.figures["report"].average_improvement)
    return f"average improvement {frozen}, oracle {numbers.factor(oracle.average_improvement)}"
