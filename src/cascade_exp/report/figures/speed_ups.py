"""Pictures of a comparison with early-exit networks: speed-up curves, emitted examples, DIS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.analysis_style import SERIES, figure_title, on_report
from cascade_exp.report.figures.registry import figure
from cascade_exp.report.figures.style import INK, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups_schema import EmittedRow, SpeedUpAnalyses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 32
"""Up to so many settings each is marked: a run of agreeing exits can be set to integers alone."""

# Type on the map's own blues, which are the same on a light and a dark page.
_ON_LIGHT, _ON_DARK = "#10151b", "#fdfdfd"


@figure(
    "speed_ups",
    place="speed_ups",
    title="Score against speed-up",
    caption="Every threshold of {selection}, on {report}.",
    of="speed_ups",
)
def speed_up_figure(results: Results, found: SpeedUpAnalyses, size: Size) -> Figure:
    """Score against speed-up on the report split: a line per method, points for static models."""
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    for i, curve in enumerate(found.curves):
        axes.plot(
            curve.speed_up,
            curve.score,
            color=SERIES[i % len(SERIES)],
            linestyle="none" if curve.static else ("solid", "dashed")[i // len(SERIES) % 2],
            marker="o" if curve.static or len(curve.score) <= FEW else "",
            markersize=4,
            linewidth=0.7 if len(curve.score) <= FEW else 1.4,
            label=curve.method,
        )
    full = found.rows[0]
    axes.plot([1.0], [full.report_score], color=INK, marker="s", linestyle="none", label=found.full)
    ups = [up for curve in found.curves for up in curve.speed_up]
    axes.set_xscale("log")
    axes.set_xlim(min([0.9, *ups]) * 0.97, max([4.2, *ups]) * 1.03)
    low, high = axes.get_xlim()
    ticks = [t for t in (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12) if low <= t <= high]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.set_xticks([], minor=True)
    house_axes.percent_ticks(axes.yaxis)
    column = results.settings["cost"]["column"]  # type: ignore[index]
    full_name = numbers.shorten(found.full, size.name_width)
    axes.set_xlabel(f"speed-up ({column} of {full_name} over mean)")
    axes.set_ylabel(f"{view.objective(results)} (%)")
    if size.title:
        axes.set_title(f"Cascades and early-exit networks {on_report(results)}")
    style.legend_below(figure, axes)
    return figure


@figure(
    "emitted",
    place="speed_ups",
    title="What each network emits",
    caption="Accuracy on just those examples that leave at each exit, and of complete models of"
    " as many layers on the same examples. Their number is in analyses/emitted.csv: "
    "points of few examples are unreliable.",
    of="speed_ups",
)
def emitted_figure(results: Results, found: SpeedUpAnalyses, size: Size) -> Figure | None:
    """Accuracy by layer on what each network emits there (CascadeBERT, Fig. 2), a panel each."""
    panels: dict[tuple[str, float], list[EmittedRow]] = {}
    for row in found.emitted:
        panels.setdefault((row.method, row.target), []).append(row)
    if not panels:
        return None
    # a row per network, unless the screen is too narrow for its speed-ups
    across = 2 if size.narrow else len({target for _, target in panels})
    down = -(-len(panels) // across)
    height = 1.0 + down * size.height * (0.42 if size.narrow else 0.5)
    figure = style.new_figure(Size(size.width, height, size.title))
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    places = grid.flat
    groups = dict.fromkeys(row.group for row in found.emitted if not _exit(row))
    series = [("its exit", SERIES[0], "o")]
    series += [
        (group, SERIES[1 + i % (len(SERIES) - 1)], "osD^v"[i % 5]) for i, group in enumerate(groups)
    ]
    for ((method, target), rows), axes in zip(panels.items(), places, strict=False):
        for label, color, marker in series:
            drawn = [row for row in rows if label == ("its exit" if _exit(row) else row.group)]
            own = label == "its exit"
            axes.plot(
                [row.layers for row in drawn],
                [row.accuracy for row in drawn],
                color=color,
                marker=marker,
                markersize=4 if own else 7,
                markerfacecolor=color if own else "none",
                linestyle="solid" if own else "none",
                label=label,
            )
        name = numbers.shorten(method, max(6, size.name_width // across))
        axes.set_title(f"{name} at {target:g}×", fontsize=9)
        house_axes.percent_ticks(axes.yaxis)
    for axes in places:  # the last row's places that no panel takes
        axes.remove()
    layers = sorted({row.layers for row in found.emitted})
    grid[0][0].set_xticks(layers[:: 1 + len(layers) // 9])
    for axes in grid[-1]:
        axes.set_xlabel("layers run")
    figure.supylabel(f"accuracy {on_report(results)} (%)", fontsize=9)
    figure_title(figure, "Accuracy on what each network emits", size)
    style.legend_below(figure, grid[0][0])
    return figure


def _exit(row: EmittedRow) -> bool:
    return "@" in row.model


@figure(
    "inversions",
    place="speed_ups",
    title="Difficulty inversions",
    caption="DIS by max softmax (%): how often, of an example answered rightly and one answered"
    " wrongly, the right one has no lower confidence. Higher is better.",
    of="speed_ups",
)
def inversions_figure(results: Results, found: SpeedUpAnalyses, size: Size) -> Figure | None:
    """DIS over layers and models as a heat map (CascadeBERT, Fig. 3); no cell where undefined."""
    if not found.inversions:
        return None
    layers = sorted({row.layers for row in found.inversions})
    values: dict[tuple[str, int], float | None] = {}
    for row in found.inversions:  # a second model of one depth gets a line of its own
        taken = (row.group, row.layers) in values
        values[row.model if taken else row.group, row.layers] = row.dis
    groups = list(dict.fromkeys(group for group, _ in values))
    cells = np.full((len(groups), len(layers)), np.nan)
    for (group, depth), value in values.items():
        cells[groups.index(group), layers.index(depth)] = np.nan if value is None else value
    figure = style.new_figure(Size(size.width, 0.5 * len(groups) + 1.4, size.title))
    axes = figure.add_subplot()
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(cells), cmap="Blues", edgecolors="face", linewidth=0.3
    )
    # how bright each cell is to the eye, by ITU-R BT.601
    bright = mesh.to_rgba(np.ma.masked_invalid(cells))[..., :3] @ (0.299, 0.587, 0.114)
    digits = 0 if size.narrow and len(layers) > 6 else 1
    for (i, j), value in np.ndenumerate(cells):
        if np.isfinite(value):
            axes.text(
                j + 0.5,
                i + 0.5,
                f"{100 * value:.{digits}f}",
                ha="center",
                va="center",
                color=_ON_LIGHT if bright[i, j] > 0.5 else _ON_DARK,
                fontsize=8 if size.narrow else 9,
            )
    axes.set_xticks(np.arange(len(layers)) + 0.5, [str(layer) for layer in layers])
    names = [numbers.shorten(group, size.name_width) for group in groups]
    axes.set_yticks(np.arange(len(groups)) + 0.5, names)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xlabel("layers")
    if size.title:
        axes.set_title(f"DIS {on_report(results)} (%, higher is better)")
    return figure
