"""Pictures of the chosen cascade: its deferral, how its stages agree, where its classes exit.

Each ``*_figure`` builds one matplotlib figure within ``style.house_style()``, or None where no
cascade was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.analysis_style import (
    DASHED,
    GREEN,
    figure_title,
    mark,
    on_report,
    score_against_cost,
    stacked_bars,
)
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import CASCADE, CHOSEN, FAINT, MUTED, SINGLE, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.analyses_schema import (
    Analyses,
    CascadeAnalyses,
    ClassExits,
    Deferral,
)
from cascade_exp.report.results.schema import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Classes that are drawn; of more, those at both ends.
MOST_CLASSES = 24


@figure(
    "deferral",
    place="cascade",
    title="Between random and ideal deferral",
    caption="Random deferral lets as many examples leave at each stage as the cascade does, "
    "picked by chance; ideal deferral picks them by the labels, the best that any "
    "confidence could do with these stages.",
    of="analyses",
)
def deferral_figure(results: Results, analyses: Analyses, size: Size) -> Figure | None:
    """Cost against score of the swept cascade, between random and ideal deferral."""
    if analyses.cascade is None:
        return None
    found = analyses.cascade.deferral
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    _deferral_curves(axes, found, several=len(analyses.cascade.stages) > 2)
    _deferral_points(axes, found, f"chosen: {results.chosen}")
    curves = [curve for curve in (found.random, found.cascade, found.ideal) if curve is not None]
    scores = [score for curve in curves for score in curve.score.tolist()]
    score_against_cost(axes, results, scores)
    if size.title:
        axes.set_title(f"Deferral in {_cascade(analyses.cascade, size)}, {on_report(results)}")
    style.legend_below(figure, axes)
    return figure


def _deferral_curves(axes: Axes, found: Deferral, *, several: bool) -> None:
    """The cascade's own curve between random and ideal deferral; ``several`` thresholds or one."""
    if found.ideal is not None:
        axes.plot(
            found.ideal.cost,
            found.ideal.score,
            color=GREEN,
            linewidth=1.4,
            label="ideal deferral: the labels are known",
        )
    axes.plot(
        found.cascade.cost,
        found.cascade.score,
        color=CASCADE,
        linewidth=1.8,
        label="every first threshold, the later ones held" if several else "every threshold",
    )
    axes.plot(
        found.random.cost,
        found.random.score,
        color=MUTED,
        linewidth=1.2,
        linestyle=DASHED,
        label="random deferral: as many leave, by chance",
    )


def _deferral_points(axes: Axes, found: Deferral, chosen: str) -> None:
    if found.leave_iff_right is not None:
        axes.scatter(
            *found.leave_iff_right,
            s=70,
            marker="*",
            color=GREEN,
            linewidths=0,
            zorder=5,
            label="leave iff right",
        )
    mark(axes, [found.chosen], chosen)


@figure(
    "agreement",
    place="cascade",
    title="Agreement of the stages",
    caption="Whether pairs of stages answer rightly on the same examples of {report}.",
    of="analyses",
    folded=True,
)
def agreement_figure(results: Results, analyses: Analyses, size: Size) -> Figure | None:
    """How the answers of every two stages meet, on all examples."""
    found = analyses.cascade
    if found is None:
        return None
    pairs = [pair.agreement for pair in found.agreements]
    width = size.name_width * 2 // 3
    names = [
        f"{numbers.shorten(pair.first, width)}\n{numbers.shorten(pair.second, width)}"
        for pair in found.agreements
    ]
    differ = [pair.both_wrong - pair.same_wrong for pair in pairs]
    parts = [
        ("both right", FAINT, [pair.both_right for pair in pairs]),
        ("only the later stage right", CASCADE, [pair.only_second for pair in pairs]),
        ("only the earlier stage right", CHOSEN, [pair.only_first for pair in pairs]),
        ("both wrong, same answer", SINGLE, [pair.same_wrong for pair in pairs]),
        ("both wrong, different answers", MUTED, differ),
    ]
    title = f"Agreement of {_cascade(found, size)}, {on_report(results)}"
    return _shares_of_all(results, names, parts, title, size)


