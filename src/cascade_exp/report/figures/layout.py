"""One pass of layout for every picture, and its bytes in one drawing.

Matplotlib's constrained layout measures every word twice and then draws the picture to no avail
before it saves it; most of what a picture costs is that.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine, TightLayoutEngine

PAD = 0.08
"""Inches that are left free at the edges, and twice that between panels."""

_ROW = 0.06
"""Inches between a legend and what is above it."""

_TITLE = 0.1
"""Inches more between the title of several panels and what is below it."""


class OnePass(LayoutEngine):
    """Labels inside the figure, its legends below all panels; settled at the first drawing."""

    _adjust_compatible = True
    _colorbar_gridspec = True

    def __init__(self) -> None:
        super().__init__()
        self._settled = False

    def execute(self, fig: Figure) -> None:
        """Settle the layout of ``fig``; nothing at all the second time."""
        if self._settled or not fig.axes:
            return
        self._settled = True
        ticks = _ticks(fig)
        _fit(fig)
        # a panel of another size may tick otherwise, and its outer labels stand elsewhere
        if _ticks(fig) != ticks:
            _fit(fig)


def _fit(figure: Figure) -> None:
    """Measure all words once, and set the panels into what they leave."""
    from matplotlib import rcParams

    pad = PAD * 72 / float(rcParams["font.size"])
    # with a rectangle, be it the whole figure, it would measure everything twice
    fitted: dict[str, Any] = {"pad": pad, "w_pad": 2 * pad, "h_pad": 2 * pad, "rect": None}
    TightLayoutEngine(**fitted).execute(figure)
    _make_room(figure)


def _ticks(figure: Figure) -> list[list[float]]:
    """Where every axis has its ticks, of those that it shows; of categories they are a list."""
    return [
        [place for place in np.asarray(axis.get_majorticklocs()).tolist() if low <= place <= high]
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for low, high in [sorted(axis.get_view_interval())]
    ]


def _make_room(figure: Figure) -> None:
    """Shrink the panels to leave room for legends below them, and air below the figure's title."""
    over = _TITLE / figure.get_figheight() if figure.get_suptitle() else 0.0
    under = 0.0
    if figure.legends:
        below = max(legend.get_window_extent().height for legend in figure.legends)
        under = below / figure.bbox.height + _ROW / figure.get_figheight()
    grid = figure.axes[0].get_gridspec()
    rows = 1 if grid is None else grid.nrows
    at = figure.subplotpars
    # hspace is in heights of a panel, which shrink while the gaps stay
    height = (at.top - at.bottom) / (rows + at.hspace * (rows - 1))
    left = height - (under + over) / rows
    if left > 0:
        figure.subplots_adjust(
            bottom=at.bottom + under, top=at.top - over, hspace=at.hspace * height / left
        )


def settle(figure: Figure) -> None:
    """Settle the layout now: for what is placed by where things are."""
    engine = figure.get_layout_engine()
    assert isinstance(engine, OnePass)
    engine.execute(figure)


def png(figure: Figure) -> bytes:
    """``figure`` as PNG at its own resolution."""
    buffer = io.BytesIO()
    # of the levels the one past which files hardly shrink
    FigureCanvasAgg(figure).print_png(  # type: ignore[no-untyped-call]
        buffer, metadata={"Software": None}, pil_kwargs={"compress_level": 3}
    )
    return buffer.getvalue()


def pdf(figure: Figure) -> bytes:
    """``figure`` as PDF, without the date of its making."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf  # seldom needed

    settle(figure)
    buffer = io.BytesIO()
    canvas = FigureCanvasPdf(figure)
    canvas.print_pdf(buffer, metadata={"CreationDate": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def whole_svg(figure: Figure) -> bytes:
    """``figure`` as an SVG file of its own, with its background."""
    settle(figure)
    buffer = io.StringIO()
    canvas = FigureCanvasSVG(figure)
    canvas.print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue().encode()


FORMATS: Mapping[str, Callable[[Figure], bytes]] = {"png": png, "pdf": pdf, "svg": whole_svg}
"""How a figure is written, by the endings that ``plots.format`` names."""


def svg(figure: Figure) -> str:
    """``figure`` as SVG without background, which the page has of its own."""
    settle(figure)
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    buffer = io.StringIO()
    canvas = FigureCanvasSVG(figure)
    canvas.print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()
