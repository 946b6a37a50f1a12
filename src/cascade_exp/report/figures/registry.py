"""The figures of an evaluation: each is one function, entered where it is defined.

    @figure("calibration_gap", place="models", title="Calibration gap", of="analyses",
            caption="Mean confidence minus accuracy of each model, on {report}.")
    def calibration_gap_figure(results, analyses, size): ...

PNG files, ``report.html``, the terminal's list and experiment trackers all go through
:func:`all_figures`, so that a figure is in all of them or in none. Any module of this package is
found; nothing else is to be edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cascade_exp.atomic import write_bytes
from cascade_exp.errors import choice
from cascade_exp.report.figures import style
from cascade_exp.report.figures.style import Size
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import view

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACES = (
    "front",
    "tier_baselines",
    "tiers",
    "speed_ups",
    "methods",
    "improvement",
    "cascade",
    "models",
)
"""The parts of ``report.html`` that hold figures, in their order there."""

Builder = TypeVar("Builder", bound="Callable[..., Figure | None]")
Tips = Callable[["Findings"], Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Entry:
    """One figure of an evaluation.

    Attributes:
        name: of its file ``plots/<name>.png``, and in trackers ``plots/<name>``.
        place: the part of the page that it is shown in, one of :data:`PLACES`.
        title: the heading above it on the page, also read to those who cannot see it.
        caption: below it; ``{selection}``, ``{report}`` and ``{objective}`` are filled in.
        build: ``(results, size)``, or ``(results, <of>, size)``; called within
            ``style.house_style()``, it returns None where there is nothing to draw.
        of: the attribute of :class:`Findings` that it draws beside the results.
        folded: whether the page shows it only on demand.
        tips: by gid of a scatter, a text per point that the page shows on pointing at it.
    """

    name: str
    place: str
    title: str
    caption: str
    build: Callable[..., Figure | None]
    of: str | None = None
    folded: bool = False
    tips: Tips | None = None

    def draw(self, found: Findings, size: Size) -> Figure | None:
        """The figure, None where this evaluation has nothing to draw in it."""
        if self.of is None:
            return self.build(found.results, size)
        beside = getattr(found, self.of)
        return self.build(found.results, beside, size) if beside else None

    def caption_of(self, found: Findings) -> str:
        """The caption with the names of this evaluation's splits and objective."""
        return self.caption.format(
            selection=view.split(found.results, "selection"),
            report=view.split(found.results, "report"),
            objective=view.objective(found.results),
        )


_ENTRIES: dict[str, Entry] = {}


def figure(
    name: str,
    *,
    place: str,
    title: str,
    caption: str,
    of: str | None = None,
    folded: bool = False,
    tips: Tips | None = None,
) -> Callable[[Builder], Builder]:
    """Enter the decorated function as the figure ``name``; the rest as in :class:`Entry`.

    Raises:
        CascadeError: if ``place`` is none of :data:`PLACES`.
        ValueError: if another figure has the name.
    """
    choice(place, PLACES, f"place of figure {name}")

    def enter(build: Builder) -> Builder:
        if name in _ENTRIES:
            raise ValueError(f"a second figure named {name}")
        _ENTRIES[name] = Entry(name, place, title, caption, build, of, folded, tips)
        return build

    return enter


def all_figures() -> list[Entry]:
    """Every figure, in the order of :data:`PLACES`, those shown on demand last in each."""
    _import_all()
    return sorted(_ENTRIES.values(), key=lambda entry: (PLACES.index(entry.place), entry.folded))


def write_figures(found: Findings, folder: Path, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write ``plots/<name>.<format>`` below ``folder`` (a job's ``results/``).

    Returns the paths of the PNG files, which trackers show.

    A picture that these findings do not have is removed if an earlier evaluation left it there.
    """
    from cascade_exp.report.figures import layout

    written = []
    with style.house_style():
        for entry in all_figures():
            drawn = entry.draw(found, style.ALONE)
            for kind, content in layout.FORMATS.items():
                path = folder / "plots" / f"{entry.name}.{kind}"
                if drawn is None or kind not in formats:
                    path.unlink(missing_ok=True)
                    continue
                write_bytes(path, content(drawn))
                written.append(path)
    return [path for path in written if path.suffix == ".png"]


def written_figures(folder: Path) -> list[str]:
    """Names of the figures whose pictures are below ``folder`` (a job's ``results/``)."""
    plots = folder / "plots"
    if not plots.is_dir():  # nothing was drawn: matplotlib is not imported for it
        return []
    drawn = {path.stem for path in plots.iterdir()}
    return [e.name for e in all_figures() if e.name in drawn]


@cache
def _import_all() -> None:
    from cascade_exp.report import figures

    for module in pkgutil.iter_modules(figures.__path__):
        importlib.import_module(f"{figures.__name__}.{module.name}")