@figure(
    "wrong_exits",
    place="cascade",
    title="Wrong exits",
    caption="Examples of {report} that left at each stage with a wrong answer, and those of "
    "them that the last stage answers wrongly, too.",
    of="analyses",
    folded=True,
)
def wrong_exits_figure(results: Results, analyses: Analyses, size: Size) -> Figure | None:
    """How many leave at each stage, how many of them wrongly, and if the last is right there."""
    found = analyses.cascade
    if found is None:
        return None
    exits = found.wrong_exits
    parts = [
        ("right", FAINT, (exits.left - exits.wrong).tolist()),
        ("wrong, the last stage right", CHOSEN, (exits.wrong - exits.wrong_at_last_too).tolist()),
        ("wrong, the last stage too", SINGLE, exits.wrong_at_last_too.tolist()),
    ]
    names = [f"left at {numbers.shorten(stage, size.name_width)}" for stage in found.stages]
    title = f"Exits of {_cascade(found, size)}, {on_report(results)}"
    return _shares_of_all(results, names, parts, title, size)


def _shares_of_all(
    results: Results,
    names: Sequence[str],
    parts: Sequence[tuple[str, str, Sequence[int]]],
    title: str,
    size: Size,
) -> Figure:
    """Stacked bars of counts, as shares of the report split's examples."""
    total = view.size(results, "report")
    figure = style.new_figure(Size(size.width, 1.9 + 0.5 * len(names), size.title))
    axes = figure.add_subplot()
    shares = [(label, color, [n / total for n in counts]) for label, color, counts in parts]
    stacked_bars(axes, names, shares, size)
    house_axes.percent_ticks(axes.xaxis)
    axes.set_xlabel("share of all examples (%)")
    figure_title(figure, title, size)
    style.legend_below(figure, axes)
    return figure


@figure(
    "exits_by_class",
    place="cascade",
    title="Exits by class",
    caption="Where examples of each class leave the chosen cascade on {report}.",
    of="analyses",
)
def exits_by_class_figure(results: Results, analyses: Analyses, size: Size) -> Figure | None:
    """Where the examples of each class leave the chosen cascade, the earliest classes first."""
    found = analyses.cascade
    if found is None:
        return None
    classes = sorted(found.exits_by_class, key=lambda one: (-one.exit_rates[0], one.label))
    shown = classes
    if len(classes) > MOST_CLASSES:
        shown = classes[: MOST_CLASSES // 2] + classes[-MOST_CLASSES // 2 :]
    figure = style.new_figure(Size(size.width, 1.7 + 0.26 * len(shown), size.title))
    axes = figure.add_subplot()
    n = len(found.stages)
    stacked_bars(
        axes,
        [numbers.shorten(_class_name(one), size.name_width) for one in shown],
        [
            (
                f"at {numbers.shorten(stage, size.name_width)}",
                _between(FAINT, CASCADE, i / max(n - 1, 1)),
                [one.exit_rates[i] for one in shown],
            )
            for i, stage in enumerate(found.stages)
        ],
        size,
    )
    house_axes.percent_ticks(axes.xaxis)
    axes.set_xlabel("share of the class's examples that leave (%)")
    if len(shown) < len(classes):
        axes.axhline(MOST_CLASSES // 2 - 0.5, color=MUTED, linewidth=1.0, linestyle=DASHED)
    if size.title:
        part = (
            f": the {len(shown) // 2} first and last of {numbers.count(len(classes))}"
            if len(shown) < len(classes)
            else ""
        )
        axes.set_title(f"Exits by class, {on_report(results)}{part}")
    style.legend_below(figure, axes)
    return figure


def _cascade(found: CascadeAnalyses, size: Size) -> str:
    width = size.name_width if len(found.stages) < 3 else size.name_width * 2 // 3
    return " > ".join(numbers.shorten(stage, width) for stage in found.stages)


def _class_name(one: ClassExits) -> str:
    return f"class {one.label}" if one.name is None else one.name


def _between(start: str, stop: str, share: float) -> str:
    """The colour at ``share`` of the way between two."""
    mixed = [
        round(np.interp(share, [0, 1], [int(c[i : i + 2], 16) for c in (start, stop)]))
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
