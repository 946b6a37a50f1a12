"""The pictures of the analyses as PNG, one per table and the published points, beside the others.

The figures themselves are in ``curve_plots``, ``cascade_plots`` and ``comparison_plots``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_exp.report.figures.cascade import (
    agreement_figure,
    deferral_figure,
    exits_by_class_figure,
    wrong_exits_figure,
)
from cascade_exp.report.figures.comparisons import published_figure, transfer_figure
from cascade_exp.report.figures.curves import (
    most_confident_figure,
    reliability_curve_figure,
    risk_coverage_figure,
    threshold_curve_figure,
)
from cascade_exp.report.figures.evaluation import write_pictures
from cascade_exp.report.figures.style import Size
from cascade_exp.report.results.analyses_schema import Analyses
from cascade_exp.report.results.schema import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, Callable[[Results, Analyses, Size], Figure | None]] = {
    "reliability_curve": reliability_curve_figure,
    "threshold_curve": threshold_curve_figure,
    "risk_coverage": risk_coverage_figure,
    "most_confident": most_confident_figure,
    "deferral": deferral_figure,
    "agreement": agreement_figure,
    "wrong_exits": wrong_exits_figure,
    "exits_by_class": exits_by_class_figure,
    "transfer": transfer_figure,  # the tables frontier and reoptimised_frontier
    "published": published_figure,
}


def write_analysis_plots(results: Results, analyses: Analyses | None, folder: Path) -> list[Path]:
    """Write ``plots/*.png`` below ``folder`` (a job's ``results/``); return the paths written.

    A picture that these analyses do not have is removed if an earlier evaluation left it there;
    without analyses all are.
    """

    def bound(
        build: Callable[[Results, Analyses, Size], Figure | None],
    ) -> Callable[[Size], Figure | None]:
        return lambda size: None if analyses is None else build(results, analyses, size)

    return write_pictures({name: bound(build) for name, build in FIGURES.items()}, folder)
