"""Which settings are kept: the ranking of cascades in ties, and non-dominated settings as arrays.

A *setting* is a cascade and one cutoff for each of its stages but the last. The counted front that
the compiled kernels keep lives in ``search_counts``.
"""

from __future__ import annotations

from bisect import bisect, bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.errors import CascadeError


@dataclass(frozen=True)
class Ranking:
    """The cascades considered, in the order in which ties are broken.

    Of settings with equal cost and score the one of fewest stages is kept, then of least worst
    case, then the first by the models' names (docs/definitions.md#sweep), then the
    lexicographically least cutoffs.

    Attributes:
        cascades: the distinct cascades, best rank first, each a tuple of indices of models.
        worst_case: float64 [len(cascades)], the cost of running every stage.

    >>> ranking = rank_cascades([(0, 1), (1,), (0,)], ["a", "b"], np.array([1.0, 2.0]))
    >>> ranking.lengths, ranking.of_length(2), ranking.worst_case.tolist()
    ([1, 2], range(2, 3), [1.0, 2.0, 3.0])
    """

    cascades: list[tuple[int, ...]]
    worst_case: Floats

    def of_length(self, stages: int) -> range:
        """The ranks of the cascades with that many stages (they are neighbours)."""
        return range(
            bisect_left(self.cascades, stages, key=len), bisect(self.cascades, stages, key=len)
        )

    @property
    def lengths(self) -> list[int]:
        """The numbers of stages that occur, growing."""
        longest = len(self.cascades[-1]) if self.cascades else 0
        return [length for length in range(1, longest + 1) if len(self.of_length(length))]


def worst_cases(
    cascades: Sequence[tuple[int, ...]], cost: Floats, accounting: Accounting
) -> Floats:
    """Cost of running every stage (``exit_tier``: the costliest) of each cascade: float64 [T].

    >>> cost = np.array([1.0, 2.0, 5.0])
    >>> worst_cases([(0, 2), (1,)], cost, "cumulative").tolist()
    [6.0, 2.0]
    >>> worst_cases([(0, 2), (1,)], cost, "exit_tier").tolist()
    [5.0, 2.0]
    """
    worst = np.zeros(len(cascades))
    lengths = np.array([len(members) for members in cascades], dtype=np.int64)
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        prices = cost[np.array([cascades[row] for row in rows.tolist()])]
        total = prices.cumsum(axis=1)[:, -1] if accounting == "cumulative" else prices.max(axis=1)
        worst[rows] = total
    return worst


def rank_cascades(
    cascades: Iterable[Sequence[int]],
    names: Sequence[str],
    cost: Floats,
    accounting: Accounting = "cumulative",
    worst_case_cost: float | None = None,
) -> Ranking:
    """Order cascades as ties are broken; leave out those costlier than ``worst_case_cost``.

    Raises:
        CascadeError: if a cascade has no stage or names a model that the pool lacks.

    >>> rank_cascades([(1, 0), (0, 1), (1,)], ["b", "a"], np.array([1.0, 1.0])).cascades
    [(1,), (1, 0), (0, 1)]
    >>> rank_cascades([(0, 2)], ["a", "b"], np.ones(2))
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: cascade (0, 2): expected indices of models from 0 to 1
    """
    distinct = sorted({tuple(int(m) for m in members) for members in cascades})
    for members in distinct:
        if not members:
            raise CascadeError("a cascade without stages: expected at least one model")
        if min(members) < 0 or max(members) >= len(names):
            raise CascadeError(
                f"cascade {members}: expected indices of models from 0 to {len(names) - 1}"
            )
    keyed = sorted(
        (len(members), case, tuple(names[m] for m in members), members)
        for members, case in zip(
            distinct, worst_cases(distinct, cost, accounting).tolist(), strict=True
        )
        if worst_case_cost is None or case <= worst_case_cost
    )
    return Ranking([key[3] for key in keyed], np.array([key[1] for key in keyed]))


@dataclass(frozen=True)
class Settings:
    """P settings, as arrays.

    Attributes:
        cost: float64 [P], total cost of all N examples.
        score: float64 [P], the objective.
        rank: int64 [P], the cascade's place in the ranking.
        cutoffs: int64 [P, d], one per stage but the last; columns beyond hold 0.

    >>> settings = Settings(
    ...     np.array([1.0, 2.0]), np.array([0.5, 0.75]), np.array([0, 1]), np.array([[0], [3]])
    ... )
    >>> len(settings), settings[np.array([1])].cutoffs.tolist()
    (2, [[3]])
    """

    cost: Floats
    score: Floats
    rank: Ints
    cutoffs: Ints

    def __len__(self) -> int:
        return len(self.cost)

    def __getitem__(self, rows: Ints) -> Settings:
        return Settings(self.cost[rows], self.score[rows], self.rank[rows], self.cutoffs[rows])


def no_settings(thresholds: int) -> Settings:
    """An empty front whose cascades have up to that many thresholds.

    >>> len(no_settings(2)), no_settings(2).cutoffs.shape
    (0, (0, 2))
    """
    empty = np.zeros(0)
    return Settings(
        empty, empty, np.zeros(0, dtype=np.int64), np.zeros((0, thresholds), dtype=np.int64)
    )


def front_of(*settings: Settings) -> Settings:
    """The non-dominated settings of all given, cost and score strictly growing, ties as ranked.

    >>> settings = Settings(
    ...     np.array([2.0, 1.0, 3.0]),
    ...     np.array([0.5, 0.5, 0.75]),
    ...     np.arange(3),
    ...     np.zeros((3, 1), np.int64),
    ... )
    >>> front_of(settings).rank.tolist()
    [1, 2]
    """
    every = Settings(
        np.concatenate([s.cost for s in settings]),
        np.concatenate([s.score for s in settings]),
        np.concatenate([s.rank for s in settings]),
        np.concatenate([s.cutoffs for s in settings]),
    )
    order = np.lexsort((*every.cutoffs.T[::-1], every.rank, -every.score, every.cost))
    every = every[order]
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(every.score)[:-1]])
    return every[np.flatnonzero(every.score > best_before)]


def may_join(front: Settings, cost: Floats, score: Floats) -> Ints:
    """Indices of those settings, float64 [P] each, that no setting of ``front`` strictly beats.

    >>> front = Settings(
    ...     np.array([1.0]), np.array([0.5]), np.array([0]), np.zeros((1, 1), np.int64)
    ... )
    >>> may_join(
    ...     front, np.array([0.5, 1.0, 2.0, 2.0]), np.array([0.25, 0.5, 0.5, 0.75])
    ... ).tolist()
    [0, 1, 3]
    """
    if not len(front):
        return np.arange(len(cost))
    place = np.searchsorted(front.cost, cost, side="right") - 1
    held = np.maximum(place, 0)
    ties = (score == front.score[held]) & (cost == front.cost[held])
    return np.flatnonzero((place < 0) | (score > front.score[held]) | ties)
