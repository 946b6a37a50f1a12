"""What the pictures of the analyses share beyond the house style: series colours, titles, bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures.style import CASCADE, CHOSEN, INK, PALETTE, PAPER, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.schema import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lines that must be distinguished by name: Okabe and Ito's, without their yellow.
GREEN = "#009e73"
SERIES = (CASCADE, CHOSEN, GREEN, "#cc79a7", "#e69f00", "#56b4e9")
DASHED = (0, (4, 3))

# Shares below this are too narrow for their number.
_READABLE = 0.07


def on_report(results: Results) -> str:
    """``on <report split>``."""
    return f"on {view.split(results, 'report')}"


def score_against_cost(axes: Axes, results: Results, scores: Sequence[float]) -> None:
    """Limits for ``scores`` (fractions), ticks and labels of a score over the mean cost."""
    axes.set_ylim(*house_axes.score_limits(scores))
    house_axes.percent_ticks(axes.yaxis)
    house_axes.linear_cost(axes.xaxis, view.unit(results))
    unit = numbers.unit_title(view.unit(results))
    axes.set_xlabel(f"mean cost per example ({unit})" if unit else "mean cost per example")
    axes.set_ylabel(f"{view.objective(results)} (%)")


def figure_title(figure: Figure, text: str, size: Size) -> None:
    """A title over several panels, where the house puts those over one; none inside a page."""
    if size.title:
        figure.suptitle(text, x=0.012, ha="left", fontsize=11, fontweight="bold")


def dots(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    label: str | None,
    *,
    areas: tuple[float, float] = (18, 11),
    gid: str | None = None,
) -> None:
    """The Pareto front's settings on report, one dot each; ``areas`` of few and of many of them."""
    axes.scatter(
        [x for x, _ in points],
        [y for _, y in points],
        s=areas[0] if len(points) <= 60 else areas[1],
        color=CASCADE,
        linewidths=0,
        zorder=3,
        gid=gid,
        label=label,
    )


def mark(
    axes: Axes, points: Sequence[tuple[float, float]], label: str, *, gid: str | None = None
) -> None:
    """A diamond around each chosen setting."""
    if points:
        axes.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            s=80,
            marker="D",
            facecolors="none",
            edgecolors=CHOSEN,
            linewidths=2.0,
            zorder=6,
            gid=gid,
            label=label,
        )


def stacked_bars(
    axes: Axes,
    names: Sequence[str],
    parts: Sequence[tuple[str, str, Sequence[float]]],
    size: Size,
) -> None:
    """One horizontal bar per name, made of shares (of 1): ``parts`` are (label, colour, values)."""
    left = [0.0] * len(names)
    for label, color, values in parts:
        axes.barh(range(len(names)), values, left=left, height=0.68, color=color, label=label)
        for i, value in enumerate(values):
            if value >= _READABLE * (2 if size.narrow else 1):
                axes.text(
                    left[i] + value / 2,
                    i,
                    numbers.percent(value),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=_type_on(color),
                )
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlim(0, 1)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _type_on(color: str) -> str:
    """What type is legible on ``color``, which a dark page changes only if it is of the palette."""
    dark = _luminance(color) < 0.5
    if color in (light for light, _ in PALETTE.values()):
        return PAPER if dark else INK
    return "#fdfdfd" if dark else "#10151b"


def _luminance(color: str) -> float:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue
