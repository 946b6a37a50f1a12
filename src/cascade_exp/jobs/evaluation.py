"""One evaluation: recordings and settings in, :class:`Results` out. No files are written here.

The steps are those of DESIGN §2: stages on both splits, every cascade at every threshold on the
selection split, the front measured against the single models, operating points by rule, and all of
it applied unchanged to the report split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from cascade_exp.cascade.bootstrap import intervals
from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.frontier import (
    Baseline,
    BaselineKind,
    FrontPoint,
    average_improvement,
    improvement_factor,
    local_maxima,
    max_improvement,
    scores_and_costs,
    top_score,
)
from cascade_exp.cascade.objective import Objective, make_objective
from cascade_exp.cascade.pool import Answers, LogitsPool
from cascade_exp.cascade.reliability import auroc, dis, ece
from cascade_exp.cascade.search import search
from cascade_exp.cascade.selection import RULES, Goals, NotFeasible, select
from cascade_exp.cascade.stages import Compare, Outcome, table_of
from cascade_exp.cascade.sweep import sweep_first
from cascade_exp.errors import CascadeError, choice, did_you_mean
from cascade_exp.recordings.folder import RecordedAnswers, Recordings, Split
from cascade_exp.report.schema import (
    FrontFigures,
    FrontRow,
    Measured,
    OperatingPoint,
    ReliabilityRow,
    Results,
    SingleModel,
    SweepCurve,
)
from cascade_exp.schema import EvaluateConfig, StagesCascade, TopK

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class OneSplit:
    """A split as the engine sees it: its pool, and its own single-model baseline."""

    name: str
    pool: LogitsPool
    objective: Objective
    baseline: Baseline

    def score(self, outcome: Outcome) -> float:
        """The objective's score of ``outcome``."""
        return float(self.objective.score(outcome.statistics.sum(axis=0), self.pool.size))


def check_settings(settings: EvaluateConfig) -> None:
    """Refuse settings that cannot go together, before any compute is spent.

    Raises:
        CascadeError: naming the key.
    """
    choice(settings.cost.accounting, ("cumulative", "exit_tier"), "cost.accounting")
    choice(settings.baseline, ("hull", "adjacent"), "baseline")
    threshold = settings.threshold
    choice(threshold.compare, ("ge", "gt"), "threshold.compare")
    for rule in rules_of(settings):
        choice(rule, RULES, "threshold.rules")
    if settings.search.max_stages < 1:
        raise CascadeError(f"search.max_stages={settings.search.max_stages}: expected at least 1")
    same = settings.splits.selection == settings.splits.report
    if same and not threshold.same_split:
        raise CascadeError(
            f"splits.selection and splits.report are both '{settings.splits.report}'; thresholds "
            "chosen and told on the same examples flatter themselves "
            "(threshold.same_split=true does it all the same, and the report says so)"
        )


def rules_of(settings: EvaluateConfig) -> list[str]:
    """The selection rules by name, in the order given."""
    rules = settings.threshold.rules
    return [rules] if isinstance(rules, str) else list(rules)


