"""The picture of representations: examples as points, coloured by class, one panel per model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade_exp.atomic import write_bytes
from cascade_exp.report.figures import style
from cascade_exp.report.figures.style import MUTED, Size

CLASS_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
MARKERS = "os^Dv"


@dataclass(frozen=True)
class Projection:
    """One model's examples in the plane.

    Attributes:
        points: float [N, 2].
        labels: int64 [N].
        accuracy: of the model's answer on these examples; ``answer`` says after what.
    """

    model: str
    points: NDArray[np.floating]
    labels: NDArray[np.int64]
    accuracy: float
    answer: str


def write_representations_figure(
    found: Sequence[Projection], classes: Sequence[str], title: str, path: Path
) -> None:
    """Write the PNG at ``path``: a panel per model, at most three in a row."""
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    from cascade_exp.report.figures import layout

    with style.house_style():
        figure = style.new_figure(Size(3.4 * columns + 0.4, 3.5 * rows + 0.8, title=True))
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(found) :]:
            axes.set_axis_off()
        for axes, one in zip(grid.flat, found, strict=False):
            for c, name in enumerate(classes):
                x, y = one.points[one.labels == c].T
                axes.scatter(
                    x,
                    y,
                    s=9,
                    alpha=0.7,
                    linewidths=0,
                    color=CLASS_COLOURS[c % len(CLASS_COLOURS)],
                    marker=MARKERS[c % len(MARKERS)],
                    label=name,
                )
            axes.set_title(one.model, fontsize=10)
            axes.set_xlabel(f"{one.accuracy:.1%} right after\n{one.answer}", color=MUTED)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
        style.legend_below(figure, grid[0, 0])
        picture = layout.png(figure)
    write_bytes(path, picture)
