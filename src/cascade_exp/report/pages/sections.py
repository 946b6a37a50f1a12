"""The parts of ``report.html`` that only some evaluations have.

Tiers, links, and methods at equal speed-up.

Which pictures they come with is said here; their layout is ``templates/tiers.html.j2`` and
``templates/speed_ups.html.j2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cascade_exp.report.figures import speed_ups as speed_ups_figures
from cascade_exp.report.figures import tiers
from cascade_exp.report.figures.style import Size
from cascade_exp.report.results import tier_baselines as tier_baselines
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups_schema import SpeedUpAnalyses
from cascade_exp.report.results.tiers_schema import LatencyRow, TierAnalyses, TierBaselines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What each picture says to those who cannot see it.
_LABELS = {
    "tier_comparison": "Cost against score of tiers, a confidence cascade and single models.",
    "exits_by_threshold": "Where examples leave at one threshold for all tiers.",
    "parallel": "Cost against score with a tier's models at once and one after another.",
    "speed_ups": "Score against speed-up of every method.",
    "emitted": "Accuracy by layer on what each network emits there.",
    "inversions": "DIS of every exit and complete model.",
}


@dataclass(frozen=True)
class Sections:
    """What an evaluation found beside its results; None or empty where it is of another kind.

    Attributes:
        tiers, tier_baselines: with ``cascade=tiers``.
        latencies: with ``cost=edge_cloud``.
        speed_ups: with ``speed_ups.members``.
    """

    tiers: TierAnalyses | None = None
    tier_baselines: TierBaselines | None = None
    latencies: Sequence[LatencyRow] = ()
    speed_ups: SpeedUpAnalyses | None = None

    def pictures(self, results: Results) -> dict[str, tuple[str, Callable[[Size], Figure | None]]]:
        """By name, what each picture shows and what builds it; within ``style.house_style()``."""
        builders: dict[str, Callable[[Size], Figure | None]] = {}
        if self.tier_baselines is not None:
            builders |= tier_baselines.figures(results, self.tier_baselines)
        if self.tiers is not None:
            builders |= {
                name: partial(build, results, self.tiers) for name, build in tiers.FIGURES.items()
            }
        if self.speed_ups is not None:
            builders |= speed_ups_figures.figures(results, self.speed_ups)
        return {name: (_LABELS[name], build) for name, build in builders.items()}
