"""Applying settings of thresholds to a split, and what comes of it as results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np

from cascade_exp.cascade.bootstrap import intervals, paired_intervals
from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.frontier import FrontPoint, improvement_factor
from cascade_exp.cascade.pools.base import StagePool, table_of
from cascade_exp.cascade.search.apply import apply_settings
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.selection import NotFeasible
from cascade_exp.cascade.stages import Compare, Floats, Outcome, StageTable
from cascade_exp.cascade.sweep import settings_at, sweep_first, sweep_shared
from cascade_exp.evaluation.pools import BothSplits, OneSplit, reference_of
from cascade_exp.report.results.per_example import PerExample
from cascade_exp.report.results.schema import (
    Difference,
    FrontRow,
    Measured,
    OperatingPoint,
    SingleModel,
    SweepCurve,
)

GUARANTEED = "guaranteed"


@dataclass(frozen=True)
class AppliedFront:
    """What P settings do on one split.

    Attributes:
        cascades: those that occur. cost, score: float64 [P]. exit_rates: by setting and stage.
    """

    cascades: tuple[tuple[int, ...], ...]
    cost: Floats
    score: Floats
    exit_rates: list[list[float]]


@dataclass(frozen=True)
class Measuring:
    """The two splits and the rules by which settings are applied to them.

    Attributes:
        apart: what the rule ``guaranteed`` is searched and measured with, where it must be fitted
            on other examples than the other rules; None: the same.
    """

    splits: BothSplits
    apart: Measuring | None = None

    def of(self, rule: str) -> Measuring:
        """What the point of ``rule`` is measured with."""
        return self.apart if self.apart is not None and rule == GUARANTEED else self

    @property
    def accounting(self) -> Accounting:
        """What an example pays."""
        return cast(Accounting, self.splits.settings.cost.accounting)

    @property
    def compare(self) -> Compare:
        """The exit rule."""
        return cast(Compare, self.splits.settings.threshold.compare)

    def members(self, one: OneSplit, names: Sequence[str]) -> tuple[int, ...]:
        """The cascade that results call by these names of stages."""
        return self.splits.kind.members(one.stages, names)

    def table(self, one: OneSplit, members: Sequence[int]) -> StageTable:
        """The cascade of the stages ``members`` (indices) on one split."""
        return table_of(one.pool, tuple(members), self.accounting)

    def outcome(
        self, one: OneSplit, members: Sequence[int], thresholds: Sequence[float]
    ) -> Outcome:
        """What that cascade does to the split's examples at ``thresholds``."""
        return self.table(one, members).run(thresholds, self.compare)

    def point(
        self, one: OneSplit, members: Sequence[int], thresholds: Sequence[float]
    ) -> FrontPoint:
        """The same as a point of a front."""
        table = self.table(one, members)
        outcome = table.run(thresholds, self.compare)
        return FrontPoint(
            members=tuple(members),
            thresholds=tuple(float(threshold) for threshold in thresholds),
            cost=float(outcome.cost.mean()),
            score=one.score(outcome),
            worst_case_cost=table.worst_case_cost,
        )

    def measured(self, one: OneSplit, outcome: Outcome) -> Measured:
        """Cost, score, exits and improvement on one split."""
        score, cost = one.score(outcome), float(outcome.cost.mean())
        factor = float(improvement_factor([score], [cost], one.baseline)[0])
        return Measured(
            cost=cost,
            score=score,
            exit_rates=outcome.exit_rates.tolist(),
            improvement=None if np.isnan(factor) else factor,
        )

    def with_intervals(self, one: OneSplit, outcome: Outcome) -> Measured:
        """The same with bootstrap intervals."""
        settings = self.splits.settings
        found = intervals(
            outcome, one.objective, seed=settings.seed, resamples=settings.bootstrap.resamples
        )
        return replace(
            self.measured(one, outcome), score_interval=found.score, cost_interval=found.cost
        )

    def difference(self, outcome: Outcome) -> Difference:
        """``outcome`` on the report split minus that of the reference, on the same examples."""
        settings, report = self.splits.settings, self.splits.report
        name, reference = self._reference
        found = paired_intervals(
            outcome,
            reference,
            report.objective,
            seed=settings.seed,
            resamples=settings.bootstrap.resamples,
        )
        return Difference(
            reference=name,
            score=report.score(outcome) - report.score(reference),
            score_interval=found.score_difference,
            cost=float(outcome.cost.mean()) - float(reference.cost.mean()),
            cost_interval=found.cost_difference,
        )

    @cached_property
    def _reference(self) -> tuple[str, Outcome]:
        """What ``threshold.reference`` names on selection, and its outcome on the report split."""
        (name,) = reference_of(
            self.splits.selection, self.splits.settings.threshold.reference
        ).names
        return name, reference_of(self.splits.report, name).run([])

    def single(self, model: int) -> SingleModel:
        """One model alone, on both splits."""
        selection, report = self.splits.selection, self.splits.report
        return SingleModel(
            name=selection.models.names[model],
            selection=self.measured(selection, self._alone(selection, model)),
            report=self.with_intervals(report, self._alone(report, model)),
        )

    def _alone(self, one: OneSplit, model: int) -> Outcome:
        return table_of(one.models, (model,), self.accounting).run([])

    def conditions(self, point: FrontPoint) -> list[str]:
        """When an example leaves each stage of a setting but the last, in words."""
        pool = self.splits.selection.pool
        return pool.describe(point.members, point.thresholds, self.compare)

    def row_conditions(self, row: FrontRow) -> list[str]:
        """The same of a row of the front."""
        selection = self.splits.selection
        members = self.members(selection, row.stages)
        return selection.pool.describe(members, row.thresholds, self.compare)

    def front_rows(self, front: Sequence[FrontPoint]) -> list[FrontRow]:
        """The points of the selection split's front, and what each does on the report split.

        All settings of one cascade are applied at once (``cascade.search.apply``).
        """
        selection, report = self.splits.selection, self.splits.report
        here, there = self.applied(selection, front), self.applied(report, front)
        factors = improvement_factor(
            [point.score for point in front], [point.cost for point in front], selection.baseline
        ).tolist()
        names = {members: [selection.pool.names[m] for m in members] for members in here.cascades}
        return [
            FrontRow(
                stages=names[point.members].copy(),
                thresholds=list(point.thresholds),
                exit_rates=rates,
                cost=point.cost,
                worst_case_cost=point.worst_case_cost,
                score=point.score,
                improvement=None if math.isnan(factor) else factor,
                report_cost=report_cost,
                report_score=report_score,
            )
            for point, rates, factor, report_cost, report_score in zip(
                front,
                here.exit_rates,
                factors,
                there.cost.tolist(),
                there.score.tolist(),
                strict=True,
            )
        ]

    def applied(
        self, one: OneSplit, front: Sequence[FrontPoint], pool: StagePool | None = None
    ) -> AppliedFront:
        """What each setting of ``front`` does on one split, cascade by cascade.

        Args:
            pool: whose stages the settings are of; by default the split's own.
        """
        rows: dict[tuple[int, ...], list[int]] = {}
        for row, point in enumerate(front):
            rows.setdefault(point.members, []).append(row)
        source = Source(one.pool if pool is None else pool, self.compare)
        found = AppliedFront(
            tuple(rows), np.empty(len(front)), np.empty(len(front)), [[] for _ in front]
        )
        for members, at in rows.items():
            thresholds = np.array([front[row].thresholds for row in at], dtype=np.float64)
            applied = apply_settings(
                source, members, thresholds.reshape(len(at), len(members) - 1), self.accounting
            )
            found.cost[at] = applied.cost / source.size
            found.score[at] = one.objective.score(applied.totals, source.size)
            for row, rates in zip(at, (applied.left / source.size).tolist(), strict=True):
                found.exit_rates[row] = rates
        return found

    def operating_point(self, rule: str, found: FrontPoint | NotFeasible) -> OperatingPoint:
        """What a rule chose on the selection split, and what it does on the report split."""
        if isinstance(found, NotFeasible):
            return OperatingPoint(rule=rule, feasible=False, reason=found.reason)
        selection, report = self.splits.selection, self.splits.report
        setting = (found.members, found.thresholds)
        outcome = self.outcome(report, *setting)
        return OperatingPoint(
            rule=rule,
            feasible=True,
            stages=[selection.pool.names[m] for m in found.members],
            thresholds=list(found.thresholds),
            conditions=self.conditions(found),
            stage_costs=selection.pool.cost[list(found.members)].tolist(),
            worst_case_cost=found.worst_case_cost,
            selection=self.measured(selection, self.outcome(selection, *setting)),
            report=self.with_intervals(report, outcome),
            difference=self.difference(outcome),
        )

    def per_example(self, points: Mapping[str, OperatingPoint]) -> PerExample | None:
        """What the first of ``points`` does to each reported example; None if it chose nothing."""
        point, report = next(iter(points.values()), None), self.splits.report
        if point is None or not point.feasible:
            return None
        measuring = self.of(point.rule)
        report = measuring.splits.report
        members = measuring.members(report, point.stages)
        outcome = measuring.outcome(report, members, point.thresholds)
        read = self.splits.kind.read(self.splits.recordings, report.name)
        return PerExample(read.labels, read.ids, outcome.statistics, outcome.cost)

    def sweep_curve(self, point: OperatingPoint) -> SweepCurve | None:
        """Every first threshold of the point's cascade, the later ones held (or the same where they
        share one), on both splits."""
        if len(point.stages) < 2:
            return None
        shared, swept = self.splits.kind.shared(), {}
        for role, one in (("selection", self.splits.selection), ("report", self.splits.report)):
            members = self.members(one, point.stages)
            table = self.table(one, members)
            stages = table.stages[:-1] if shared else table.stages[:1]
            sweep = (
                sweep_shared(table, self.compare)
                if shared
                else sweep_first(table, point.thresholds[1:], self.compare)
            )
            swept[role] = (one, sweep, np.stack([stage.confidence for stage in stages]))
        thresholds = swept["selection"][1].thresholds
        cost, score = {}, {}
        for role, (one, sweep, confidence) in swept.items():
            at = settings_at(sweep, confidence, thresholds, self.compare)
            cost[role] = (sweep.total_cost[at] / one.pool.size).tolist()
            score[role] = one.objective.score(sweep.totals[at], one.pool.size).tolist()
        return SweepCurve(thresholds=thresholds.tolist(), cost=cost, score=score)
