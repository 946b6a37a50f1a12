"""Tiers beside a confidence cascade of each tier's best model, and beside single models.

The comparison of CoE (Kolawole et al. 2024, Fig. 3 and Table 2), with thresholds swept, not picked
by hand. Everything is chosen on the selection split and evaluated on the report split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import cast

import numpy as np

from cascade_exp.cascade.costs import Parallel, exit_costs, tier_cost
from cascade_exp.cascade.frontier import FrontPoint
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.pools.tiers import TierPool
from cascade_exp.cascade.search.engine import search
from cascade_exp.cascade.stages import Floats
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.evaluation.pools import OneSplit
from cascade_exp.evaluation.pricing import unit_of
from cascade_exp.recordings.names import models_of
from cascade_exp.report.results.schema import OperatingPoint, Results
from cascade_exp.report.results.tiers_schema import BaselinePoint, TierBaselines, TierCost


def tier_baselines(
    measuring: Measuring, results: Results, chosen: OperatingPoint | None
) -> TierBaselines | None:
    """The comparison at the chosen cascade of tiers; None where stages are no tiers.

    The confidence cascade's compared point is its cheapest one that scores on the selection split
    what the chosen tiers score there, or its best one where none does; the single model's is the
    best of the selection split.
    """
    selection, report = measuring.splits.selection, measuring.splits.report
    pool, there = selection.stages, report.stages
    if chosen is None or not (isinstance(pool, TierPool) and isinstance(there, TierPool)):
        return None
    members = measuring.members(selection, chosen.stages)
    confidence = _Confidence.of(measuring, pool, there, members)
    points = [
        *_tiers(results, chosen),
        *confidence.points(chosen),
        *_singles(results),
    ]
    return TierBaselines(points, _costs(measuring, points))


@dataclass(frozen=True)
class _Confidence:
    """The confidence cascades of each tier's best model, on both splits."""

    measuring: Measuring
    selection: LogitsPool
    report: LogitsPool
    cascades: list[tuple[int, ...]]

    @classmethod
    def of(
        cls, measuring: Measuring, pool: TierPool, there: TierPool, members: Sequence[int]
    ) -> _Confidence:
        """Out of the best model of each tier, the cheapest of equals, by the selection split.

        Shorter cascades of them are looked at, too, where no link says in which tier each one runs.
        """
        best = [_best(measuring.splits.selection, pool.tiers[m]) for m in members]
        links = np.array([pool.links[m] for m in members])
        changed = pool.running.copy()
        changed[best] += links
        cascades = [tuple(best)]
        if not links.any():
            lengths = range(1, len(best) + 1)
            cascades = [part for n in lengths for part in combinations(best, n)]
        mine, its = (replace(tiers.models, cost=changed) for tiers in (pool, there))
        return cls(measuring, mine, its, cascades)

    def points(self, tiers: OperatingPoint) -> list[BaselinePoint]:
        """The front of their thresholds, the compared one with intervals."""
        assert tiers.selection is not None
        found = search(
            self.selection,
            self.measuring.splits.selection.objective,
            cascades=self.cascades,
            accounting=self.measuring.accounting,
            compare=self.measuring.compare,
        ).front
        enough = [point for point in found if point.score >= tiers.selection.score]
        compared = enough[0] if enough else found[-1]
        there = self.measuring.applied(self.measuring.splits.report, found, self.report)
        points = [
            BaselinePoint(
                method="confidence",
                stages=[self.selection.names[m] for m in point.members],
                thresholds=list(point.thresholds),
                selection_cost=point.cost,
                selection_score=point.score,
                cost=cost,
                score=score,
            )
            for point, cost, score in zip(
                found, there.cost.tolist(), there.score.tolist(), strict=True
            )
        ]
        place = found.index(compared)
        points[place] = self._compared(points[place], compared)
        return points

    def _compared(self, point: BaselinePoint, found: FrontPoint) -> BaselinePoint:
        """The compared point with its intervals."""
        table = table_of(self.report, found.members, self.measuring.accounting)
        outcome = table.run(found.thresholds, self.measuring.compare)
        measured = self.measuring.with_intervals(self.measuring.splits.report, outcome)
        return replace(
            point,
            compared=True,
            cost=measured.cost,
            score_interval=measured.score_interval,
            cost_interval=measured.cost_interval,
        )


