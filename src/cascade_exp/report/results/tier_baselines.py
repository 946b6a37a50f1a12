"""Tiers beside their baselines on disk: ``tier_comparison.csv`` and ``tier_costs.csv``.

The table of costs is CoE's Table 2 in both accountings (Kolawole et al. 2024); the picture of the
comparison is ``figures.tier_baselines``.
"""

from __future__ import annotations

from pathlib import Path

from cascade_exp.report.results.tiers_schema import BaselinePoint, TierBaselines, TierCost
from cascade_exp.tables import write_dataclasses

COMPARISON = "tier_comparison.csv"
COSTS = "tier_costs.csv"


def write_tier_baselines(baselines: TierBaselines | None, folder: Path) -> None:
    """Write both tables below ``folder``; without baselines, remove those that are there."""
    write_dataclasses(
        folder / COMPARISON, BaselinePoint, [] if baselines is None else baselines.points
    )
    write_dataclasses(folder / COSTS, TierCost, [] if baselines is None else baselines.costs)
