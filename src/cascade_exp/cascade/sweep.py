"""One cascade at every threshold: cutoffs, their literal thresholds, and what each setting gives.

A threshold acts as a *cutoff*: of the examples sorted by a stage's confidence, the ``a``
least confident are deferred. Only cutoffs that do not part equal confidences are *valid*, and only
they are ever looked at (docs/definitions.md#sweep). Searching many cascades lives in ``search``,
choosing among settings in ``selection``, applying given thresholds in ``stages``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.stages import Compare, Floats, Ints, StageTable
from cascade_exp.errors import CascadeError


@dataclass(frozen=True)
class Ordering:
    """Confidences in growing order, and the thresholds that part them.

    Attributes:
        order: int32 [N], examples from the least to the most confident.
        confidence: float64 [N], the confidences in that order (-0.0 is reported as 0.0).
        valid: bool [N + 1], whether some threshold defers exactly the first ``a`` examples.
            No threshold parts equal confidences; under ``ge`` an infinite confidence always exits,
            under ``gt`` a confidence of -inf is always deferred.
        compare: the exit rule, ``ge`` or ``gt``.

    >>> found = ordering_of(np.array([0.5, 0.9]), "gt")
    >>> found.thresholds(found.cutoffs).tolist()
    [-inf, 0.5, inf]
    """

    order: NDArray[np.int32]
    confidence: Floats
    valid: NDArray[np.bool_]
    compare: Compare

    @property
    def cutoffs(self) -> Ints:
        """The valid cutoffs, growing: int64 [V]."""
        return np.flatnonzero(self.valid)

    def thresholds(self, cutoffs: Ints) -> Floats:
        """The threshold of each valid cutoff: float64, the shape of ``cutoffs``.

        ``-inf`` lets every example leave, ``+inf`` none; any other is the smallest confidence that
        still exits (``ge``) or the largest that is deferred (``gt``).
        """
        size = len(self.confidence)
        shift = 0 if self.compare == "ge" else 1
        inner = self.confidence[np.clip(cutoffs - shift, 0, size - 1)]
        return np.where(cutoffs == 0, -np.inf, np.where(cutoffs == size, np.inf, inner))


def ordering_of(confidence: Floats, compare: Compare = "ge") -> Ordering:
    """Sort confidences float64 [N], N >= 1, and find their valid cutoffs.

    >>> found = ordering_of(np.array([0.9, 0.5, 0.9]))
    >>> found.cutoffs.tolist(), found.thresholds(found.cutoffs).tolist()
    ([0, 1, 3], [-inf, 0.9, inf])

    Raises:
        CascadeError: if a confidence is NaN (it would compare with no threshold).
    """
    order = np.argsort(confidence).astype(np.int32)  # the order within a tie is never used
    ordered = np.asarray(confidence, dtype=np.float64)[order] + 0.0
    if np.isnan(ordered[-1]):  # NaN sorts last
        row = int(np.flatnonzero(np.isnan(confidence))[0])
        raise CascadeError(f"confidence of example {row} is NaN: expected a number")
    valid = np.empty(len(ordered) + 1, dtype=np.bool_)
    valid[0] = compare == "ge" or ordered[0] > -np.inf
    valid[-1] = compare == "gt" or ordered[-1] < np.inf
    valid[1:-1] = ordered[1:] != ordered[:-1]
    return Ordering(order, ordered, valid, compare)


def total_cost(reached: Ints, cost: Floats, accounting: Accounting = "cumulative") -> Floats:
    """Cost of all examples together: float64 [...], for counts ``reached`` int64 [..., n].

    ``reached[..., i]`` examples ran stage i (all N ran the first); ``cost`` float64 [n] is that of
    running each stage. Summed from the first stage on, one product a stage, so that it grows with
    every count even after rounding; every total in sweep and search is this one number, and a mean
    cost is it over N. ``exit_tier`` sums cost times the number that left at each stage instead.

    >>> reached, cost = np.array([10, 4]), np.array([1.0, 5.0])
    >>> float(total_cost(reached, cost)), float(total_cost(reached, cost, "exit_tier"))
    (30.0, 26.0)
    """
    counts = np.array(reached, dtype=np.float64)
    if accounting == "exit_tier":
        counts[..., :-1] -= counts[..., 1:].copy()
    total = counts[..., 0] * cost[0]
    for stage in range(1, len(cost)):
        total = total + counts[..., stage] * cost[stage]
    return np.asarray(total)


@dataclass(frozen=True)
class Sweep:
    """What every swept setting of one cascade gives; V settings in order of growing threshold.

    Attributes:
        thresholds: float64 [V], the swept threshold (-inf first: more and more are deferred).
        cutoffs: int64 [V], how many of the ordered confidences lie below it.
        total_cost: float64 [V], cost of all N examples (see ``total_cost``).
        totals: int64 [V, S], the objective's summands over all N examples.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> sweep = sweep_first(table_of(three_models(), (0, 2)))
    >>> sweep.thresholds.tolist(), sweep.total_cost.tolist()
    ([-inf, 1.0, 3.0, inf], [4.0, 9.0, 14.0, 24.0])
    """

    thresholds: Floats
    cutoffs: Ints
    total_cost: Floats
    totals: Ints


def sweep_first(
    table: StageTable,
    later_thresholds: Sequence[float] = (),
    compare: Compare = "ge",
    ordering: Ordering | None = None,
) -> Sweep:
    """Every valid threshold of the first stage, the later ones held at ``later_thresholds``.

    Exact in one sort and cumulative sums, O(N log N + N n S). For two stages this is the whole
    sweep. ``ordering`` is that of the first stage's confidence where the caller already has it.

    Raises:
        CascadeError: if the cascade has one stage, or the split is empty, or the number of later
            thresholds is not two fewer than the stages.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> sweep = sweep_first(table_of(three_models(), (0, 2)))
    >>> sweep.cutoffs.tolist(), sweep.totals[:, 0].tolist()
    ([0, 1, 2, 4], [2, 3, 4, 4])
    """
    if len(table.stages) < 2:
        raise CascadeError(f"{table.names[0]} alone is no cascade: it has no threshold to sweep")
    first = table.stages[0]
    size = len(first.prediction)
    require_examples(size)
    later = StageTable(table.names[1:], table.stages[1:], table.cost[1:], table.accounting)
    outcome = later.run(later_thresholds, compare)
    ordering = ordering_of(first.confidence, compare) if ordering is None else ordering
    cutoffs = ordering.cutoffs
    gain = _sums_before(outcome.statistics - first.statistics, ordering.order, cutoffs)
    ran = outcome.exit_stage[:, None] >= np.arange(len(later.stages))
    on = _sums_before(ran.astype(np.int64), ordering.order, cutoffs)
    reached = np.concatenate([np.full((len(cutoffs), 1), size), on], axis=1)
    return Sweep(
        thresholds=ordering.thresholds(cutoffs),
        cutoffs=cutoffs,
        total_cost=total_cost(reached, table.cost, table.accounting),
        totals=first.statistics.sum(axis=0) + gain,
    )


def sweep_shared(table: StageTable, compare: Compare = "ge") -> Sweep:
    """One threshold for all stages but the last, at every value that any of them takes.

    An example leaves at the first stage whose confidence reaches the threshold, that is, at stage i
    for the thresholds above the best confidence of the stages before and up to its own: each stage
    adds its summands where its interval begins and takes them away where it ends. Exact, O(N n
    log(N n)). The cutoffs count the ordered confidences of all these stages together.

    Raises:
        CascadeError: if the cascade has one stage, or the split is empty.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> sweep = sweep_shared(table_of(three_models(), (0, 1, 2)))
    >>> sweep.thresholds.tolist(), sweep.total_cost.tolist(), sweep.totals[:, 0].tolist()
    ([-inf, 1.0, 2.0, 3.0, inf], [4.0, 6.0, 13.0, 18.0, 32.0], [2, 3, 4, 4, 4])
    """
    if len(table.stages) < 2:
        raise CascadeError(f"{table.names[0]} alone is no cascade: it has no threshold to sweep")
    size = len(table.stages[0].prediction)
    require_examples(size)
    confidence = np.stack([stage.confidence for stage in table.stages[:-1]])
    ordering = ordering_of(confidence.ravel(), compare)
    ends = np.flatnonzero(np.append(ordering.valid[1:-1], True)) + 1
    # level of a confidence: how many distinct values lie strictly below it
    below = np.concatenate([[0], np.cumsum(ordering.valid[1:-1])])
    level = np.empty(confidence.size, dtype=np.int64)
    level[ordering.order] = below
    best = np.maximum.accumulate(level.reshape(confidence.shape), axis=0)
    # at threshold index t, the t lowest distinct values are deferred: an example leaves stage i iff
    # level >= t
    n, levels = len(table.stages), len(ends) + 1
    start = np.concatenate([np.zeros((1, size), dtype=np.int64), best + 1])
    totals = np.zeros((levels + 1, table.stages[0].statistics.shape[1]), dtype=np.int64)
    reached = np.zeros((levels + 1, n), dtype=np.int64)
    for i, stage in enumerate(table.stages):
        np.add.at(totals, start[i], stage.statistics)
        reached[:, i] = np.bincount(start[i], minlength=levels + 1)
        if i + 1 < n:
            np.subtract.at(totals, start[i + 1], stage.statistics)
    totals, reached = totals.cumsum(axis=0)[:levels], reached.cumsum(axis=0)[:levels]
    cutoffs = np.concatenate([[0], ends])
    keep = ordering.valid[cutoffs]
    return Sweep(
        thresholds=ordering.thresholds(cutoffs[keep]),
        cutoffs=cutoffs[keep],
        total_cost=total_cost(reached[keep], table.cost, table.accounting),
        totals=totals[keep],
    )


def settings_at(
    sweep: Sweep, confidence: Floats, thresholds: Floats, compare: Compare = "ge"
) -> Ints:
    """Which setting of ``sweep`` each of ``thresholds`` amounts to: int64, indices into it.

    Thresholds of another split lie between this split's confidences; what matters is how many of
    these are deferred.

    Args:
        confidence: float64, what was swept: of the first stage, or of all stages but the last where
            they share the threshold.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> table = table_of(three_models(), (0, 2))
    >>> sweep = sweep_first(table)
    >>> settings_at(sweep, table.stages[0].confidence, np.array([0.7, 2.0])).tolist()
    [1, 2]
    """
    side: Literal["left", "right"] = "left" if compare == "ge" else "right"
    cutoffs = np.searchsorted(np.sort(confidence, axis=None), thresholds, side)
    return np.searchsorted(sweep.cutoffs, cutoffs)


def require_examples(size: int) -> None:
    """Raise a :class:`CascadeError` if there are no examples to sweep over.

    >>> require_examples(3)
    >>> require_examples(0)
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: the split is empty: expected at least one example
    """
    if size == 0:
        raise CascadeError("the split is empty: expected at least one example")


def _sums_before(values: Ints, order: NDArray[np.int32], cutoffs: Ints) -> Ints:
    """Sum of ``values`` [N, S] over the first a examples of ``order``, for V cutoffs a: [V, S]."""
    sums = np.zeros((len(order) + 1, values.shape[1]), dtype=np.int64)
    np.cumsum(values[order], axis=0, out=sums[1:])
    return np.asarray(sums[cutoffs])
