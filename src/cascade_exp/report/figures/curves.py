"""Pictures of what each model's confidence is worth: reliability, thresholds, risk, coverage.

Each ``*_figure`` builds one matplotlib figure within ``style.house_style()``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.analysis_style import (
    DASHED,
    SERIES,
    figure_title,
    on_report,
)
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import CASCADE, CHOSEN, FAINT, MUTED, SINGLE, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.analyses_schema import Analyses, ModelCurves
from cascade_exp.report.results.schema import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Models that get a panel of their own; more would be too small to read.
MOST_PANELS = 12


@figure(
    "reliability_curve",
    place="models",
    title="Accuracy against confidence",
    caption="Moving averages over examples of {report}, sorted by confidence.",
    of="analyses",
    folded=True,
)
def reliability_curve_figure(results: Results, analyses: Analyses, size: Size) -> Figure:
    """Accuracy against confidence as moving averages, a panel per model (Lebovitz Fig. 13)."""
    shown = drawn_models(results, analyses)
    title, below = "Accuracy against confidence", view.model_confidence(results)[1]
    figure, panels = _panels(results, analyses, shown, title, below, size)
    curves = [model.reliability for model in shown]
    levels = np.concatenate([curve.confidence for curve in curves])
    probability = _is_probability(results, analyses)
    low, high = house_axes.score_limits(levels.tolist(), 0.04)
    bottom, top = house_axes.score_limits(
        [accuracy for curve in curves for accuracy in curve.accuracy.tolist()], 0.06
    )
    if probability:
        low, high = (float(levels.min()), 1.0) if low < 1 else (0.0, 1.0)
        bottom, top = min(bottom, low), 1.02
    for axes, curve in zip(panels, curves, strict=True):
        if probability:
            axes.plot(
                [low, high],
                [low, high],
                color=MUTED,
                linewidth=1.0,
                linestyle=DASHED,
                label="calibrated: accuracy = confidence",
            )
        axes.plot(
            curve.confidence,
            curve.accuracy,
            color=CASCADE,
            linewidth=1.6,
            marker="o" if len(curve.accuracy) == 1 else "",
            label=f"moving average over {_examples(curve.window)}",
        )
        axes.set_xlim(low, high)
        axes.set_ylim(bottom, top)
    style.legend_below(figure, panels[0])
    return figure


@figure(
    "threshold_curve",
    place="models",
    title="Accuracy above and below every threshold",
    caption="Accuracy of the examples of {report} that would exit, and of those that would be "
    "deferred.",
    of="analyses",
    folded=True,
)
def threshold_curve_figure(results: Results, analyses: Analyses, size: Size) -> Figure:
    """Accuracy above and below every threshold, a panel per model (Lebovitz Fig. 14)."""
    from matplotlib.ticker import MaxNLocator

    shown = drawn_models(results, analyses)
    title = "Accuracy above and below every threshold"
    figure, panels = _panels(results, analyses, shown, title, "examples deferred", size)
    for axes, model in zip(panels, shown, strict=True):
        curve = model.threshold
        # between two thresholds nothing is defined: single points need a marker to be seen
        marker = "." if len(curve.below) < 4 else ""
        for values, color, label in (
            (curve.accuracy_above, CASCADE, "accuracy of exiting examples"),
            (curve.accuracy_below, SINGLE, "accuracy of deferred examples"),
        ):
            axes.plot(curve.below, values, color=color, linewidth=1.6, marker=marker, label=label)
        if _is_probability(results, analyses):
            finite = np.isfinite(curve.threshold)
            axes.plot(
                curve.below[finite],
                curve.threshold[finite],
                color=MUTED,
                linewidth=1.1,
                linestyle=(0, (1, 1.5)),
                label="the threshold itself",
            )
        if any(other.chosen for other in shown):
            # in every panel, so that the legend knows it; nowhere where this model has none
            at = model.chosen.below if model.chosen else np.nan
            label = "chosen threshold"
            axes.axvline(at, color=CHOSEN, linewidth=1.2, linestyle=DASHED, label=label)
        axes.set_xlim(0, curve.below.max())
        axes.set_ylim(-0.02, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e3:g}k" if value else "0")
        if curve.below.max() < 2000:
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    style.legend_below(figure, panels[0])
    return figure


@figure(
    "risk_coverage",
    place="models",
    title="Risk against coverage",
    caption="Error among the most confident examples of {report}, at every share of them.",
    of="analyses",
    folded=True,
)
def risk_coverage_figure(results: Results, analyses: Analyses, size: Size) -> Figure:
    """Error among the answered against the share answered, with each model's AURC."""
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    for model, color, named in _coloured(results, analyses):
        curve = model.risk_coverage
        name = numbers.shorten(model.model, size.name_width)
        axes.plot(
            curve.coverage,
            curve.risk,
            color=color,
            linewidth=1.6 if named else 0.8,
            marker="o" if len(curve.risk) == 1 else "",
            zorder=3 if named else 2,
            label=f"{name}: AURC {curve.area:.4f}" if named and curve.area is not None else None,
        )
    _shares(axes, "share answered, most confident first (%)")
    axes.set_ylim(bottom=-0.02 * axes.get_ylim()[1])
    axes.set_ylabel("wrong among them (%)")
    _finish(figure, axes, results, analyses, "Risk against coverage", size)
    return figure


