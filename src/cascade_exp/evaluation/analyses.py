"""The analyses beside an evaluation, from what it already holds; everything on the report split.

The science is ``cascade.reliability`` and ``cascade.reference_curves``; here its functions meet the
pools, the chosen operating point and the search. Nothing is written here.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from cascade_exp.cascade.costs import exit_costs
from cascade_exp.cascade.frontier import (
    average_improvement,
    improvement_factor,
    scores_and_costs,
)
from cascade_exp.cascade.reference_curves import (
    ConfidentAccuracy,
    ReferenceCurve,
    ideal_deferral,
    ideal_front,
    leave_iff_right,
    most_confident,
    random_deferral,
)
from cascade_exp.cascade.reliability import (
    ReliabilityCurve,
    RiskCoverage,
    ThresholdCurve,
    agreement,
    exit_rates_by_class,
    levels_of,
    reliability_curve,
    risk_coverage,
    threshold_curve,
    wrong_exits,
)
from cascade_exp.cascade.stages import Compare, Floats, Ints, Outcome, StageTable
from cascade_exp.cascade.sweep import ordering_of, sweep_first
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.evaluation.pools import BothSplits, OneSplit
from cascade_exp.evaluation.pricing import AUTO, unit_of
from cascade_exp.evaluation.searching import Searching
from cascade_exp.recordings.outputs import ABSENT
from cascade_exp.recordings.previews import read_class_names
from cascade_exp.report.results.analyses_schema import (
    Analyses,
    CascadeAnalyses,
    ChosenThreshold,
    ClassExits,
    Deferral,
    EarlyError,
    ModelCurves,
    OracleRow,
    Reoptimised,
    StagePair,
)
from cascade_exp.report.results.published import PublishedPoint, published_points
from cascade_exp.report.results.schema import OperatingPoint
from cascade_exp.schema.evaluating import CommonConfig

# Points that are kept of any one curve; a picture shows no more.
THINNED = 300
# Early errors that are listed, the most confident of them.
LISTED = 200

_Curve = TypeVar(
    "_Curve", ReliabilityCurve, ThresholdCurve, RiskCoverage, ConfidentAccuracy, ReferenceCurve
)


def analyse(measuring: Measuring, searching: Searching, chosen: OperatingPoint | None) -> Analyses:
    """The analyses of one evaluation, on its report split.

    Every curve is thinned to at most ``THINNED`` of its points, evenly spread by their place, both
    ends kept; areas and averages are taken before that.

    Args:
        measuring: the two splits, and how settings are applied to them.
        searching: the search of the evaluation, which is run again on the report split.
        chosen: the chosen operating point; None, or a single model: what needs two stages is left
            out.
    """
    splits = measuring.splits
    cascade = chosen if chosen is not None and len(chosen.stages) > 1 else None
    same = splits.selection.name == splits.report.name
    return Analyses(
        models=[_model(splits, m, cascade) for m in range(len(splits.report.models.names))],
        cascade=None if cascade is None else _cascade(measuring, cascade),
        reoptimised=None if same else _reoptimised(splits.report, searching),
        published=_published(splits.settings),
    )


def check_published(settings: CommonConfig) -> None:
    """Refuse to draw published points beside numbers that they cannot be compared with.

    The unit of a column that is still to be chosen is left to a second call once it is known.

    Raises:
        CascadeError: naming the key: no such data set, another unit of cost, another score.
    """
    points = _published(settings)
    if not points:
        return
    if not settings.analyses:
        raise CascadeError(
            f"published={settings.published} is drawn among the analyses, but analyses=false"
        )
    units = sorted({point.cost_unit for point in points})
    if unit_of(settings.cost) not in (AUTO, *units):
        raise CascadeError(
            f"published={settings.published} gives costs in {' and '.join(units)}, but "
            f"these are in {unit_of(settings.cost)} (cost={settings.cost.name})"
        )
    if settings.objective.name != "accuracy":
        raise CascadeError(
            f"published={settings.published} gives accuracies, but "
            f"objective={settings.objective.name}"
        )


def _published(settings: CommonConfig) -> list[PublishedPoint]:
    return [] if settings.published is None else published_points(settings.published)


def _model(splits: BothSplits, m: int, cascade: OperatingPoint | None) -> ModelCurves:
    pool = splits.report.models
    stage = splits.report.scored.stage((m,))
    levels = levels_of(stage.confidence, stage.prediction == pool.labels)
    return ModelCurves(
        model=pool.names[m],
        reliability=_thin(reliability_curve(levels)),
        threshold=_thin(threshold_curve(levels)),
        risk_coverage=_thin(risk_coverage(levels)),
        most_confident=_thin(most_confident(levels)),
        chosen=_own_threshold(splits, cascade, pool.names[m], stage.confidence),
    )


def _own_threshold(
    splits: BothSplits, cascade: OperatingPoint | None, model: str, confidence: Floats
) -> ChosenThreshold | None:
    """The cascade's threshold on ``model``'s own confidence.

    None where there is none: an ensemble's is not the model's own, nor is one on another quantity.
    """
    settings, report = splits.settings, splits.report
    if report.pool.confidence != report.scored.confidence:
        return None
    stages = [] if cascade is None else cascade.stages[:-1]
    if cascade is None or model not in stages:
        return None
    place = stages.index(model)
    if place > 0 and settings.ensemble.name != "none":
        return None
    threshold = cascade.thresholds[place]
    strict = settings.threshold.compare == "gt"
    leaves = confidence > threshold if strict else confidence >= threshold
    return ChosenThreshold(threshold, int(np.sum(~leaves)))


def _cascade(measuring: Measuring, chosen: OperatingPoint) -> CascadeAnalyses:
    one = measuring.splits.report
    members = measuring.members(one, chosen.stages)
    table = measuring.table(one, members)
    outcome = table.run(chosen.thresholds, measuring.compare)
    labels = one.models.labels
    answers = [stage.prediction for stage in table.stages]
    n = len(answers)
    return CascadeAnalyses(
        stages=list(chosen.stages),
        deferral=_deferral(one, table, chosen.thresholds, measuring.compare, outcome),
        agreements=[
            StagePair(chosen.stages[i], chosen.stages[j], agreement(answers[i], answers[j], labels))
            for i in range(n)
            for j in range(i + 1, n)
        ],
        wrong_exits=wrong_exits(outcome, answers[-1], labels),
        exits_by_class=_exits_by_class(measuring.splits, outcome),
        early_errors=_early_errors(measuring.splits, table, outcome),
    )


def _early_errors(splits: BothSplits, table: StageTable, outcome: Outcome) -> list[EarlyError]:
    labels = splits.report.models.labels
    last = len(table.stages) - 1
    confidence = np.stack([stage.confidence for stage in table.stages])
    shown = confidence[outcome.exit_stage, np.arange(len(labels))]
    wrong = np.flatnonzero((outcome.exit_stage < last) & (outcome.prediction != labels))
    read = splits.recordings.split(splits.report.name)
    ids, absent = read.ids, read.absent_from

    def answer(prediction: int) -> int:
        return ABSENT if absent is not None and prediction >= absent else prediction

    return [
        EarlyError(
            example=int(n) if ids is None else ids[n].item(),
            label=int(labels[n]),
            answer=answer(int(outcome.prediction[n])),
            last_answer=answer(int(table.stages[last].prediction[n])),
            stage=int(outcome.exit_stage[n]),
            confidence=float(shown[n]),
        )
        for n in wrong[np.argsort(-shown[wrong], kind="stable")][:LISTED]
    ]


def _deferral(
    one: OneSplit, table: StageTable, thresholds: list[float], compare: Compare, outcome: Outcome
) -> Deferral:
    paid = exit_costs(table.cost, table.accounting)
    size = one.pool.size
    sweep = sweep_first(table, thresholds[1:], compare)
    kept = _spread(len(sweep.cutoffs))
    alone = [one.objective.score(s.statistics.sum(axis=0), size) for s in table.stages]
    rates = _exit_rates(table, thresholds[1:], compare, sweep.cutoffs[kept])
    ideal, best = None, None
    if one.objective.additive:
        right = np.stack([stage.statistics[:, 0] > 0 for stage in table.stages])
        known = ideal_deferral if len(table.stages) == 2 else ideal_front
        ideal, best = _thin(known(right, paid)), leave_iff_right(right, paid)
    return Deferral(
        threshold=sweep.thresholds[kept],
        cascade=ReferenceCurve(
            cost=sweep.total_cost[kept] / size, score=one.objective.score(sweep.totals[kept], size)
        ),
        random=random_deferral(alone, paid, rates),
        ideal=ideal,
        leave_iff_right=best,
        chosen=(float(outcome.cost.mean()), one.score(outcome)),
    )


def _exit_rates(
    table: StageTable, later_thresholds: list[float], compare: Compare, cutoffs: Ints
) -> Floats:
    """Share of examples leaving at each stage, float64 [V, n], the ``cutoffs`` [V] least
    confident of the first stage being deferred and the later thresholds held."""
    later = StageTable(table.names[1:], table.stages[1:], table.cost[1:], table.accounting)
    stage = later.run(later_thresholds, compare).exit_stage + 1
    order = ordering_of(table.stages[0].confidence, compare).order
    left = stage[order, None] == np.arange(len(table.stages))
    counts = np.concatenate([np.zeros_like(left[:1], np.int64), np.cumsum(left, axis=0)])[cutoffs]
    counts[:, 0] = len(order) - cutoffs
    rates: Floats = counts / len(order)
    return rates


def _exits_by_class(splits: BothSplits, outcome: Outcome) -> list[ClassExits]:
    """Per class that has examples, in the order of the classes."""
    pool = splits.report.models
    rates = exit_rates_by_class(outcome, pool.labels, pool.classes)
    names = _class_names(splits)
    return [
        ClassExits(label, names[label] if names else None, count, rates[label].tolist())
        for label, count in enumerate(np.bincount(pool.labels, minlength=pool.classes).tolist())
        if count
    ]


def _class_names(splits: BothSplits) -> list[str] | None:
    """The K classes' names, of ``classes.txt`` or of a file beside a recording, if there is one."""
    given = read_class_names(splits.recordings.path, splits.report.models.classes)
    if given is not None:
        return given
    folder = splits.recordings.path / splits.report.name
    for name in splits.report.models.names:
        try:
            about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            names = about["model"]["classes"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # foreign recordings say nothing about their models
        if isinstance(names, list) and len(names) == splits.report.models.classes:
            return [str(name) for name in names]
    return None


def _reoptimised(report: OneSplit, searching: Searching) -> Reoptimised:
    found = searching.front(report)
    scores, costs = scores_and_costs(found.front)
    factors = improvement_factor(scores, costs, report.baseline)
    return Reoptimised(
        rows=[
            OracleRow(
                stages=[report.pool.names[m] for m in point.members],
                thresholds=list(point.thresholds),
                cost=point.cost,
                worst_case_cost=point.worst_case_cost,
                score=point.score,
                improvement=None if np.isnan(factor) else float(factor),
            )
            for point, factor in zip(found.front, factors, strict=True)
        ],
        average_improvement=average_improvement(scores, costs, report.baseline),
        exact=found.exact,
    )


def _thin(curve: _Curve) -> _Curve:
    """At most ``THINNED`` points of a curve, whose arrays [M] are all of one length."""
    values = {field.name: getattr(curve, field.name) for field in fields(curve)}
    arrays = {name: array for name, array in values.items() if isinstance(array, np.ndarray)}
    kept = _spread(len(next(iter(arrays.values()))))
    thinned: dict[str, Any] = {name: array[kept] for name, array in arrays.items()}
    return replace(curve, **thinned)


def _spread(n: int) -> Ints:
    """At most ``THINNED`` places out of n, evenly spread, both ends included."""
    return np.unique(np.linspace(0, n - 1, min(n, THINNED)).round().astype(np.int64))
