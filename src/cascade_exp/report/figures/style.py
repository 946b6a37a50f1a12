"""One look for every picture: colours, sizes and type, shared by the PNG plots and ``report.html``.

Colours are those of Okabe and Ito (Color Universal Design, 2008), distinguishable by colour-blind
readers, with greys for what is context. Each role has a light and a dark shade; the HTML page turns
the roles into CSS variables, and inline SVG uses those (``svg``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
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

    from cascade_exp.report.figures.layout import OnePass

    figure = Figure(figsize=(size.width, size.height), layout=OnePass())
    FigureCanvasAgg(figure)
    # near what layouts come to, so that panels tick from the start as they will in the end
    wide, high = size.width, size.height
    figure.subplots_adjust(
        left=min(0.65 / wide, 0.4), right=1 - 0.12 / wide, bottom=min(0.8 / high, 0.4), wspace=0.12
    )
    return figure


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the legend under the figure, never over data, in as many columns as the width takes."""
    from cascade_exp.report.figures.layout import PAD

    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    corner = (PAD / figure.get_figwidth(), PAD / figure.get_figheight())
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": corner, "borderaxespad": 0}
    legend = figure.legend(handles, labels, ncols=len(handles), **place)
    room = figure.bbox.width * 0.98
    if len(handles) == 1 or legend.get_window_extent().width <= room:
        return
    words = [text.get_window_extent().width for text in legend.get_texts()]
    legend.remove()
    columns = next((n for n in range(len(words) - 1, 1, -1) if _width(words, n, figure) <= room), 1)
    figure.legend(handles, labels, ncols=columns, **place)


def _width(words: Sequence[float], columns: int, figure: Figure) -> float:
    """Pixels of a legend of texts so wide: filled by columns, the first ones fuller by one."""
    from matplotlib import rcParams

    least, fuller = divmod(len(words), columns)
    ends = list(accumulate([least + (i < fuller) for i in range(columns)], initial=0))
    em = rcParams["legend.fontsize"] * figure.dpi / 72
    beside = rcParams["legend.handlelength"] + rcParams["legend.handletextpad"]
    between = rcParams["legend.columnspacing"] * (columns - 1) + 2 * rcParams["legend.borderpad"]
    widest = sum(max(words[start:end]) for start, end in pairwise(ends))
    return float(widest + em * (beside * columns + between))