def evaluate_recordings(
    recordings: Recordings,
    settings: EvaluateConfig,
    environment: Mapping[str, object],
    progress: Progress | None = None,
) -> Results:
    """Evaluate every cascade that ``settings`` ask for on ``recordings``.

    Raises:
        CascadeError: if the recordings or the settings do not fit (DESIGN §6).
    """
    check_settings(settings)
    objective = make_objective(
        settings.objective.name,
        **{k: v for k, v in vars(settings.objective).items() if k != "name"},
    )
    splits = [recordings.split(settings.splits.selection), recordings.split(settings.splits.report)]
    _check_same_classes(*splits)
    temperatures = _temperatures(splits[0], settings)
    selection, report = (
        _one_split(recordings, split, settings, objective, temperatures) for split in splits
    )
    compare = cast(Compare, settings.threshold.compare)
    accounting = cast(Accounting, settings.cost.accounting)
    cascades = _cascades(selection.pool, settings)
    found = search(
        selection.pool,
        objective,
        cascades=cascades,
        max_stages=settings.search.max_stages,
        accounting=accounting,
        compare=compare,
        shared=settings.threshold.shared,
        progress=progress,
    )
    runs = _Runs(selection, report, accounting, compare, settings)
    points = _operating_points(found.front, runs, settings)
    chosen = next((rule for rule, point in points.items() if point.feasible), None)
    rows = [runs.front_row(point) for point in found.front]
    return Results(
        settings={
            "metric": settings.metric.name,
            "ensemble": settings.ensemble.name,
            "calibration": settings.calibration.name,
            "objective": settings.objective.name,
            "cost": {
                "name": settings.cost.name,
                "column": settings.cost.column,
                "unit": settings.cost.column,
            },
            "accounting": accounting,
            "baseline": settings.baseline,
            "compare": compare,
            "shared": settings.threshold.shared,
            "recordings": str(recordings.path),
            "splits": {"selection": selection.name, "report": report.name},
            "sizes": {"selection": selection.pool.size, "report": report.pool.size},
            "same_split": selection.name == report.name,
            "exact": found.exact,
            "search_note": found.note,
            "cascades": found.cascades,
        },
        single_models=[runs.single(m) for m in range(len(selection.pool.names))],
        frontier=rows,
        operating_points=points,
        chosen=chosen,
        figures=_figures(rows, selection, report),
        baseline={
            s: list(o.baseline.knots) for s, o in (("selection", selection), ("report", report))
        },
        reliability=_reliability("selection", selection) + _reliability("report", report),
        temperatures=temperatures,
        sweep_curve=runs.sweep_curve(points[chosen]) if chosen else None,
        environment=dict(environment),
    )


def _check_same_classes(first: Split, second: Split) -> None:
    if first.classes != second.classes:
        raise CascadeError(
            f"{first.path} records {first.classes} classes and {second.path} {second.classes}; "
            "both splits must be of the same models"
        )


def _temperatures(split: Split, settings: EvaluateConfig) -> dict[str, float]:
    choice(settings.calibration.name, ("none", "temperature"), "calibration")
    if settings.calibration.name == "none":
        return {}
    from cascade_exp.cascade.calibration import fit_temperature

    temperatures = {}
    for model, output in split.outputs.items():
        if isinstance(output, RecordedAnswers):
            raise CascadeError(
                f"calibration=temperature needs logits, but {split.file_of(model)} holds answers"
            )
        fitted = fit_temperature(output, split.labels, where=str(split.file_of(model)))
        temperatures[model] = fitted.temperature
    return temperatures


def _one_split(
    recordings: Recordings,
    split: Split,
    settings: EvaluateConfig,
    objective: Objective,
    temperatures: Mapping[str, float],
) -> OneSplit:
    outputs = {
        model: Answers(output.prediction, output.confidence)
        if isinstance(output, RecordedAnswers)
        else output
        for model, output in split.outputs.items()
    }
    pool = LogitsPool.build(
        outputs,
        dict(zip(recordings.names, recordings.costs(settings.cost.column).tolist(), strict=True)),
        split.labels,
        metric=settings.metric.name,
        objective=objective,
        ensemble=settings.ensemble.name,
        temperatures=temperatures,
        k=settings.metric.k if isinstance(settings.metric, TopK) else 1,
        sources={model: str(split.file_of(model)) for model in outputs},
    )
    singles = [pool.stage((m,)).statistics.sum(axis=0) for m in range(len(pool.names))]
    scores = [float(objective.score(total, pool.size)) for total in singles]
    baseline = Baseline.of(scores, pool.cost, cast(BaselineKind, settings.baseline))
    return OneSplit(split.name, pool, objective, baseline)


