"""What a cascade's curve is held against: deferral that knows the labels, and deferral by chance.

These are references, not settings: no confidence and no threshold stands behind them. Stages are
given by whether their answers are right, bool [n, N], and by what an example pays that leaves there
(``costs.exit_costs``, [n]). Measures of a confidence live in ``reliability``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cascade_exp.cascade.reliability import Bools, Levels, risk_coverage
from cascade_exp.cascade.stages import Floats
from cascade_exp.errors import CascadeError


@dataclass(frozen=True)
class ReferenceCurve:
    """Mean cost per example and score (a fraction), both float64 [M].

    >>> curve = random_deferral([0.6, 0.8], [1.0, 5.0], [[0.5, 0.5]])
    >>> curve.cost.tolist(), curve.score.tolist()
    ([3.0], [0.7])
    """

    cost: Floats
    score: Floats


def leave_iff_right(correct: Bools, exit_cost: Floats) -> tuple[float, float]:
    """(mean cost, score) when each example leaves at the first of n stages that is right.

    What no stage answers rightly runs them all. No deferral rule over these stages scores more
    (Kolawole et al. (CoE), Prop. 1, meant as r(x) = I[h_1(x) = y] where r = 1 uses h_1; the paper
    prints 1 - I[h_1(x) = y], which by its own definition of r would use h_1 where it is wrong).

    >>> right = np.array([[True, False, False, False], [True, True, False, True]])
    >>> leave_iff_right(right, np.array([1.0, 3.0]))
    (2.5, 0.75)

    Raises:
        CascadeError: if there is no example.
    """
    _check(correct, exit_cost)
    solved = correct.any(axis=0)
    stage = np.where(solved, correct.argmax(axis=0), len(correct) - 1)
    return float(exit_cost[stage].mean()), float(solved.mean())


def ideal_deferral(correct: Bools, exit_cost: Floats) -> ReferenceCurve:
    """Two stages, the right examples leaving first: the best score at each number of exits.

    Point k of 0..N lets k examples leave at the first stage, in this order: right only there, right
    at both, wrong at both, right only later. So it bounds the threshold sweep of the same two
    stages at equal exit rate, whatever the confidence, and passes through :func:`leave_iff_right`
    where k is the first stage's number of right answers (the upper bound of Wang et al. 2020
    (Wisdom of Committees), Fig. A, and of CoE Prop. 1).

    >>> right = np.array([[True, False], [False, True]])
    >>> curve = ideal_deferral(right, np.array([1.0, 3.0]))
    >>> curve.cost.tolist(), curve.score.tolist()
    ([3.0, 2.0, 1.0], [0.5, 1.0, 0.5])

    Raises:
        CascadeError: if there are not two stages, or no example.
    """
    _check(correct, exit_cost)
    if len(correct) != 2:
        raise CascadeError(f"ideal deferral by exit rate needs 2 stages, found {len(correct)}")
    first, second = correct.astype(np.int64)
    gain = np.sort(first - second)[::-1]  # +1, then 0, then -1: any order of the zeros scores alike
    size = len(first)
    right = second.sum() + np.concatenate([[0], np.cumsum(gain)])
    exits = np.arange(size + 1)
    cost = exit_cost[1] + (exit_cost[0] - exit_cost[1]) * (exits / size)
    return ReferenceCurve(cost=cost, score=right / size)


def ideal_front(correct: Bools, exit_cost: Floats) -> ReferenceCurve:
    """The least mean cost of each score that deferral among n stages can reach knowing the labels.

    Every example leaves where that is cheapest, save those that are worth their extra cost: the
    cheapest stage that is right, the smallest extra first. Point m has m more right answers than
    the first; both arrays grow.

    >>> right = np.array([[True, False], [False, True]])
    >>> curve = ideal_front(right, np.array([1.0, 3.0]))
    >>> curve.cost.tolist(), curve.score.tolist()
    ([1.0, 2.0], [0.5, 1.0])

    Raises:
        CascadeError: if there is no example.
    """
    _check(correct, exit_cost)
    least = exit_cost.min()
    mended = np.where(correct, exit_cost[:, None], np.inf).min(axis=0)
    extra = np.sort(mended[np.isfinite(mended)] - least)
    free = np.count_nonzero(extra == 0)
    size = correct.shape[1]
    cost = least + np.concatenate([[0.0], np.cumsum(extra[free:])]) / size
    return ReferenceCurve(cost=cost, score=np.arange(free, len(extra) + 1) / size)


def random_deferral(
    score: ArrayLike, exit_cost: ArrayLike, exit_rates: ArrayLike
) -> ReferenceCurve:
    """Expected cost Σ r_i c_i and score Σ r_i s_i when chance alone decides where one leaves.

    >>> curve = random_deferral([0.6, 0.8], [1.0, 5.0], [[1.0, 0.0], [0.5, 0.5]])
    >>> curve.cost.tolist(), curve.score.round(3).tolist()
    ([1.0, 3.0], [0.6, 0.7])

    Args:
        score: [n] of each stage's answer on all examples. exit_cost: [n].
        exit_rates: [M, n], the chances of leaving at each stage; each row sums to 1.

    Returns:
        M points: for two stages, the straight line between them. A score that is no mean over
        examples (F1) is mixed by convention, as in Lebovitz et al. 2023, Fig. 7.
    """
    rates = np.asarray(exit_rates, dtype=np.float64)
    return ReferenceCurve(
        cost=rates @ np.asarray(exit_cost, dtype=np.float64),
        score=rates @ np.asarray(score, dtype=np.float64),
    )


@dataclass(frozen=True)
class ConfidentAccuracy:
    """Accuracy among the most confident examples, float64 [M] each, shares growing.

    Attributes:
        share: of the examples, at and above each distinct confidence.
        accuracy: among these.
        bound: the best accuracy any confidence of this model could have at this share.

    >>> most_confident([0.9, 0.8], [1, 0]).share.tolist()
    [0.5, 1.0]
    """

    share: Floats
    accuracy: Floats
    bound: Floats


def most_confident(confidence: ArrayLike | Levels, correct: ArrayLike = ()) -> ConfidentAccuracy:
    """Accuracy among the k % most confident examples, for every k that a threshold can pick.

    The bound is min(1, accuracy on all / share): every right answer before any wrong one. Source:
    Wang et al. 2020 (Wisdom of Committees), Fig. A.

    >>> found = most_confident([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    >>> found.accuracy.round(3).tolist(), found.bound.round(3).tolist()
    ([1.0, 0.5, 0.667, 0.5], [1.0, 1.0, 0.667, 0.5])
    """
    curve = risk_coverage(confidence, correct)
    overall = 1 - curve.risk[-1:]
    return ConfidentAccuracy(
        share=curve.coverage,
        accuracy=1 - curve.risk,
        bound=np.minimum(1.0, overall / curve.coverage),
    )


def _check(correct: Bools, exit_cost: Floats) -> None:
    if correct.shape[1] == 0:
        raise CascadeError("a reference curve needs at least one example, found none")
    if len(correct) != len(exit_cost):
        raise CascadeError(f"{len(exit_cost)} exit costs for {len(correct)} stages")
