"""Accuracy, exactly: the search over counts of right answers, led through the compiled kernels.

Where the score is the number of right answers over N, the front is an array over that number, and
whole regions of settings can be ruled out by what they could reach at best. Other objectives:
``search_sweep``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.kernels.front import offer
from cascade_exp.cascade.kernels.pairs import sweep_pairs
from cascade_exp.cascade.search_front import Ranking, Settings
from cascade_exp.cascade.search_source import Source
from cascade_exp.cascade.search_threads import Ticker, run_items
from cascade_exp.cascade.stages import Floats, Ints

NO_CUTOFFS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class CountedFront:
    """Least total cost by number of right answers, with witnesses (see ``kernels.front``).

    Attributes:
        cost: float64 [N + 2].
        witness: int64 [N + 2, 1 + d].
    """

    cost: Floats
    witness: Ints

    @classmethod
    def empty(cls, size: int, thresholds: int) -> CountedFront:
        """The front of nothing, for cascades of up to that many thresholds."""
        return cls(np.full(size + 2, np.inf), np.zeros((size + 2, 1 + thresholds), dtype=np.int64))

    def copy(self) -> CountedFront:
        """A front of its own for another thread."""
        return CountedFront(self.cost.copy(), self.witness.copy())

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

    def settings(self, thresholds: Ints) -> Settings:
        """The non-dominated settings by growing cost, given every rank's number of thresholds."""
        size = len(self.cost) - 2
        right = np.flatnonzero(self.cost[:-1] < self.cost[1:])
        rank = self.witness[right, 0]
        cutoffs = self.witness[right, 1:].copy()
        cutoffs[np.arange(cutoffs.shape[1]) >= thresholds[rank][:, None]] = 0
        return Settings(self.cost[right], right / size, rank, cutoffs)


@dataclass(frozen=True)
class PairItem:
    """All cascades first>second of one first model, with their ranks int64 [L]."""

    first: int
    seconds: tuple[int, ...]
    rank: Ints


def pair_items(ranking: Ranking) -> list[PairItem]:
    """The two-stage cascades, one item per first model."""
    by_first: dict[int, list[int]] = {}
    for rank in ranking.of_length(2):
        by_first.setdefault(ranking.cascades[rank][0], []).append(rank)
    return [
        PairItem(first, tuple(ranking.cascades[r][1] for r in ranks), np.array(ranks))
        for first, ranks in by_first.items()
    ]


def search_counts(
    source: Source, ranking: Ranking, accounting: Accounting, threads: int, ticker: Ticker
) -> Settings:
    """The exact front over the ranked cascades, for an objective with one summand of 0 or 1."""
    front = CountedFront.empty(source.size, max(ranking.lengths) - 1)
    for rank in ranking.of_length(1):
        members = ranking.cascades[rank]
        cost = float(source.size) * float(source.pool.cost[members[0]])
        offer(front.cost, front.witness, int(source.right(members).sum()), cost, rank, NO_CUTOFFS)
    ticker.add(len(ranking.of_length(1)))

    def pairs(worker: CountedFront, item: PairItem) -> int:
        ordering = source.ordering((item.first,))
        seconds = [source.right((item.first, second)) for second in item.seconds]
        sweep_pairs(
            ordering.order,
            ordering.valid,
            source.right((item.first,)),
            np.stack(seconds, axis=1),
            float(source.pool.cost[item.first]),
            source.pool.cost[list(item.seconds)],
            item.rank,
            accounting == "exit_tier",
            worker.cost,
            worker.witness,
        )
        return len(item.seconds)

    workers = [front.copy() for _ in range(threads)]
    run_items(pair_items(ranking), workers, pairs, ticker)
    for worker in workers:
        front.merge(worker)
    return front.settings(np.array([len(members) - 1 for members in ranking.cascades]))
