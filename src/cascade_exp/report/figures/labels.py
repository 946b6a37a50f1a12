"""Names beside points, none over another: placed in turn, left out where there is no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

_DISTANCES = (1.0, 1.9, 3.2, 5.0, 8.0)
_DIRECTIONS = 8

# Offsets in points with their alignment: close by first, then further away.
_PLACES = [
    (dx * distance, dy * distance, horizontal, vertical)
    for distance in _DISTANCES
    for dx, dy, horizontal, vertical in (
        (7, 0, "left", "center"),
        (6, 5, "left", "bottom"),
        (6, -5, "left", "top"),
        (0, 7, "center", "bottom"),
        (0, -7, "center", "top"),
        (-7, 0, "right", "center"),
        (-6, 5, "right", "bottom"),
        (-6, -5, "right", "top"),
    )
]


@dataclass(frozen=True)
class Label:
    """A name for the point (x, y) in data coordinates.

    A ``needed`` one may stand far off, on a leader, and cover other points rather than be left out.
    """

    x: float
    y: float
    text: str
    color: str
    needed: bool = False
    bold: bool = False


def place(
    axes: Axes, labels: Sequence[Label], obstacles: NDArray[np.float64], fontsize: float = 9
) -> list[str]:
    """Write ``labels`` (the most important first) into ``axes`` and return the texts written.

    A label keeps inside the axes and off the labels already there. It takes the place that covers
    the fewest ``obstacles`` (float64 [P, 2], data coordinates); where a label that is not
    ``needed`` would cover any, it is left out. The figure's layout is settled here: draw last.
    """
    from cascade_exp.report.figures.layout import settle

    figure = axes.get_figure()
    assert figure is not None
    settle(figure)  # type: ignore[arg-type]
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    pixels = axes.transData.transform(obstacles) if len(obstacles) else np.empty((0, 2))
    frame = axes.get_window_extent(renderer)
    taken: list[Bbox] = []
    written = []
    for label in labels:
        text = axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=fontsize,
            color=label.color,
            linespacing=1.1,
            fontweight="bold" if label.bold else "normal",
            # A leader from the name to its point; a name that stands close by needs none.
            arrowprops={
                "arrowstyle": "-",
                "color": label.color,
                "linewidth": 0.7,
                "shrinkA": 0,
                "shrinkB": 6,
            },
        )
        places = _PLACES if label.needed else _PLACES[: 2 * _DIRECTIONS]
        best: tuple[int, int] | None = None
        for i, (dx, dy, horizontal, vertical) in enumerate(places):
            text.set(position=(dx, dy), ha=horizontal, va=vertical)
            box = _extent(text, renderer)
            if not _inside(box, frame) or any(box.overlaps(other) for other in taken):
                continue
            covered = _count_inside(box, pixels)
            if best is None or covered < best[0]:
                best = (covered, i)
            if covered == 0:
                break
        if best is None or (best[0] > 0 and not label.needed):
            text.remove()
            continue
        dx, dy, horizontal, vertical = _PLACES[best[1]]
        text.set(position=(dx, dy), ha=horizontal, va=vertical)
        text.arrow_patch.set_visible(best[1] >= _DIRECTIONS)  # type: ignore[union-attr]
        taken.append(_extent(text, renderer))
        written.append(label.text)
    return written


def _extent(text: Annotation, renderer: RendererBase) -> Bbox:
    """The pixels of the name alone: an annotation's own extent includes its leader."""
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer).padded(1)


def _inside(box: Bbox, frame: Bbox) -> bool:
    return bool(
        box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1
    )


def _count_inside(box: Bbox, points: NDArray[np.float64]) -> int:
    x, y = points[:, 0], points[:, 1]
    return int(np.sum((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)))
