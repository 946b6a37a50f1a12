"""Many settings of one cascade applied at once: how many examples leave where, and with what score.

``StageTable.run`` applies one setting literally, in O(N n). Here the P settings of a cascade of n
stages are answered together by counting: an example is deferred past stage i iff it is below the
thresholds of all stages up to i, so that what stage i + 1 changes is a sum over the examples that a
setting dominates in i + 1 coordinates. O((N + P) log N) for up to three stages, a factor log P more
for every further one; with one threshold for all stages O(N n log P) whatever their number. The
counts are integers: they are those of ``run`` to the last example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.search.kernels.dominance import sum_dominated
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.stages import Compare, Floats, Ints
from cascade_exp.cascade.sweep import total_cost

FEW = 4
"""Queries up to which examples are looked at one query at a time."""

Ranks = NDArray[np.int32]


@dataclass(frozen=True)
class Applied:
    """What P settings of one cascade of n stages do to N examples.

    Attributes:
        left: int64 [P, n], examples that leave at each stage.
        totals: int64 [P, S], the objective's summands over all examples.
        cost: float64 [P], total cost of all examples (``sweep.total_cost``).

    >>> from cascade_exp.cascade.examples import three_models
    >>> source = Source(three_models(), "ge")
    >>> apply_settings(source, (0, 2), np.array([[1.0]])).cost.tolist()
    [9.0]
    """

    left: Ints
    totals: Ints
    cost: Floats


def apply_settings(
    source: Source,
    members: tuple[int, ...],
    thresholds: Floats,
    accounting: Accounting = "cumulative",
) -> Applied:
    """Apply P settings to the cascade ``members``.

    reached[p, i] = #{x : confidence_j[x] < thresholds[p, j] for all j < i} (``gt``: <=), and
    totals[p] = Σ_x statistics_0[x] + Σ_i Σ_{x reaches i} (statistics_i[x] - statistics_{i-1}[x]).

    Args:
        source: the stages of a pool, with the exit rule.
        thresholds: float64 [P, n - 1], no NaN.

    >>> from cascade_exp.cascade.examples import three_models
    >>> source = Source(three_models(), "ge")
    >>> found = apply_settings(source, (0, 2), np.array([[-np.inf], [1.0], [np.inf]]))
    >>> found.left.tolist(), found.totals.tolist(), found.cost.tolist()
    ([[4, 0], [3, 1], [0, 4]], [[2], [3], [4]], [4.0, 9.0, 24.0])
    """
    table = source.table(members, accounting)
    statistics = [stage.statistics for stage in table.stages]
    number, stages = len(thresholds), len(members)
    reached = np.full((number, stages), source.size, dtype=np.int64)
    totals = np.tile(statistics[0].sum(axis=0), (number, 1))
    shared = bool(np.all(thresholds == thresholds[:, :1]))
    highest = np.full(source.size, -np.inf)
    points: list[Ranks] = []
    queries = np.zeros((number, 0), dtype=np.int32)
    for i in range(1, stages):
        if shared:  # deferred by all stages so far iff their highest confidence is below
            highest = np.maximum(highest, table.stages[i - 1].confidence)
            level, at = _levels(highest, thresholds[:, 0], source.compare)
            points, queries = [level], at[:, None]
        else:
            level, at = _levels_by_order(source, members[:i], thresholds[:, i - 1])
            points, queries = [*points, level], np.column_stack([queries, at])
        change = statistics[i] - statistics[i - 1]
        weights = np.column_stack([np.ones(source.size, dtype=np.int64), change])
        sums = np.zeros((number, weights.shape[1]), dtype=np.int64)
        _add_dominated(points, weights, queries, np.arange(number), sums)
        reached[:, i] = sums[:, 0]
        totals += sums[:, 1:]
    left = reached - np.append(reached[:, 1:], np.zeros((number, 1), dtype=np.int64), axis=1)
    return Applied(left, totals, total_cost(reached, table.cost, accounting))


def _levels(confidence: Floats, thresholds: Floats, compare: Compare) -> tuple[Ranks, Ranks]:
    """Ranks of examples and settings on one axis: x is deferred at p iff level[x] <= at[p].

    ``level`` int32 [N]: the first distinct threshold that defers each example; ``at`` int32 [P].
    """
    distinct, at = np.unique(thresholds, return_inverse=True)
    side = "right" if compare == "ge" else "left"
    level = np.searchsorted(distinct, confidence, side)  # type: ignore[call-overload]
    return level.astype(np.int32), at.reshape(-1).astype(np.int32)


def _levels_by_order(
    source: Source, prefix: tuple[int, ...], thresholds: Floats
) -> tuple[Ranks, Ranks]:
    """:func:`_levels` of the stage after ``prefix``, whose examples are sorted once for all."""
    ordering = source.ordering(prefix)
    distinct, at = np.unique(thresholds, return_inverse=True)
    side = "left" if source.compare == "ge" else "right"
    deferred = np.searchsorted(ordering.confidence, distinct, side)  # type: ignore[call-overload]
    counts = np.diff(deferred, prepend=0, append=source.size)
    level = np.empty(source.size, dtype=np.int32)
    level[ordering.order] = np.repeat(np.arange(len(distinct) + 1, dtype=np.int32), counts)
    return level, at.reshape(-1).astype(np.int32)


def _add_dominated(
    points: Sequence[Ranks], weights: Ints, queries: Ranks, rows: Ints, sums: Ints
) -> None:
    """Add to ``sums[rows[p]]`` the weights of the points that query p dominates on every axis.

    Up to two axes by one kernel. More are halved at the middle of the first axis: the points of its
    lower half are on the first axis below every query of the upper half, so that one axis less is
    left of those; the rest are two halves of the problem.

    Args:
        points: int32 [N] on each of d axes. weights: int64 [N, W].
        queries: int32 [P, d]. rows: int64 [P]. sums: int64 [., W].
    """
    if len(queries) == 0 or len(weights) == 0:
        return
    if len(points) <= 2:
        second, at_second = points[-1], queries[:, -1]
        if len(points) == 1:
            second, at_second = np.zeros_like(points[0]), np.zeros_like(queries[:, 0])
        found = np.zeros((len(queries), weights.shape[1]), dtype=np.int64)
        first, at_first = points[0], np.ascontiguousarray(queries[:, 0])
        sum_dominated(first, second, weights, at_first, np.ascontiguousarray(at_second), found)
        sums[rows] += found
        return
    if len(queries) <= FEW:
        for row, query in zip(rows.tolist(), queries, strict=True):
            inside = np.logical_and.reduce([a <= q for a, q in zip(points, query, strict=True)])
            sums[row] += weights[inside].sum(axis=0)
        return
    middle = (int(queries[:, 0].min()) + int(queries[:, 0].max())) // 2
    upper, below = queries[:, 0] > middle, points[0] <= middle
    lower = [axis[below] for axis in points]
    if not upper.any():  # all queries lie at ``middle``: this axis is decided
        _add_dominated(lower[1:], weights[below], queries[:, 1:], rows, sums)
        return
    _add_dominated(lower[1:], weights[below], queries[upper, 1:], rows[upper], sums)
    _add_dominated(lower, weights[below], queries[~upper], rows[~upper], sums)
    above = [axis[~below] for axis in points]
    _add_dominated(above, weights[~below], queries[upper], rows[upper], sums)
