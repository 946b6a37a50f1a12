"""The four figures of an evaluation: Pareto front, improvement, thresholds, reliability.

Each ``*_figure`` builds one matplotlib figure within ``style.house_style()``; ``registry`` puts it
into files, page, terminal and W&B.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import labels, style
from cascade_exp.report.figures.analysis_style import dots, mark
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import CASCADE, CHOSEN, FAINT, INK, MUTED, SINGLE, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.schema import FrontRow, Measured, OperatingPoint, Results
from cascade_exp.report.thinning import thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Points of one Pareto front that are drawn; more would only hide one another.
DRAWN_POINTS = 240
_DRAWN_CURVE = 600

FRONT_POINTS, SINGLE_POINTS, CHOSEN_POINTS = "front-points", "single-points", "chosen-points"


def drawn_rows(results: Results) -> list[FrontRow]:
    """The Pareto front's rows that are drawn: at most ``DRAWN_POINTS``, evenly spread."""
    rows = results.frontier
    return [rows[i] for i in _spread(len(rows), DRAWN_POINTS)]


@figure(
    "frontier",
    place="front",
    title="Every setting on the Pareto front",
    caption="The line is the Pareto front as it was found on {selection}; the dots are its "
    f"settings on {{report}}, at most {DRAWN_POINTS} of them. Point at a dot to read its cascade, "
    "thresholds, cost and score; frontier.csv has them all.",
    tips=lambda found: front_tips(found.results),
)
def frontier_figure(results: Results, size: Size) -> Figure:
    """Cost (log) against score: Pareto front (both splits), single models, baseline, chosen."""
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    rows = drawn_rows(results)
    report = view.split(results, "report")
    singles, chosen = results.single_models, _chosen(results)
    line_of_front = thinned([(row.cost, row.score) for row in results.frontier], log=True)
    axes.plot(
        [cost for cost, _ in line_of_front],
        [score for _, score in line_of_front],
        color=FAINT,
        drawstyle="steps-post",
        linewidth=1.6,
        marker="o" if len(rows) == 1 else "",
        label=f"Pareto front on {view.split(results, 'selection')}",
    )
    line = np.array(baseline_line(results, "report"))
    if len(line) > 1:
        axes.plot(
            line[:, 1],
            line[:, 0],
            color=MUTED,
            linestyle=(0, (4, 3)),
            linewidth=1.2,
            label=f"single models mixed, on {report}",
        )
    settings = [(row.report_cost, row.report_score) for row in rows]
    dots(axes, settings, f"the same settings on {report}", gid=FRONT_POINTS)
    axes.scatter(
        [model.report.cost for model in singles],
        [model.report.score for model in singles],
        s=30,
        marker="s",
        color=SINGLE,
        linewidths=0,
        zorder=4,
        gid=SINGLE_POINTS,
        label=f"single models on {report}",
    )
    marks = [(p.cost, p.score) for _, p in chosen]
    mark(axes, marks, f"chosen by rule, on {report}", gid=CHOSEN_POINTS)
    costs = [row.cost for row in results.frontier] + [row.report_cost for row in results.frontier]
    scores = [row.score for row in results.frontier] + [r.report_score for r in results.frontier]
    costs += [model.report.cost for model in singles]
    scores += [model.report.score for model in singles]
    name = view.objective(results)
    house_axes.log_cost(axes, costs, view.unit(results), "mean cost per example", size.ticks)
    axes.set_ylim(*house_axes.score_limits(scores))
    house_axes.percent_ticks(axes.yaxis)
    axes.set_ylabel(f"{name} (%)")
    if size.title:
        axes.set_title(f"Cost against {name}")
    style.legend_below(figure, axes)
    labels.place(axes, _names(results, chosen, size), _obstacles(results))
    return figure


