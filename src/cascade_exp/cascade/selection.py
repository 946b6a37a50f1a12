"""Choosing one setting of a Pareto front by a rule, on the split the front was found on.

A rule is one function declared by :func:`rule`. Searching lives in ``search``, the tests behind
``guaranteed`` in ``guaranteed``; a setting that was given or tested elsewhere passes through here
so that every rule is asked for in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cascade_exp.cascade.frontier import (
    SCORE_SLACK,
    Baseline,
    FrontPoint,
    max_improvement,
    scores_and_costs,
)
from cascade_exp.errors import CascadeError, choice

# Costs are sums and means of floats: only the rounding of two ways of adding up is evened out.
COST_SLACK = 1e-12


@dataclass(frozen=True)
class NotFeasible:
    """Why a rule chose nothing: one sentence with the numbers.

    >>> select(
    ...     "target_cost",
    ...     [FrontPoint((0,), (), 2.0, 0.7, 2.0)],
    ...     Goals(Baseline.of([0.7], [2.0]), "a", 0.7, target_cost=1.0),
    ... )
    NotFeasible(reason='no setting costs at most 1; the cheapest costs 2')
    """

    reason: str


@dataclass(frozen=True)
class Goals:
    """What the rules aim at.

    Attributes:
        baseline: the single-model baseline of the split at hand.
        reference: what ``match_accuracy`` must keep the score of, by name.
        reference_score: its score on the split at hand. tolerance: how much may be lost.
        target_cost: largest mean cost. target_accuracy: least score.
        worst_case_cost: largest cost of running every stage, for every rule.
        given: by rule, a setting that was given (``fixed``) or tested (``guaranteed``) elsewhere.

    >>> Goals(Baseline.of([0.7, 0.9], [1.0, 3.0]), "large", 0.9).tolerance
    0.0
    """

    baseline: Baseline
    reference: str
    reference_score: float
    tolerance: float = 0.0
    target_cost: float | None = None
    target_accuracy: float | None = None
    worst_case_cost: float | None = None
    given: Mapping[str, FrontPoint | NotFeasible] = field(default_factory=dict)


Choice = FrontPoint | NotFeasible
RuleFunction = Callable[[Sequence[FrontPoint], Goals], Choice]


@dataclass(frozen=True)
class Rule:
    """How one setting is chosen.

    Attributes:
        name: its name in ``threshold.rules``.
        choose: the choice out of settings, at least one, all within the worst-case limit.
        goal: the key of ``threshold`` and of :class:`Goals` that it needs; None: it needs none.

    >>> RULES["target_cost"].goal, RULES["match_accuracy"].goal
    ('target_cost', None)
    """

    name: str
    choose: RuleFunction
    goal: str | None = None


RULES: dict[str, Rule] = {}
ELSEWHERE = ("fixed", "guaranteed")
"""Rules whose setting is given or tested elsewhere, see :class:`Goals`."""


def rule(name: str, goal: str | None = None) -> Callable[[RuleFunction], RuleFunction]:
    """Declare the decorated function a rule; see :class:`Rule`.

    >>> RULES["max_improvement"].choose is largest_improvement
    True
    """

    def declare(function: RuleFunction) -> RuleFunction:
        RULES[name] = Rule(name, function, goal)
        return function

    return declare


def check_rule(name: str, goals: Mapping[str, object]) -> None:
    """Raise :class:`CascadeError` unless there is such a rule and ``goals`` has what it needs.

    >>> check_rule("target_cost", {"target_cost": 2.0})
    >>> check_rule("target_cost", {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: threshold.rules names target_cost, but ...
    """
    choice(name, [*RULES, *ELSEWHERE], "threshold.rules")
    goal = RULES[name].goal if name in RULES else None
    if goal is not None and goals.get(goal) is None:
        raise CascadeError(f"threshold.rules names {name}, but threshold.{goal} is not set")


def select(name: str, front: Sequence[FrontPoint], goals: Goals) -> Choice:
    """The setting of ``front`` that the rule of this name chooses, or why none.

    The Pareto front should have been searched under ``goals.worst_case_cost``; settings above it
    are left out here as well, but what they dominated is not brought back.

    >>> front = [FrontPoint((0,), (), 1.0, 0.7, 1.0), FrontPoint((0, 1), (0.5,), 2.0, 0.9, 4.0)]
    >>> goals = Goals(Baseline.of([0.7, 0.9], [1.0, 3.0]), "big", 0.9)
    >>> select("match_accuracy", front, goals).members
    (0, 1)

    Raises:
        CascadeError: if there is no such rule, or if it needs a goal that is not set.
    """
    check_rule(name, vars(goals))
    limit = goals.worst_case_cost
    if name in ELSEWHERE:
        return _given(name, goals)
    allowed = [point for point in front if limit is None or _at_most(_worst(point), limit)]
    if allowed:
        return RULES[name].choose(allowed, goals)
    if limit is None:
        return NotFeasible("the front is empty")
    least = f"; the least on the front is {min(map(_worst, front)):.8g}" if front else ""
    return NotFeasible(f"no setting has a worst-case cost of at most {limit:.8g}{least}")


def _given(name: str, goals: Goals) -> Choice:
    """What ``goals.given`` holds for the rule, within the worst-case limit."""
    if name not in goals.given:
        raise CascadeError(f"threshold.rules names {name}, but no {name} setting was given")
    point, limit = goals.given[name], goals.worst_case_cost
    if isinstance(point, NotFeasible) or limit is None or _at_most(_worst(point), limit):
        return point
    return NotFeasible(
        f"the {name} setting has a worst-case cost of {_worst(point):.8g}, above {limit:.8g}"
    )


@rule("match_accuracy")
def match_accuracy(front: Sequence[FrontPoint], goals: Goals) -> Choice:
    """Cheapest setting with score >= the reference's minus the tolerance.

    Source: Lebovitz et al. 2023, §3 ("preserving the accuracy of the best model"); Wisdom of
    Committees §4.2 with the full ensemble as the reference.

    >>> front = [FrontPoint((0,), (), 1.0, 0.7, 1.0), FrontPoint((0, 1), (0.5,), 2.0, 0.9, 4.0)]
    >>> goals = Goals(Baseline.of([0.7, 0.9], [1.0, 3.0]), "large", 0.9, tolerance=0.2)
    >>> match_accuracy(front, goals).members
    (0,)
    """
    least = goals.reference_score - goals.tolerance
    lost = f" less {goals.tolerance:.8g}" if goals.tolerance else ""
    return _cheapest(
        front, least, f"keeps the {goals.reference_score:.8g} of {goals.reference}{lost}"
    )


@rule("target_accuracy", goal="target_accuracy")
def target_accuracy(front: Sequence[FrontPoint], goals: Goals) -> Choice:
    """Cheapest setting with score >= ``goals.target_accuracy`` (Wisdom of Committees Eq. 2).

    >>> front = [FrontPoint((0,), (), 1.0, 0.7, 1.0), FrontPoint((0, 1), (0.5,), 2.0, 0.9, 4.0)]
    >>> goals = Goals(Baseline.of([0.7, 0.9], [1.0, 3.0]), "large", 0.9, target_accuracy=0.8)
    >>> target_accuracy(front, goals).cost
    2.0
    """
    assert goals.target_accuracy is not None
    return _cheapest(front, goals.target_accuracy, f"scores at least {goals.target_accuracy:.8g}")


@rule("target_cost", goal="target_cost")
def target_cost(front: Sequence[FrontPoint], goals: Goals) -> Choice:
    """Best score with mean cost <= ``goals.target_cost`` (Wisdom of Committees Eq. 1).

    >>> front = [FrontPoint((0,), (), 1.0, 0.7, 1.0), FrontPoint((0, 1), (0.5,), 2.0, 0.9, 4.0)]
    >>> goals = Goals(Baseline.of([0.7, 0.9], [1.0, 3.0]), "large", 0.9, target_cost=1.5)
    >>> target_cost(front, goals).score
    0.7
    """
    assert goals.target_cost is not None
    limit = goals.target_cost
    affordable = [point for point in front if _at_most(point.cost, limit)]
    if affordable:
        return max(affordable, key=lambda point: (point.score, -point.cost))
    least = min(point.cost for point in front)
    return NotFeasible(f"no setting costs at most {limit:.8g}; the cheapest costs {least:.8g}")


@rule("max_improvement")
def largest_improvement(front: Sequence[FrontPoint], goals: Goals) -> Choice:
    """Largest baseline cost / cost at the setting's own score (Lebovitz et al. 2023, §3).

    >>> front = [FrontPoint((0,), (), 1.0, 0.7, 1.0), FrontPoint((0, 1), (0.5,), 2.0, 0.9, 4.0)]
    >>> goals = Goals(Baseline.of([0.7, 0.9], [1.0, 3.0]), "large", 0.9)
    >>> largest_improvement(front, goals).members
    (0, 1)
    """
    peak = max_improvement(*scores_and_costs(front), goals.baseline)
    if peak is not None:
        return front[peak.index]
    least = min(point.score for point in front)
    return NotFeasible(
        f"no setting scores at most the {goals.baseline.top:.8g} of the best single model, above "
        f"which there is no baseline; the least score is {least:.8g}"
    )


def _cheapest(front: Sequence[FrontPoint], least: float, wish: str) -> Choice:
    """The cheapest setting with score >= ``least`` (of equally cheap ones the best)."""
    enough = [point for point in front if point.score >= least - SCORE_SLACK]
    if enough:
        return min(enough, key=lambda point: (point.cost, -point.score))
    best = max(point.score for point in front)
    return NotFeasible(f"no setting {wish}; the best scores {best:.8g}")


def _at_most(cost: float, limit: float) -> bool:
    return cost <= limit * (1 + COST_SLACK)


def _worst(point: FrontPoint) -> float:
    return point.worst_case_cost