def _cascades(pool: LogitsPool, settings: EvaluateConfig) -> list[tuple[int, ...]] | None:
    """The one cascade that was asked for by name, or None: all of them."""
    if not isinstance(settings.cascade, StagesCascade):
        return None
    stages = settings.cascade.stages
    names = [stages] if isinstance(stages, str) else [str(name) for name in stages or []]
    for name in names:
        if name not in pool.names:
            raise CascadeError(
                f"cascade.stages: no recorded model '{name}'; the pool holds "
                f"{', '.join(pool.names)}{did_you_mean(name, pool.names)}"
            )
    if not names or len(set(names)) != len(names):
        raise CascadeError(f"cascade.stages={names}: expected one or more different models")
    return [tuple(pool.names.index(name) for name in names)]


@dataclass(frozen=True)
class _Runs:
    """Settings applied literally to both splits."""

    selection: OneSplit
    report: OneSplit
    accounting: Accounting
    compare: Compare
    settings: EvaluateConfig

    def outcome(
        self, one: OneSplit, members: Sequence[str], thresholds: Sequence[float]
    ) -> Outcome:
        indices = tuple(one.pool.names.index(name) for name in members)
        return table_of(one.pool, indices, self.accounting).run(thresholds, self.compare)

    def measured(
        self, one: OneSplit, members: Sequence[str], thresholds: Sequence[float]
    ) -> Measured:
        """Cost, score, exits and improvement on one split."""
        outcome = self.outcome(one, members, thresholds)
        score, cost = one.score(outcome), float(outcome.cost.mean())
        factor = float(improvement_factor([score], [cost], one.baseline)[0])
        return Measured(
            cost=cost,
            score=score,
            exit_rates=outcome.exit_rates.tolist(),
            improvement=None if np.isnan(factor) else factor,
        )

    def with_intervals(
        self, one: OneSplit, members: Sequence[str], thresholds: Sequence[float]
    ) -> Measured:
        """The same with bootstrap intervals."""
        found = intervals(
            self.outcome(one, members, thresholds),
            one.objective,
            seed=self.settings.seed,
            resamples=self.settings.bootstrap.resamples,
        )
        return replace(
            self.measured(one, members, thresholds),
            score_interval=found.score,
            cost_interval=found.cost,
        )

    def single(self, model: int) -> SingleModel:
        name = self.selection.pool.names[model]
        return SingleModel(
            name=name,
            selection=self.measured(self.selection, [name], []),
            report=self.with_intervals(self.report, [name], []),
        )

    def front_row(self, point: FrontPoint) -> FrontRow:
        names = [self.selection.pool.names[m] for m in point.members]
        here = self.measured(self.selection, names, point.thresholds)
        there = self.measured(self.report, names, point.thresholds)
        return FrontRow(
            stages=names,
            thresholds=list(point.thresholds),
            exit_rates=here.exit_rates,
            cost=point.cost,
            worst_case_cost=point.worst_case_cost,
            score=point.score,
            improvement=here.improvement,
            report_cost=there.cost,
            report_score=there.score,
        )

    def operating_point(self, rule: str, point: FrontPoint | NotFeasible) -> OperatingPoint:
        if isinstance(point, NotFeasible):
            return OperatingPoint(rule=rule, feasible=False, reason=point.reason)
        names = [self.selection.pool.names[m] for m in point.members]
        return OperatingPoint(
            rule=rule,
            feasible=True,
            stages=names,
            thresholds=list(point.thresholds),
            worst_case_cost=point.worst_case_cost,
            selection=self.measured(self.selection, names, point.thresholds),
            report=self.with_intervals(self.report, names, point.thresholds),
        )

    def sweep_curve(self, point: OperatingPoint) -> SweepCurve | None:
        """Every first threshold of the chosen cascade, the later ones held, on both splits."""
        if len(point.stages) < 2:
            return None
        sweeps = {}
        for split, one in (("selection", self.selection), ("report", self.report)):
            indices = tuple(one.pool.names.index(name) for name in point.stages)
            table = table_of(one.pool, indices, self.accounting)
            sweeps[split] = sweep_first(table, point.thresholds[1:], self.compare)
        thresholds = sweeps["selection"].thresholds
        cost, score = {}, {}
        for split, one in (("selection", self.selection), ("report", self.report)):
            sweep = sweeps[split]
            # the first setting of this split at or above each threshold of the selection split
            at = np.minimum(
                np.searchsorted(sweep.thresholds, thresholds), len(sweep.thresholds) - 1
            )
            cost[split] = (sweep.total_cost[at] / one.pool.size).tolist()
            score[split] = one.objective.score(sweep.totals[at], one.pool.size).tolist()
        return SweepCurve(thresholds=thresholds.tolist(), cost=cost, score=score)