def front_tips(results: Results) -> dict[str, list[str]]:
    """By gid of the frontier figure, a text per point: what the page says on pointing at it."""
    report = view.split(results, "report")
    return {
        FRONT_POINTS: ["\n".join(view.front_label(results, row)) for row in drawn_rows(results)],
        SINGLE_POINTS: [
            f"{model.name}\n{report}: {numbers.score(model.report.score)} at "
            f"{numbers.cost(model.report.cost, view.unit(results))}"
            for model in results.single_models
        ],
        CHOSEN_POINTS: [_point_tip(results, rules, p) for rules, p in _feasible(results)],
    }


@figure(
    "improvement",
    place="improvement",
    title="Improvement factor",
    caption="Above 1× a cascade is cheaper than single models of its {objective}; each split is"
    " measured against its own single models.",
)
def improvement_figure(results: Results, size: Size) -> Figure:
    """Score against improvement factor, each split against its own single-model baseline."""
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    report = view.split(results, "report")
    selection = [(row.score, row.improvement) for row in results.frontier]
    rows = results.frontier
    gains = view.report_improvements(results)
    reported = [(rows[i].report_score, gains[i]) for i in _spread(len(rows), DRAWN_POINTS)]
    drawn = thinned([(s, f) for s, f in selection if f is not None])
    shown = [(s, f) for s, f in reported if f is not None]
    _factors(axes, results, drawn, shown)
    figures = results.figures["report"]
    low, high = figures.accuracy_range
    if figures.average_improvement is not None:
        axes.plot(
            [low, high],
            [figures.average_improvement] * 2,
            color=CASCADE,
            linewidth=1.2,
            linestyle=(0, (4, 3)),
            label=f"average on {report}: {numbers.factor(figures.average_improvement)}",
        )
    axes.axhline(1.0, color=MUTED, linewidth=1.2, label="1×: single models")
    marks = [(p.score, p.improvement) for _, p in _chosen(results) if p.improvement is not None]
    mark(axes, marks, f"chosen by rule, on {report}", gid=CHOSEN_POINTS)
    factors = [factor for _, factor in drawn + shown + marks] + [1.0]
    if figures.average_improvement is not None:
        factors.append(figures.average_improvement)
    span = max(factors) - min(factors)
    axes.set_ylim(min(factors) - max(0.08 * span, 0.05), max(factors) + max(0.15 * span, 0.05))
    axes.set_xlim(*house_axes.score_limits([s for s, _ in drawn + shown] + [low, high], 0.05))
    house_axes.percent_ticks(axes.xaxis)
    axes.yaxis.set_major_formatter(lambda value, _: f"{round(value, 6):g}×")
    name = view.objective(results)
    axes.set_xlabel(f"{name} (%)")
    axes.set_ylabel("improvement: baseline cost / cascade cost")
    if size.narrow:
        axes.set_ylabel("improvement factor")
    if size.title:
        axes.set_title(f"Improvement factor against {name}")
    style.legend_below(figure, axes)
    named = [
        _rule_label(p.score, p.improvement, rules)
        for rules, p in _chosen(results)
        if p.improvement is not None
    ]
    level = [(x, 1.0) for x in np.linspace(*axes.get_xlim(), 80).tolist()]
    labels.place(axes, named, np.array([*shown, *_between(drawn), *level]))
    return figure


def _factors(
    axes: Axes,
    results: Results,
    found: list[tuple[float, float]],
    reported: list[tuple[float, float]],
) -> None:
    """(score, factor) along the Pareto front and of the same settings on report, if any has one."""
    if found:
        axes.plot(
            [score for score, _ in found],
            [factor for _, factor in found],
            color=FAINT,
            linewidth=1.6,
            marker="o" if len(found) == 1 else "",
            label=f"along the Pareto front, on {view.split(results, 'selection')}",
        )
    if reported:
        dots(
            axes,
            reported,
            f"the same settings, on {view.split(results, 'report')}",
            gid=FRONT_POINTS,
        )
    if not found + reported:
        words = "every setting scores above\nthe best single model"
        axes.text(0.5, 0.5, words, ha="center", color=MUTED, transform=axes.transAxes)


