"""The parts of ``report.html`` that only some evaluations have: tiers, links, rivals.

Which pictures they come with is said here; their layout is ``templates/tiers.html.j2`` and
``templates/rivals.html.j2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cascade_exp.report.figures import speed_ups as rivals_plots
from cascade_exp.report.figures.style import Size
from cascade_exp.report.results import tier_baselines as tier_rivals
from cascade_exp.report.results import tiers
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups_schema import RivalAnalyses
from cascade_exp.report.results.tiers_schema import LatencyRow, TierAnalyses, TierRivals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What each picture says to those who cannot see it.
_LABELS = {
    "tier_comparison": "Cost against score of tiers, a confidence cascade and single models.",
    "exits_by_threshold": "Where examples leave at one threshold for all tiers.",
    "parallel": "Cost against score with a tier's models at once and one after another.",
    "rivals": "Score against speed-up of every rival.",
    "emitted": "Accuracy by layer on what each network emits there.",
    "inversions": "DIS of every exit and complete model.",
}


@dataclass(frozen=True)
class Sections:
    """What an evaluation found beside its results; None or empty where it is of another kind.

    Attributes:
        tiers, tier_rivals: with ``cascade=tiers``.
        latencies: with ``cost=edge_cloud``.
        rivals: with ``rivals.members``.
    """

    tiers: TierAnalyses | None = None
    tier_rivals: TierRivals | None = None
    latencies: Sequence[LatencyRow] = ()
    rivals: RivalAnalyses | None = None

    def pictures(self, results: Results) -> dict[str, tuple[str, Callable[[Size], Figure | None]]]:
        """By name, what each picture shows and what builds it; within ``style.house_style()``."""
        builders: dict[str, Callable[[Size], Figure | None]] = {}
        if self.tier_rivals is not None:
            builders |= tier_rivals.figures(results, self.tier_rivals)
        if self.tiers is not None:
            builders |= {
                name: partial(build, results, self.tiers) for name, build in tiers.FIGURES.items()
            }
        if self.rivals is not None:
            builders |= rivals_plots.figures(results, self.rivals)
        return {name: (_LABELS[name], build) for name, build in builders.items()}