def _operating_points(
    front: list[FrontPoint], runs: _Runs, settings: EvaluateConfig
) -> dict[str, OperatingPoint]:
    threshold = settings.threshold
    selection = runs.selection
    reference, reference_score = _reference_score(selection, threshold.reference)
    goals = Goals(
        baseline=selection.baseline,
        reference=reference,
        reference_score=reference_score,
        tolerance=threshold.tolerance,
        target_cost=threshold.target_cost,
        target_accuracy=threshold.target_accuracy,
        worst_case_cost=threshold.worst_case_cost,
    )
    points = {r: runs.operating_point(r, select(r, front, goals)) for r in rules_of(settings)}
    scores, costs = scores_and_costs(front)
    peaks = local_maxima(scores, costs, selection.baseline, threshold.local)
    for number, peak in enumerate(peaks, start=1):
        rule = f"local_maximum_{number}"
        points[rule] = runs.operating_point(rule, front[peak.index])
    return points


def _figures(
    rows: list[FrontRow], selection: OneSplit, report: OneSplit
) -> dict[str, FrontFigures]:
    seen = {
        "selection": (selection, [r.score for r in rows], [r.cost for r in rows]),
        "report": (report, [r.report_score for r in rows], [r.report_cost for r in rows]),
    }
    figures = {}
    for split, (one, scores, costs) in seen.items():
        peak = max_improvement(scores, costs, one.baseline)
        best, gain = top_score(scores, one.baseline)
        figures[split] = FrontFigures(
            average_improvement=average_improvement(scores, costs, one.baseline),
            accuracy_range=(one.baseline.low, one.baseline.top),
            max_improvement=peak.factor if peak else None,
            max_improvement_score=peak.score if peak else None,
            top_score=best,
            top_gain=gain,
        )
    return figures


def _reliability(role: str, one: OneSplit) -> list[ReliabilityRow]:
    """How well each model's confidence tells right from wrong on one split."""
    pool = one.pool
    recorded = pool.metric == "recorded"
    softmax = pool if recorded else replace(pool, metric="max_softmax", ensemble="none")
    rows = []
    for m, name in enumerate(pool.names):
        stage = pool.stage((m,))
        right = stage.prediction == pool.labels
        rows.append(
            ReliabilityRow(
                model=name,
                split=role,
                score=float(one.objective.score(stage.statistics.sum(axis=0), pool.size)),
                dis=dis(stage.confidence, right),
                ece=ece(softmax.stage((m,)).confidence, right),
                auroc=auroc(stage.confidence, right),
            )
        )
    return rows


def _reference_score(one: OneSplit, reference: str) -> tuple[str, float]:
    """The model that ``match_accuracy`` keeps the score of, and that score."""
    names = one.pool.names
    scores = {
        name: float(one.objective.score(one.pool.stage((m,)).statistics.sum(axis=0), one.pool.size))
        for m, name in enumerate(names)
    }
    if reference == "best":
        best = max(names, key=lambda name: scores[name])
        return best, scores[best]
    if reference not in scores:
        raise CascadeError(
            f"threshold.reference={reference}: expected best or a model of the pool "
            f"({', '.join(names)}){did_you_mean(reference, names)}"
        )
    return reference, scores[reference]