@figure(
    "thresholds",
    place="cascade",
    title="Every threshold of the first stage",
    caption="Thresholds of later stages are kept, unless all stages share one. At 'all' every "
    "example is answered by the first stage, at 'none' no example is.",
)
def thresholds_figure(results: Results, size: Size) -> Figure | None:
    """Score and cost against the first threshold of the chosen cascade; None without a curve."""
    curve, point = results.sweep_curve, view.chosen(results)
    if curve is None or point is None or not point.thresholds:
        return None
    figure = style.new_figure(Size(size.width, size.height * 1.15, size.title))
    upper, lower = figure.subplots(2, sharex=True)
    first, swept = point.thresholds[0], view.confidence_name(results)
    places = house_axes.ThresholdScale.of([*curve.thresholds, first], swept, size.ticks)
    x, at = places.positions[:-1], float(places.positions[-1])
    keep = _spread(len(x), _DRAWN_CURVE)
    # Between two thresholds the same examples leave as at the upper one (under gt, the lower one).
    steps = "steps-post" if results.settings["compare"] == "gt" else "steps-pre"
    for axes, curves in ((upper, curve.score), (lower, curve.cost)):
        for role, color, width in (("selection", FAINT, 1.6), ("report", CASCADE, 1.8)):
            axes.plot(
                x[keep],
                np.array(curves[role])[keep],
                color=color,
                linewidth=width,
                drawstyle=steps,
                label=f"on {view.split(results, role)}",
            )
        axes.axvline(at, color=CHOSEN, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.margins(y=0.12)
    measured = view.reported(point)
    mark(upper, [(at, measured.score)], f"chosen: {point.conditions[0]}", gid=CHOSEN_POINTS)
    mark(lower, [(at, measured.cost)], "", gid=CHOSEN_POINTS)
    upper.set_ylim(*house_axes.score_limits([*curve.score["report"], *curve.score["selection"]]))
    house_axes.percent_ticks(upper.yaxis, 5)
    house_axes.linear_cost(lower.yaxis, view.unit(results))
    places.apply(lower.xaxis)
    name, unit = view.objective(results), numbers.unit_title(view.unit(results))
    upper.set_ylabel(f"{name} (%)")
    lower.set_ylabel(f"mean cost ({unit})" if unit else "mean cost")
    stage = numbers.shorten(point.stages[0], size.name_width)
    lower.set_xlabel(f"threshold on {view.confidence(results)} of {stage}")
    if size.title:
        cascade = " > ".join(numbers.shorten(stage, size.name_width) for stage in point.stages)
        upper.set_title(f"Every threshold of {cascade}")
    style.legend_below(figure, upper)
    return figure


@figure(
    "reliability",
    place="models",
    title="AUROC, DIS and ECE of every model",
    caption="How well the confidence of each model separates right answers from wrong ones.",
)
def reliability_figure(results: Results, size: Size) -> Figure | None:
    """AUROC, DIS and ECE of every model on both splits, as small multiples of bars."""
    models = list(dict.fromkeys(row.model for row in results.reliability))
    if not models:
        return None
    panels = (
        ("auroc", "AUROC of correctness", "higher is better"),
        ("dis", "DIS", "higher is better"),
        ("ece", "ECE", "lower is better"),
    )
    height = 0.34 * len(models)
    total = 3 * (height + 0.75) + 0.5 if size.narrow else height + 1.5
    figure = style.new_figure(Size(size.width, max(total, 2.4), size.title))
    grid = figure.subplots(*((3, 1) if size.narrow else (1, 3)), sharey=True)
    for axes, (field, title, hint) in zip(grid, panels, strict=True):
        values = {(row.model, row.split): getattr(row, field) for row in results.reliability}
        _bars(axes, results, models, values, 0.0 if field == "ece" else 0.5, size)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(hint, fontsize=9, color=MUTED)
    grid[0].invert_yaxis()
    style.legend_below(figure, grid[0])
    return figure


def _bars(
    axes: Axes,
    results: Results,
    models: list[str],
    values: dict[tuple[str, str], float | None],
    floor: float,
    size: Size,
) -> None:
    """Horizontal bars per model, one per split, each with its number."""
    roles = list(dict.fromkeys(role for _, role in values))
    known = [value for value in values.values() if value is not None]
    start = floor if all(value >= floor for value in known) else 0.0
    end = max([*known, start + 0.05])
    width = 0.76 / len(roles)
    for j, role in enumerate(roles):
        for i, model in enumerate(models):
            y = i + (j - (len(roles) - 1) / 2) * width
            value = values.get((model, role))
            at = start if value is None else value
            axes.annotate(
                "undefined" if value is None else f"{value:.3f}",
                (at, y),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=MUTED if value is None else INK,
            )
            axes.barh(
                y,
                at - start,
                left=start,
                height=width * 0.9,
                color=CASCADE if role == "report" else FAINT,
                label=f"on {view.split(results, role)}" if i == 0 else None,
            )
    axes.set_xlim(start, end + 0.28 * (end - start))
    axes.set_yticks(
        range(len(models)), [numbers.shorten(model, size.name_width) for model in models]
    )
    axes.set_ylim(-0.6, len(models) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _spread(n: int, most: int) -> list[int]:
    """Indices of at most ``most`` of n things, evenly spread, both ends included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist() if n else []


def _chosen(results: Results) -> list[tuple[str, Measured]]:
    """What each setting that a rule chose does on the report split, named by its rules."""
    return [
        ("\n".join(rules), view.reported(point))
        for rules, point in view.rules_by_setting(results)
        if point.feasible
    ]


def baseline_line(results: Results, role: str) -> list[tuple[float, float]]:
    """(score, cost) along the baseline: a straight mix is a curve where cost is logarithmic."""
    knots = results.baseline[role]
    if len(knots) == 1:
        return list(knots)
    scores = [
        score
        for (low, _), (high, _) in pairwise(knots)
        for score in np.linspace(low, high, 25).tolist()
    ]
    costs = view.baseline_costs(results, role, scores)
    return [(s, c) for s, c in zip(scores, costs, strict=True) if c is not None]


def _names(results: Results, chosen: list[tuple[str, Measured]], size: Size) -> list[labels.Label]:
    """Rules first, then models: chosen stages and the best one, the baseline's, the others."""
    rules = [_rule_label(p.cost, p.score, rule) for rule, p in chosen]
    point = view.chosen(results)
    matter = {view.best_single(results).name, *(point.stages if point else [])}
    knots = set(results.baseline["report"])
    models = sorted(
        results.single_models,
        key=lambda m: (m.name not in matter, (m.report.score, m.report.cost) not in knots),
    )
    return rules + [
        labels.Label(
            m.report.cost,
            m.report.score,
            numbers.shorten(m.name, size.name_width),
            SINGLE,
            needed=m.name in matter,
        )
        for m in models
    ]


def _rule_label(x: float, y: float, rules: str) -> labels.Label:
    return labels.Label(x, y, rules, CHOSEN, needed=True, bold=True)


def _obstacles(results: Results) -> NDArray[np.float64]:
    """(cost, score) of all that names should keep off."""
    points = [(row.report_cost, row.report_score) for row in drawn_rows(results)]
    points += thinned([(row.cost, row.score) for row in results.frontier], log=True)
    points += [(model.report.cost, model.report.score) for model in results.single_models]
    points += [(point.cost, point.score) for _, point in _chosen(results)]
    points += [(cost, score) for score, cost in baseline_line(results, "report")]
    return np.array(points, dtype=np.float64)


def _between(line: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of a drawn line and the middles between them, for names to keep off."""
    middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairwise(line)]
    return [*line, *middles]


def _feasible(results: Results) -> list[tuple[list[str], OperatingPoint]]:
    return [(rules, p) for rules, p in view.rules_by_setting(results) if p.feasible]


def _point_tip(results: Results, rules: list[str], point: OperatingPoint) -> str:
    cost = numbers.cost(view.reported(point).cost, view.unit(results))
    return "\n".join(
        [
            " and ".join(rules),
            ">".join(point.stages),
            f"{view.score_words(results, point)}, at {cost}",
        ]
    )
