"""Accuracy, exactly: the search over counts of right answers, by the compiled kernels.

Where the score is the number of right answers over N, the front is an array over that number, and
whole regions of settings can be ruled out by what they could reach at best. This module holds that
front, the threads' copies of it, and the cascades of one and two stages; three and four stages
are in ``triples`` and ``quads``, other objectives in ``sweep``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.search.front import Ranking, Settings
from cascade_exp.cascade.search.kernels.front import offer
from cascade_exp.cascade.search.kernels.pairs import sweep_pair
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.search.threads import Ticker, run_items
from cascade_exp.cascade.stages import Floats, Ints

NO_CUTOFFS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class CountedFront:
    """Least total cost by number of right answers, with witnesses (see ``kernels.front``).

    Attributes:
        cost: float64 [N + 2].
        witness: int64 [N + 2, 1 + d].

    >>> front = CountedFront.empty(size=2, thresholds=1)
    >>> offer(front.cost, front.witness, 1, 3.0, 0, NO_CUTOFFS)
    >>> front.cost.tolist()
    [3.0, 3.0, inf, inf]
    """

    cost: Floats
    witness: Ints

    @classmethod
    def empty(cls, size: int, thresholds: int) -> CountedFront:
        """The front of nothing, for cascades of up to that many thresholds."""
        return cls(np.full(size + 2, np.inf), np.zeros((size + 2, 1 + thresholds), dtype=np.int64))

    def copy(self) -> CountedFront:
        """A front of its own."""
        return CountedFront(self.cost.copy(), self.witness.copy())

    def assign(self, other: CountedFront) -> None:
        """Become equal to the other front."""
        np.copyto(self.cost, other.cost)
        np.copyto(self.witness, other.witness)

    def merge(self, other: CountedFront) -> None:
        """Take over, entry by entry, whatever the other front has better."""
        better = other.cost < self.cost
        tied = np.flatnonzero((other.cost == self.cost) & np.isfinite(self.cost))
        differs = other.witness[tied] != self.witness[tied]
        tied, differs = tied[differs.any(axis=1)], differs[differs.any(axis=1)]
        column = differs.argmax(axis=1)
        wins = other.witness[tied, column] < self.witness[tied, column]
        better[tied[wins]] = True
        self.cost[better] = other.cost[better]
        self.witness[better] = other.witness[better]

    def settings(self, ranking: Ranking) -> Settings:
        """The non-dominated settings by growing cost."""
        size = len(self.cost) - 2
        right = np.flatnonzero(self.cost[:-1] < self.cost[1:])
        rank = self.witness[right, 0]
        cutoffs = self.witness[right, 1:].copy()
        thresholds = np.array([len(members) - 1 for members in ranking.cascades])
        cutoffs[np.arange(cutoffs.shape[1]) >= thresholds[rank][:, None]] = 0
        return Settings(self.cost[right], right / size, rank, cutoffs)


class FrontHolder:
    """One thread's copy of the front, with whatever scratch its subclass adds.

    >>> front = CountedFront.empty(size=2, thresholds=1)
    >>> holder = FrontHolder(front)
    >>> holder.front.cost is front.cost, holder.front.cost.tolist() == front.cost.tolist()
    (False, True)
    """

    def __init__(self, front: CountedFront) -> None:
        self.front = front.copy()


Holder = TypeVar("Holder", bound=FrontHolder)
Item = TypeVar("Item")


class Crew(Generic[Holder]):
    """A front, and one worker per thread that works on a copy of it.

    >>> front = CountedFront.empty(size=2, thresholds=0)
    >>> crew = Crew(front, [FrontHolder(front) for _ in range(2)], Ticker(2, None))
    >>> def work(worker: FrontHolder, right: int) -> int:
    ...     offer(worker.front.cost, worker.front.witness, right, float(right), 0, NO_CUTOFFS)
    ...     return 1
    ...
    >>> crew.run([1, 2], work)
    >>> front.cost.tolist()
    [1.0, 1.0, 2.0, inf]
    """

    def __init__(
        self,
        front: CountedFront,
        workers: list[Holder],
        ticker: Ticker,
    ) -> None:
        self.front = front
        self.workers = workers
        self.ticker = ticker

    def run(self, items: Iterable[Item], work: Callable[[Holder, Item], int]) -> None:
        """Work on every item (see ``run_items``), then bring all fronts together."""
        for worker in self.workers:
            worker.front.assign(self.front)
        run_items(items, self.workers, work, self.ticker)
        for worker in self.workers:
            self.front.merge(worker.front)


def add_singles(front: CountedFront, source: Source, ranking: Ranking) -> None:
    """Offer the models alone.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> pool = three_models()
    >>> ranking = rank_cascades([(0,), (1,), (2,)], pool.names, pool.cost)
    >>> front = CountedFront.empty(pool.size, 0)
    >>> add_singles(front, Source(pool, "ge"), ranking)
    >>> front.cost.tolist()
    [4.0, 4.0, 4.0, 8.0, 20.0, inf]
    """
    for rank in ranking.of_length(1):
        members = ranking.cascades[rank]
        right = int(source.right(members).sum())
        cost = float(source.size) * float(source.pool.cost[members[0]])
        offer(front.cost, front.witness, right, cost, rank, NO_CUTOFFS)


def search_pairs(
    crew: Crew[Holder], source: Source, ranking: Ranking, accounting: Accounting
) -> None:
    """Offer every cascade of two stages.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> pool = three_models()
    >>> ranking = rank_cascades([(0, 2)], pool.names, pool.cost)
    >>> front = CountedFront.empty(pool.size, 1)
    >>> crew = Crew(front, [FrontHolder(front)], Ticker(1, None))
    >>> search_pairs(crew, Source(pool, "ge"), ranking, "cumulative")
    >>> front.cost.tolist()
    [4.0, 4.0, 4.0, 9.0, 14.0, inf]
    """
    cost = source.pool.cost

    def work(worker: Holder, rank: int) -> int:
        first, second = ranking.cascades[rank]
        sweep_pair(
            source.size,
            source.ranked((first,)).valid,
            source.right_words((first,), (first,)),
            source.right_words((first,), (first, second)),
            float(cost[first]),
            float(cost[second]),
            rank,
            accounting == "exit_tier",
            worker.front.cost,
            worker.front.witness,
        )
        return 1

    crew.run(ranking.of_length(2), work)