@figure(
    "most_confident",
    place="models",
    title="Accuracy among the most confident",
    caption="Dashed: what any confidence of that model could reach at best.",
    of="analyses",
    folded=True,
)
def most_confident_figure(results: Results, analyses: Analyses, size: Size) -> Figure:
    """Accuracy among the k % most confident, and the best possible (WoC Fig. A)."""
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    bounded = False
    for model, color, named in _coloured(results, analyses):
        curve = model.most_confident
        marker = "o" if len(curve.share) == 1 else ""
        axes.plot(
            curve.share,
            curve.accuracy,
            color=color,
            linewidth=1.6 if named else 0.8,
            marker=marker,
            zorder=3 if named else 2,
            label=numbers.shorten(model.model, size.name_width) if named else None,
        )
        if named:
            axes.plot(curve.share, curve.bound, color=color, linewidth=1.0, linestyle=DASHED)
            bounded = True
    if bounded:
        label = "any confidence of that model at best"
        axes.plot([], [], color=MUTED, linewidth=1.0, linestyle=DASHED, label=label)
    _shares(axes, "the k % most confident (%)")
    axes.set_ylim(top=1 + 0.03 * (1 - axes.get_ylim()[0]))
    axes.set_ylabel("accuracy among them (%)")
    _finish(figure, axes, results, analyses, "Accuracy among the most confident", size)
    return figure


def _examples(count: int) -> str:
    return f"{numbers.count(count)} example{'s' if count > 1 else ''}"


def drawn_models(results: Results, analyses: Analyses) -> list[ModelCurves]:
    """The models that get a panel: all, or those that matter and others spread over the pool."""
    models = analyses.models
    if len(models) <= MOST_PANELS:
        return models
    kept = _matter(results)
    others = [i for i, model in enumerate(models) if model.model not in kept]
    room = max(MOST_PANELS - len(kept), 0)
    filled = {others[round(i)] for i in np.linspace(0, len(others) - 1, room)}
    return [model for i, model in enumerate(models) if model.model in kept or i in filled]


def _matter(results: Results) -> set[str]:
    """The chosen cascade's stages and the best single model."""
    point = view.chosen(results)
    return {view.best_single(results).name, *(point.stages if point else [])}


def _coloured(results: Results, analyses: Analyses) -> Iterator[tuple[ModelCurves, str, bool]]:
    """Each model with its colour and whether it is named: all if few, else those that matter."""
    models = analyses.models
    few = len(models) <= len(SERIES)
    named = [m for m in models if few or m.model in _matter(results)][: len(SERIES)]
    colors = {m.model: SERIES[i] for i, m in enumerate(named)}
    for model in models:
        yield model, colors.get(model.model, FAINT), model.model in colors


def _panels(
    results: Results,
    analyses: Analyses,
    shown: list[ModelCurves],
    title: str,
    below: str,
    size: Size,
) -> tuple[Figure, list[Axes]]:
    """A figure with one small panel per model, named, in percent, and what they have in common."""
    columns = min(2 if size.narrow else 4, len(shown))
    rows = math.ceil(len(shown) / columns)
    height = max(1.3 + 1.75 * rows, 3.6 if rows == 1 else 0.0)
    figure = style.new_figure(Size(size.width, height, size.title))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    panels = [axes for row in grid for axes in row]
    for axes in panels[len(shown) :]:
        axes.remove()
    width = (42 if size.narrow else 88) // columns
    for axes, model in zip(panels, shown, strict=False):
        house_axes.percent_ticks(axes.yaxis)
        axes.set_title(numbers.shorten(model.model, width), fontsize=9, fontweight="normal", pad=5)
    for row in grid:
        row[0].set_ylabel("accuracy (%)")
    for axes in panels[max(len(shown) - columns, 0) : len(shown)]:
        axes.set_xlabel(below, fontsize=9)
    total = len(analyses.models)
    part = "" if len(shown) == total else f": {len(shown)} of {total} models"
    figure_title(figure, f"{title}, {on_report(results)}{part}", size)
    return figure, panels[: len(shown)]


def _finish(
    figure: Figure, axes: Axes, results: Results, analyses: Analyses, title: str, size: Size
) -> None:
    house_axes.percent_ticks(axes.yaxis)
    others = sum(not named for *_, named in _coloured(results, analyses))
    if others:
        label = f"{numbers.count(others)} other model{'s' if others > 1 else ''}"
        axes.plot([], [], color=FAINT, linewidth=0.8, label=label)
    if size.title:
        _, label = view.model_confidence(results)
        axes.set_title(f"{title}, by {label} {on_report(results)}")
    style.legend_below(figure, axes)


def _shares(axes: Axes, title: str) -> None:
    axes.set_xlim(0, 1.01)
    house_axes.percent_ticks(axes.xaxis)
    axes.set_xlabel(title)


def _is_probability(results: Results, analyses: Analyses) -> bool:
    """Whether the confidence claims to be a probability (docs/definitions.md#reliability)."""
    metric, _ = view.model_confidence(results)
    if metric != "recorded":
        return metric == "max_softmax"
    return all(
        bool(np.all((c >= 0) & (c <= 1)))
        for c in (model.reliability.confidence for model in analyses.models)
    )
