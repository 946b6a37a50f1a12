"""Operating points by rule: the rules of ``cascade.selection`` fed from the settings of a job."""

from __future__ import annotations

from dataclasses import replace

from cascade_exp.cascade.frontier import FrontPoint, local_maxima, scores_and_costs
from cascade_exp.cascade.guaranteed import guaranteed, loss_differences
from cascade_exp.cascade.selection import Choice, Goals, NotFeasible, select
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.idle import GIVEN, drop_idle, idle_places, named
from cascade_exp.evaluation.learned import deferral_models
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.evaluation.pools import reference_of
from cascade_exp.evaluation.searching import Searching
from cascade_exp.report.results.schema import OperatingPoint
from cascade_exp.schema.evaluating import CommonConfig


def operating_points(
    front: list[FrontPoint], measuring: Measuring, searching: Searching
) -> dict[str, OperatingPoint]:
    """What each rule chooses out of ``front``, in the order given; then the local maxima.

    Raises:
        CascadeError: if a rule lacks the goal it needs.
    """
    settings = measuring.splits.settings
    threshold = settings.threshold
    selection = measuring.splits.selection
    if threshold.worst_case_cost is not None:
        # what a forbidden setting dominated may still be the best allowed one
        front = searching.front(selection, worst_case_cost=threshold.worst_case_cost).front
    reference = reference_of(selection, threshold.reference)
    rules = threshold.rule_names
    given: dict[str, Choice] = {}
    if "fixed" in rules:
        given["fixed"] = _fixed(measuring, searching)
    if "guaranteed" in rules:
        given["guaranteed"] = _guaranteed(measuring.of("guaranteed"), searching)
    goals = Goals(
        baseline=selection.baseline,
        reference=reference.names[0],
        reference_score=selection.score(reference.run([])),
        tolerance=threshold.tolerance,
        target_cost=_target_cost(settings, float(reference.run([]).cost.mean())),
        target_accuracy=threshold.target_accuracy,
        worst_case_cost=threshold.worst_case_cost,
        given=given,
    )
    points = {r: _point(measuring.of(r), r, select(r, front, goals)) for r in rules}
    peaks = local_maxima(*scores_and_costs(front), selection.baseline, threshold.local)
    for number, peak in enumerate(peaks, start=1):
        rule = f"local_maximum_{number}"
        points[rule] = _point(measuring, rule, front[peak.index])
    return points


def _point(measuring: Measuring, rule: str, found: Choice) -> OperatingPoint:
    """What ``rule`` chose, its idle stages dropped with ``threshold.drop_idle``, else marked."""
    if isinstance(found, NotFeasible):
        return measuring.operating_point(rule, found)
    dropped: list[str] = []
    if measuring.splits.settings.threshold.drop_idle and rule not in GIVEN:
        found, dropped = drop_idle(measuring, found)
    idle = named(measuring, found, idle_places(measuring, found))
    fitted = measuring.splits
    pool = fitted.selection.pool
    return replace(
        measuring.operating_point(rule, found),
        idle=idle,
        dropped=dropped,
        temperatures=fitted.temperatures,
        learned=deferral_models(pool, found.members),
    )


def _target_cost(settings: CommonConfig, reference_cost: float) -> float | None:
    """The largest mean cost allowed: given, or a share of the mean cost of the reference model."""
    share = settings.threshold.target_cost_share
    return settings.threshold.target_cost if share is None else share * reference_cost


def _fixed(measuring: Measuring, searching: Searching) -> FrontPoint:
    """The thresholds that were given, on the one cascade that was given."""
    fixed, selection = measuring.splits.settings.threshold.fixed, measuring.splits.selection
    candidates = searching.kind.candidates(selection.stages)
    one = [candidates.named] if candidates.named else candidates.cascades
    if len(one) != 1 or fixed is None:
        raise CascadeError(
            "threshold.rules names fixed: give the cascade and its thresholds, "
            "cascade=stages cascade.stages=[a,b] threshold.fixed=[0.9]"
        )
    given = fixed if isinstance(fixed, list) else [fixed]
    thresholds = searching.kind.thresholds(selection.stages, one[0], given)
    return measuring.point(selection, one[0], thresholds)


def _guaranteed(measuring: Measuring, searching: Searching) -> Choice:
    """Candidates from one half of the selection split, tested on the other (Learn-then-Test)."""
    assert measuring.splits.halves is not None
    searched, tested = measuring.splits.halves
    threshold = measuring.splits.settings.threshold
    candidates = searching.front(searched, worst_case_cost=threshold.worst_case_cost).front
    named = reference_of(searched, threshold.reference).names[0]
    reference = reference_of(tested, named).run([])
    found = guaranteed(
        candidates,
        lambda point: loss_differences(
            reference, measuring.outcome(tested, point.members, point.thresholds)
        ),
        threshold.epsilon,
        threshold.delta,
    )
    if not isinstance(found, FrontPoint):
        return found
    # chosen on the halves; its cost and score are those on the whole selection split
    return measuring.point(measuring.splits.selection, found.members, found.thresholds)
