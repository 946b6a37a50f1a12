"""What the page shows of tiers: the compared methods, and their costs in both accountings.

Arrangement and words only; the numbers are those of ``tiers_schema``.
"""

from __future__ import annotations

from dataclasses import dataclass

from cascade_exp.report.pages import numbers
from cascade_exp.report.results.tiers_schema import BaselinePoint, TierBaselines, TierCost

METHODS = {
    "tiers": "tiers",
    "confidence": "confidence cascade of each tier's best model",
    "single": "best single model",
}


@dataclass(frozen=True)
class StageCosts:
    """One tier of a compared point: share of examples that leave there, and a cost per unit."""

    stage: str
    share: float
    costs: list[TierCost]


@dataclass(frozen=True)
class MethodCosts:
    """The tiers of one compared point; ``totals`` are (cumulative, exit tier) per unit."""

    method: str
    stages: list[StageCosts]
    totals: list[tuple[float, float]]


def compared(baselines: TierBaselines) -> list[BaselinePoint]:
    """The one point of each method that the others are compared with, tiers first."""
    points = [point for point in baselines.points if point.compared]
    return sorted(points, key=lambda point: list(METHODS).index(point.method))


def units(baselines: TierBaselines) -> list[str]:
    """The units of the reported costs."""
    return list(dict.fromkeys(row.unit for row in baselines.costs))


def unit_heading(unit: str) -> str:
    """A unit above a column of costs: ``MACs``, ``seconds``."""
    return numbers.unit_title(unit) or unit


def costs_by_method(baselines: TierBaselines) -> list[MethodCosts]:
    """The costs of the compared points, in the order of :func:`compared` and of :func:`units`."""
    found = []
    for point in compared(baselines):
        rows = [row for row in baselines.costs if row.method == point.method]
        by_unit = [[row for row in rows if row.unit == unit] for unit in units(baselines)]
        found.append(
            MethodCosts(
                method=point.method,
                stages=[
                    StageCosts(costs[0].stage, costs[0].share, list(costs))
                    for costs in zip(*by_unit, strict=True)
                ],
                totals=[
                    (sum(row.cumulative for row in one), sum(row.exit_tier for row in one))
                    for one in by_unit
                ],
            )
        )
    return found
