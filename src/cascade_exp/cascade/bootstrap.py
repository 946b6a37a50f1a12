"""Percentile bootstrap: the uncertainty of a score and a mean cost, given their examples.

Examples are drawn with replacement; thresholds, models and their order stay as they were chosen, so
what an interval covers is the finite split alone. A guarantee about the choice itself is in
``guaranteed``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.objective import Objective
from cascade_exp.cascade.stages import Floats, Ints, Outcome
from cascade_exp.errors import CascadeError

Interval = tuple[float, float]

LEVEL = 0.95
RESAMPLES = 2000
_COUNTS_AT_ONCE = 2**22  # bounds the counts held in memory to 32 MiB


@dataclass(frozen=True)
class Intervals:
    """95 % intervals (low, high) of the score and of the mean cost per example.

    >>> from cascade_exp.cascade.objective import Accuracy
    >>> zeros = np.zeros(50, np.int64)
    >>> always = Outcome(zeros, zeros, np.ones((50, 1), np.int64), np.ones(50), np.ones(1))
    >>> intervals(always, Accuracy(), seed=0)
    Intervals(score=(1.0, 1.0), cost=(1.0, 1.0))
    """

    score: Interval
    cost: Interval


@dataclass(frozen=True)
class PairedIntervals:
    """95 % intervals of the score and of the mean cost, each minus the reference's.

    >>> from cascade_exp.cascade.objective import Accuracy
    >>> zeros, ones = np.zeros((50, 1), np.int64), np.ones((50, 1), np.int64)
    >>> large, small = (
    ...     Outcome(zeros[:, 0], zeros[:, 0], right, cost * np.ones(50), np.ones(1))
    ...     for right, cost in ((ones, 3.0), (zeros, 1.0))
    ... )
    >>> paired_intervals(small, large, Accuracy(), seed=0)
    PairedIntervals(score_difference=(-1.0, -1.0), cost_difference=(-2.0, -2.0))
    """

    score_difference: Interval
    cost_difference: Interval


def intervals(
    outcome: Outcome, objective: Objective, seed: int, resamples: int = RESAMPLES
) -> Intervals:
    """Percentile bootstrap intervals of one cascade's outcome on N examples.

    The 2.5 % and 97.5 % quantiles of the score and of the mean cost over ``resamples`` draws of N
    examples with replacement. Source: Efron 1979; percentile method, linear between order
    statistics.

    >>> from cascade_exp.cascade.objective import Accuracy
    >>> right = np.array([[1], [1], [1], [0]] * 25)
    >>> cost, stage = np.ones(100), np.zeros(100, np.int64)
    >>> found = intervals(Outcome(stage, stage, right, cost, np.ones(1)), Accuracy(), seed=0)
    >>> found.score[0] < 0.75 < found.score[1], found.cost
    (True, (1.0, 1.0))

    Raises:
        CascadeError: if there is no example.
    """
    score, cost = _resample([outcome], objective, seed, resamples)[0]
    return Intervals(score=_percentiles(score), cost=_percentiles(cost))


def paired_intervals(
    outcome: Outcome,
    reference: Outcome,
    objective: Objective,
    seed: int,
    resamples: int = RESAMPLES,
) -> PairedIntervals:
    """The same for the difference from ``reference``, on the same N examples in the same order.

    Both are evaluated on the same resampled examples, so what they share cancels out.

    >>> from cascade_exp.cascade.objective import Accuracy
    >>> stage = np.zeros(100, np.int64)
    >>> one = Outcome(stage, stage, np.array([[1], [0]] * 50), np.ones(100), np.ones(1))
    >>> paired_intervals(one, one, Accuracy(), seed=0)
    PairedIntervals(score_difference=(0.0, 0.0), cost_difference=(0.0, 0.0))

    Raises:
        CascadeError: if there is no example, or if the numbers of examples differ.
    """
    if len(outcome.cost) != len(reference.cost):
        raise CascadeError(
            f"a paired interval needs the same examples twice: found {len(outcome.cost)} and "
            f"{len(reference.cost)}"
        )
    (score, cost), (other_score, other_cost) = _resample(
        [outcome, reference], objective, seed, resamples
    )
    return PairedIntervals(
        score_difference=_percentiles(score - other_score),
        cost_difference=_percentiles(cost - other_cost),
    )


def _percentiles(values: Floats) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _resample(
    outcomes: list[Outcome], objective: Objective, seed: int, resamples: int
) -> list[tuple[Floats, Floats]]:
    """Score [R] and mean cost [R] of each outcome, on the same R resamples of the N examples.

    A resample matters only through how often each distinct example occurs in it, and those counts
    are multinomial(N, shares of the distinct examples): drawing them is the same as drawing N
    examples, and takes no time where few are distinct, as they are after a cascade.
    """
    size = len(outcomes[0].cost)
    if size == 0:
        raise CascadeError("a bootstrap interval needs at least one example, found none")
    group, first = _distinct(outcomes)
    rng = np.random.default_rng(seed)
    drawn: list[list[tuple[Floats, Floats]]] = []
    block = max(1, _COUNTS_AT_ONCE // len(first))
    for start in range(0, resamples, block):
        count = _draw(group, len(first), min(block, resamples - start), rng)
        drawn.append([_measure(count, outcome, first, objective) for outcome in outcomes])
    return [
        (np.concatenate([score for score, _ in parts]), np.concatenate([cost for _, cost in parts]))
        for parts in zip(*drawn, strict=True)
    ]


def _distinct(outcomes: list[Outcome]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Group [N] of each example, and the first example [D] of each group: alike in all outcomes.

    Rows are compared by a random linear hash modulo 2^64 in one pass, and the groups are checked.
    Should two unlike rows ever meet, every example becomes a group of its own: slower, as right.
    """
    size = len(outcomes[0].cost)
    columns = [part for o in outcomes for part in (o.statistics, o.cost.view(np.int64)[:, None])]
    factors = np.random.default_rng(0)
    key = np.zeros(size, dtype=np.int64)
    for column in columns:
        key += column @ factors.integers(-(2**63), 2**63, column.shape[1], dtype=np.int64)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    if all(np.array_equal(column[first[group]], column) for column in columns):
        return group, first
    return np.arange(size), np.arange(size)


def _draw(
    group: NDArray[np.intp], distinct: int, resamples: int, rng: np.random.Generator
) -> Floats:
    """How often each distinct example occurs in each resample, float64 [R, D], whole numbers."""
    size = len(group)
    if distinct * 20 <= size:  # about where a multinomial draw gets costlier than N indices
        shares = np.bincount(group, minlength=distinct) / size
        return rng.multinomial(size, shares, size=resamples).astype(np.float64)
    picked = (group[rng.integers(0, size, size)] for _ in range(resamples))
    return np.stack([np.bincount(one, minlength=distinct) for one in picked]).astype(np.float64)


def _measure(
    count: Floats, outcome: Outcome, first: NDArray[np.intp], objective: Objective
) -> tuple[Floats, Floats]:
    """Score [R] and mean cost [R] of resamples given as counts [R, D] of the examples ``first``."""
    size = len(outcome.cost)
    # Sums of counts stay far below 2^53, so the float product (BLAS) is exact.
    totals: Ints = np.rint(count @ outcome.statistics[first].astype(np.float64)).astype(np.int64)
    return objective.score(totals, size), count @ outcome.cost[first] / size
