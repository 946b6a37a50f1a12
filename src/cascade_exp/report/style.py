"""One look for every picture: colours, sizes and type, shared by the PNG plots and ``report.html``.

Colours are those of Okabe and Ito (Color Universal Design, 2008), told apart by colour-blind
readers, with greys for what is context. Each role has a light and a dark shade; the HTML page turns
the roles into CSS variables, and inline SVG uses those (``svg``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# role: (on a light page, on a dark page). Light shades are all different: ``svg`` finds them again.
PALETTE = {
    "paper": ("#ffffff", "#15191e"),
    "ink": ("#1b2027", "#e7ebef"),
    "muted": ("#5a6572", "#9aa6b3"),
    "grid": ("#e4e8ec", "#2b323a"),
    "cascade": ("#0072b2", "#56b4e9"),
    "faint": ("#a6cde4", "#2f5d7c"),
    "single": ("#3d4650", "#c3ccd5"),
    "chosen": ("#d55e00", "#ff9248"),
}

PAPER, INK, MUTED, GRID, CASCADE, FAINT, SINGLE, CHOSEN = (light for light, _ in PALETTE.values())

# PNG pixels per inch: 10 pt type is 17 pixels high, legible at its own size.
DPI = 120


@dataclass(frozen=True)
class Size:
    """How large a figure is drawn, in inches, and whether it stands alone and needs a title."""

    width: float
    height: float
    title: bool = False

    @property
    def narrow(self) -> bool:
        """Whether the figure is for a phone's width."""
        return self.width < 5

    @property
    def ticks(self) -> int:
        """How many labelled ticks fit side by side."""
        return 5 if self.narrow else 8

    @property
    def name_width(self) -> int:
        """How many characters of a model's name are shown."""
        return 18 if self.narrow else 26


ALONE = Size(8.0, 5.0, title=True)
WIDE = Size(8.0, 4.6)
NARROW = Size(4.0, 4.2)


@contextmanager
def house_style() -> Iterator[None]:
    """Within it, matplotlib draws in this style; nothing of the caller's settings is changed."""
    from matplotlib import style

    settings: dict[str, Any] = {
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.labelsize": 10,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.facecolor": PAPER,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "figure.facecolor": PAPER,
        "figure.dpi": DPI,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "legend.handlelength": 1.6,
        "legend.columnspacing": 1.4,
        "text.color": INK,
        "text.parse_math": False,  # a model may be called a$b$
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": "cascade-exp",
    }
    with style.context(["default", settings]):
        yield


def new_figure(size: Size) -> Figure:
    """An empty figure whose layout keeps labels inside; no pyplot state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size.width, size.height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr,call-arg]
    return figure


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the legend under the figure, never over data, in as many columns as the width takes."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower left", ncols=columns)
        width = legend.get_window_extent(figure.canvas.get_renderer()).width  # type: ignore[attr-defined]
        if width <= figure.bbox.width * 0.98 or columns == 1:
            return
        legend.remove()