def _best(one: OneSplit, tier: Sequence[int]) -> int:
    """The model of the highest score, the cheapest of equals."""
    models = one.models

    def score(m: int) -> float:
        return one.score(table_of(models, (m,)).run([]))

    return max(tier, key=lambda m: (score(m), -models.cost[m]))


def _tiers(results: Results, chosen: OperatingPoint) -> list[BaselinePoint]:
    found = [
        BaselinePoint(
            method="tiers",
            stages=row.stages,
            thresholds=row.thresholds,
            selection_cost=row.cost,
            selection_score=row.score,
            cost=row.report_cost,
            score=row.report_score,
        )
        for row in results.frontier
        if (row.stages, row.thresholds) != (chosen.stages, chosen.thresholds)
    ]
    assert chosen.selection is not None and chosen.report is not None
    point = BaselinePoint(
        method="tiers",
        stages=chosen.stages,
        thresholds=chosen.thresholds,
        selection_cost=chosen.selection.cost,
        selection_score=chosen.selection.score,
        cost=chosen.report.cost,
        score=chosen.report.score,
        compared=True,
        score_interval=chosen.report.score_interval,
        cost_interval=chosen.report.cost_interval,
    )
    return sorted([*found, point], key=lambda p: p.selection_cost)


def _singles(results: Results) -> list[BaselinePoint]:
    best = max(results.single_models, key=lambda m: (m.selection.score, -m.selection.cost))
    return [
        BaselinePoint(
            method="single",
            stages=[model.name],
            thresholds=[],
            selection_cost=model.selection.cost,
            selection_score=model.selection.score,
            cost=model.report.cost,
            score=model.report.score,
            compared=model is best,
            score_interval=model.report.score_interval,
            cost_interval=model.report.cost_interval,
        )
        for model in results.single_models
    ]


def _costs(measuring: Measuring, points: Sequence[BaselinePoint]) -> list[TierCost]:
    """Every column of costs that is known of all models, then the job's own cost if it is none."""
    settings = measuring.splits.settings
    rows = measuring.splits.recordings.models
    columns = [c for c in rows[0].costs if all(c in row.costs for row in rows)]
    units: dict[str, Mapping[str, float]] = {
        column: {row.name: row.costs[column] for row in rows} for column in columns
    }
    if unit_of(settings.cost) not in units:
        models = measuring.splits.report.stages
        assert isinstance(models, TierPool)
        units[unit_of(settings.cost)] = dict(
            zip(models.models.names, models.running.tolist(), strict=True)
        )
    parallel = cast(Parallel, settings.cost.parallel)
    found = []
    for point in (p for p in points if p.compared):
        shares = _shares(measuring, point)
        for unit, cost_of in units.items():
            costs = np.array(
                [
                    tier_cost(np.array([cost_of[name] for name in models_of(stage)]), parallel)
                    for stage in point.stages
                ]
            )
            paid = exit_costs(costs, "cumulative")
            found += [
                TierCost(
                    method=point.method,
                    stage=stage,
                    share=float(shares[i]),
                    unit=unit,
                    cost=float(costs[i]),
                    cumulative=float(shares[i] * paid[i]),
                    exit_tier=float(shares[i] * costs[i]),
                )
                for i, stage in enumerate(point.stages)
            ]
    return found


def _shares(measuring: Measuring, point: BaselinePoint) -> Floats:
    """Shares of the report split's examples that leave at each stage."""
    report = measuring.splits.report
    pool = report.pool if point.method == "tiers" else report.models
    members = tuple(pool.names.index(stage) for stage in point.stages)
    rates: Floats = table_of(pool, members).run(point.thresholds, measuring.compare).exit_rates
    return rates
