"""The picture of a comparison of jobs: their Pareto fronts on the report split, overlaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_exp.atomic import write_bytes
from cascade_exp.report.comparison.runs import (
    ComparedRun,
    by_improvement,
    comparable,
    label,
    varied,
)
from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.style import Size
from cascade_exp.report.pages import numbers
from cascade_exp.report.results.schema import FrontRow, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (style.PALETTE); the first varied choice gives the colour, the second the dashes.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.6), (7, 2, 1.2, 2))
_NAMED = 12


def write_runs_figure(runs: Sequence[ComparedRun], path: Path) -> Path | None:
    """Write the picture as PNG; None, and no file, where no run has results."""
    if not any(run.results for run in runs):
        return None
    from cascade_exp.report.figures import layout

    with style.house_style():
        figure = runs_figure(runs)
        picture = layout.png(figure)
    write_bytes(path, picture)
    return path


def runs_figure(runs: Sequence[ComparedRun]) -> Figure:
    """One panel per kind of score and cost; the jobs that are best on selection are named."""
    groups, keys = comparable(runs), varied(runs)
    figure = style.new_figure(Size(11.0, 5.2 * len(groups)))
    panels = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
    for axes, ((name, unit), members) in zip(panels, groups.items(), strict=True):
        _panel(axes, members, keys, name, unit)
    return figure


def looks(runs: Sequence[ComparedRun], keys: Sequence[str]) -> Mapping[str, tuple[int, int]]:
    """By name of a run, the places of its colour and its dashes."""
    ranks = [list(dict.fromkeys(run.choices.get(key) for run in runs)) for key in keys[:2]]
    found = {}
    for place, run in enumerate(runs):
        at = [ranks[i].index(run.choices.get(key)) for i, key in enumerate(keys[:2])]
        color = at[0] if at else place
        found[run.name] = (color % len(COLORS), (at[1] if len(at) > 1 else 0) % len(DASHES))
    return found


def reported_rows(results: Results) -> list[FrontRow]:
    """The Pareto front's settings that no other of them beats on the report split, by cost."""
    kept: list[FrontRow] = []
    for row in sorted(results.frontier, key=lambda row: (row.report_cost, -row.report_score)):
        if not kept or row.report_score > kept[-1].report_score:
            kept.append(row)
    return kept


def _panel(
    axes: Axes, runs: Sequence[ComparedRun], keys: Sequence[str], name: str, unit: str
) -> None:
    ranked = sorted(runs, key=by_improvement, reverse=True)
    look = looks(runs, keys)
    scores: list[float] = []
    singles: dict[tuple[float, float], None] = {}
    for place, run in enumerate(ranked):
        assert run.results is not None
        rows = reported_rows(run.results)
        color, dashes = look[run.name]
        average = numbers.factor(run.results.figures["report"].average_improvement)
        axes.step(
            [row.report_cost for row in rows],
            [row.report_score for row in rows],
            where="post",
            color=COLORS[color],
            linestyle=(0, DASHES[dashes]) if DASHES[dashes] else "solid",
            linewidth=1.3,
            label=f"{numbers.shorten(label(run, keys), 40)}  {average}" if place < _NAMED else None,
        )
        scores += [row.report_score for row in rows]
        singles |= {(m.report.cost, m.report.score): None for m in run.results.single_models}
    axes.scatter(
        [cost for cost, _ in singles],
        [score for _, score in singles],
        color=style.SINGLE,
        marker="D",
        s=22,
        zorder=5,
        label="single models",
    )
    axes.set_ylim(*house_axes.score_limits([*scores, *(s for _, s in singles)], 0.04))
    house_axes.percent_ticks(axes.yaxis)
    costs = [row.report_cost for run in ranked if run.results for row in run.results.frontier]
    house_axes.log_cost(axes, [*costs, *(c for c, _ in singles)], unit, "mean cost per example", 8)
    axes.set_ylabel(f"{name} on report (%)")
    more = len(runs) - _NAMED
    axes.set_title(f"{len(runs)} Pareto fronts, settings found on selection")
    axes.legend(
        title="average improvement, ranked by selection"
        + (f" (and {more} more)" if more > 0 else ""),
        title_fontsize=8.5,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        fontsize=8.5,
    )
