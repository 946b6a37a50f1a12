"""Pictures of a comparison with early-exit networks: speed-up curves, emitted examples, DIS."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade_exp.atomic import write_bytes
from cascade_exp.report import axes as house_axes
from cascade_exp.report import style
from cascade_exp.report.analysis_style import SERIES
from cascade_exp.report.rivals_schema import EmittedRow, RivalAnalyses
from cascade_exp.report.style import INK, MUTED, Size
from cascade_exp.schema.evaluating import EvaluateConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = Size(7.2, 4.8, title=True)


def write_rival_plots(found: RivalAnalyses, settings: EvaluateConfig, folder: Path) -> list[Path]:
    """Write ``plots/{rivals,emitted,inversions}.png`` below ``folder``; return those drawn.

    One that has nothing to show is removed if an earlier evaluation left it there.
    """
    figures: dict[str, Callable[[RivalAnalyses, EvaluateConfig], Figure | None]] = {
        "rivals": speed_up_figure,
        "emitted": emitted_figure,
        "inversions": inversions_figure,
    }
    written = []
    for name, build in figures.items():
        path = folder / "plots" / f"{name}.png"
        picture = io.BytesIO()
        with style.house_style():
            figure = build(found, settings)
            if figure is None:
                path.unlink(missing_ok=True)
                continue
            figure.savefig(picture, format="png", dpi=style.DPI, metadata={"Software": None})
        write_bytes(path, picture.getvalue())
        written.append(path)
    return written


def speed_up_figure(found: RivalAnalyses, settings: EvaluateConfig) -> Figure:
    """Score against speed-up on the report split: a line per rival, points for static models."""
    figure = style.new_figure(_SIZE)
    axes = figure.subplots()
    for i, curve in enumerate(found.curves):
        axes.plot(
            curve.speed_up,
            curve.score,
            color=SERIES[i % len(SERIES)],
            linestyle="none" if curve.static else ("solid", "dashed")[i // len(SERIES) % 2],
            marker="o" if curve.static or len(curve.score) < 12 else "",
            markersize=4,
            linewidth=1.4,
            label=curve.rival,
        )
    full = found.rows[0]
    axes.plot([1.0], [full.report_score], color=INK, marker="s", linestyle="none", label=found.full)
    ups = [up for curve in found.curves for up in curve.speed_up]
    axes.set_xscale("log")
    axes.set_xlim(min([0.9, *ups]) * 0.97, max([4.2, *ups]) * 1.03)
    ticks = [t for t in (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12) if t <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.set_xticks([], minor=True)
    house_axes.percent_ticks(axes.yaxis)
    axes.set_xlabel(f"speed-up ({settings.cost.column} of {found.full} over mean)")
    axes.set_ylabel(f"{settings.objective.name} on {settings.splits.report} (%)")
    axes.set_title(f"Cascades and early-exit networks on {settings.splits.report}", loc="left")
    style.legend_below(figure, axes)
    return figure


def emitted_figure(found: RivalAnalyses, settings: EvaluateConfig) -> Figure | None:
    """Accuracy by layer on what each network emits there (CascadeBERT, Fig. 2), a panel each."""
    panels: dict[tuple[str, float], list[EmittedRow]] = {}
    for row in found.emitted:
        panels.setdefault((row.rival, row.target), []).append(row)
    if not panels:
        return None
    rivals = list(dict.fromkeys(rival for rival, _ in panels))
    targets = list(dict.fromkeys(target for _, target in panels))
    figure = style.new_figure(Size(2.8 * len(targets) + 0.8, 2.5 * len(rivals) + 0.8))
    grid = figure.subplots(len(rivals), len(targets), sharex=True, sharey=True, squeeze=False)
    for (rival, target), rows in panels.items():
        axes = grid[rivals.index(rival)][targets.index(target)]
        own = [row for row in rows if "@" in row.model]
        complete = [row for row in rows if "@" not in row.model]
        for label, color, drawn in (
            ("its exit", SERIES[0], own),
            ("complete models of as many layers", SERIES[1], complete),
        ):
            axes.plot(
                [row.layers for row in drawn],
                [row.accuracy for row in drawn],
                color=color,
                marker="o",
                markersize=4 if drawn is own else 7,
                markerfacecolor=color if drawn is own else "none",
                linestyle="solid" if drawn is own else "none",
                label=label,
            )
        axes.set_title(f"{rival} at {target:g}×", fontsize=9)
        house_axes.percent_ticks(axes.yaxis)
    layers = sorted({row.layers for row in found.emitted})
    grid[0][0].set_xticks(layers)
    for axes in grid[-1]:
        axes.set_xlabel("layers run")
    figure.supylabel(f"accuracy on {settings.splits.report} (%)", fontsize=9, color=MUTED)
    style.legend_below(figure, grid[0][0])
    return figure


def inversions_figure(found: RivalAnalyses, settings: EvaluateConfig) -> Figure | None:
    """DIS over layers and models as a heat map (CascadeBERT, Fig. 3); no cell where undefined."""
    if not found.inversions:
        return None
    groups = list(dict.fromkeys(row.group for row in found.inversions))
    layers = sorted({row.layers for row in found.inversions})
    cells = np.full((len(groups), len(layers)), np.nan)
    for row in found.inversions:  # of several complete models of one depth the surest is drawn
        at = groups.index(row.group), layers.index(row.layers)
        cells[at] = np.fmax(cells[at], np.nan if row.dis is None else row.dis)
    figure = style.new_figure(Size(0.75 * len(layers) + 2.4, 0.5 * len(groups) + 1.6))
    axes = figure.subplots()
    axes.imshow(cells, cmap="Blues", aspect="auto")
    middle = (np.nanmin(cells) + np.nanmax(cells)) / 2 if np.isfinite(cells).any() else 0.0
    for (i, j), value in np.ndenumerate(cells):
        if np.isfinite(value):
            color = "white" if value > middle else INK
            axes.text(j, i, f"{100 * value:.1f}", ha="center", va="center", color=color, fontsize=9)
    axes.set_xticks(range(len(layers)), [str(layer) for layer in layers])
    axes.set_yticks(range(len(groups)), groups)
    axes.grid(visible=False)
    axes.set_xlabel("layers")
    axes.set_title(f"DIS on {settings.splits.report} (%, higher is better)", loc="left")
    return figure
