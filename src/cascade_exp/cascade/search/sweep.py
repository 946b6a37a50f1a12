"""Any objective, by sweeping: every setting is scored, nothing is bounded.

Serves the objectives whose score is not a count (F1, mean IoU), where the bounds of the counted
search do not hold, and shared thresholds. One model and two stages are exact always; from three
stages on every setting is scored as long as there are few enough, else a grid of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.search.front import Ranking, Settings, front_of, may_join, no_settings
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.search.threads import Ticker, run_items
from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.cascade.sweep import Ordering, sweep_first, sweep_shared, total_cost

Score = Callable[[Ints, int], Floats]
Grids = Mapping[int, int | None]
"""By number of stages, how many cutoffs of each threshold are scored; None or absent: all."""

SETTINGS_BUDGET = 200_000_000
"""Most settings that are scored over all cascades of one length, before a grid replaces them."""


@dataclass
class Worker:
    """One thread's front.

    >>> worker = Worker(no_settings(1))
    >>> worker.offer(np.array([2.0, 1.0]), np.array([0.5, 0.5]), 0, np.array([[1], [0]]))
    >>> worker.front.cost.tolist()
    [1.0]
    """

    front: Settings

    def offer(self, cost: Floats, score: Floats, rank: int, cutoffs: Ints) -> None:
        """Let settings of one cascade join: float64 [P], float64 [P], cutoffs int64 [P, n - 1]."""
        rows = may_join(self.front, cost, score)
        if not len(rows):
            return
        padded = np.zeros((len(rows), self.front.cutoffs.shape[1]), dtype=np.int64)
        padded[:, : cutoffs.shape[1]] = cutoffs[rows]
        ranks = np.full(len(rows), rank, dtype=np.int64)
        self.front = front_of(self.front, Settings(cost[rows], score[rows], ranks, padded))


def sweep_cascades(
    source: Source,
    score: Score,
    ranking: Ranking,
    accounting: Accounting,
    shared: bool,
    grids: Grids,
    threads: int,
    ticker: Ticker,
) -> tuple[Settings, list[str]]:
    """The front over the ranked cascades, and notes on the lengths that were not searched exactly.

    ``score`` maps totals int64 [..., S] and N to float64 [...]. With ``shared`` all stages have
    one threshold and the cutoffs returned hold the one cutoff in their first column.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> pool = three_models()
    >>> ranking = rank_cascades([(0,), (0, 2)], pool.names, pool.cost)
    >>> settings, notes = sweep_cascades(
    ...     Source(pool, "ge"),
    ...     pool.objective.score,
    ...     ranking,
    ...     "cumulative",
    ...     False,
    ...     {},
    ...     1,
    ...     Ticker(2, None),
    ... )
    >>> settings.cost.tolist(), settings.score.tolist(), notes
    ([4.0, 9.0, 14.0], [0.5, 0.75, 1.0], [])
    """
    width = max(ranking.lengths) - 1
    workers = [Worker(no_settings(width)) for _ in range(threads)]
    notes = [
        f"{length} stages: {size} evenly spaced cutoffs for each threshold, both ends "
        f"included, instead of every one"
        for length in ranking.lengths
        if (size := grids.get(length)) is not None
    ]

    def work(worker: Worker, rank: int) -> int:
        members = ranking.cascades[rank]
        if len(members) == 1:
            _single(worker, source, score, rank, members, accounting)
        elif len(members) == 2 or shared:
            table = source.table(members, accounting)
            sweep = (
                sweep_shared(table, source.compare)
                if shared
                else sweep_first(table, (), source.compare, source.ordering(members[:1]))
            )
            scores = score(sweep.totals, source.size)
            worker.offer(sweep.total_cost, scores, rank, sweep.cutoffs[:, None])
        else:
            _grid(worker, source, score, rank, members, accounting, grids.get(len(members)))
        return 1

    run_items(range(len(ranking.cascades)), workers, work, ticker)
    return front_of(*(worker.front for worker in workers)), notes


def _single(
    worker: Worker,
    source: Source,
    score: Score,
    rank: int,
    members: tuple[int, ...],
    accounting: Accounting,
) -> None:
    table = source.table(members, accounting)
    cost = total_cost(np.array([[source.size]]), table.cost, accounting)
    scores = score(table.stages[0].statistics.sum(axis=0)[None], source.size)
    worker.offer(cost, scores, rank, np.zeros((1, 0), dtype=np.int64))


def grid_sizes(source: Source, ranking: Ranking) -> dict[int, int | None]:
    """How finely each length is swept, so that its settings stay within the budget.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> pool = three_models()
    >>> grid_sizes(Source(pool, "ge"), rank_cascades([(0, 1, 2)], pool.names, pool.cost))
    {3: None}
    """
    return {length: _grid_size(source, ranking, length) for length in ranking.lengths if length > 2}


def _grid_size(source: Source, ranking: Ranking, length: int) -> int | None:
    """Cutoffs an axis where not every setting can be scored within the budget, else None."""
    ranks = ranking.of_length(length)
    settings = 0
    for rank in ranks:
        members = ranking.cascades[rank]
        count = 1
        for i in range(length - 1):
            count *= int(source.ordering(members[: i + 1]).valid.sum())
        settings += count
        if settings > SETTINGS_BUDGET:
            return max(2, int((SETTINGS_BUDGET / len(ranks)) ** (1 / (length - 1))))
    return None


def grid_cutoffs(ordering: Ordering, count: int | None) -> Ints:
    """``count`` valid cutoffs evenly spaced among all, both ends included; all where None.

    >>> from cascade_exp.cascade.sweep import ordering_of
    >>> ordering = ordering_of(np.linspace(0, 1, 9))
    >>> grid_cutoffs(ordering, 4).tolist(), len(grid_cutoffs(ordering, None))
    ([0, 3, 6, 9], 10)
    """
    cutoffs = ordering.cutoffs
    if count is None or count >= len(cutoffs):
        return cutoffs
    picks = np.round(np.linspace(0, len(cutoffs) - 1, count)).astype(np.int64)
    return np.asarray(cutoffs[picks])


def _grid(
    worker: Worker,
    source: Source,
    score: Score,
    rank: int,
    members: tuple[int, ...],
    accounting: Accounting,
    count: int | None,
) -> None:
    """Score one cascade of n > 2 stages at the product of its cutoffs, one first cutoff at a time.

    With d thresholds after the first, each example is counted in a histogram over the cutoffs of
    the stages 2..i+1 for what stage i+1 changes; their prefix sums are the totals at every setting.
    """
    table = source.table(members, accounting)
    n = len(members)
    axes = [grid_cutoffs(source.ordering(members[: i + 1]), count) for i in range(n - 1)]
    strips = [_strips(source.ordering(members[: i + 1]), axis) for i, axis in enumerate(axes)]
    shape = tuple(len(axis) for axis in axes[1:])
    summands = table.stages[0].statistics.shape[1]
    # histograms[i]: of the examples that reach stage i + 1 (from 0), over the axes before it;
    # the last entry of its last axis counts them, the others hold the change of the summands
    histograms = [np.zeros((*shape[:i], summands + 1), dtype=np.int64) for i in range(n - 1)]
    changes = [
        np.concatenate(
            [later.statistics - earlier.statistics, np.ones((source.size, 1), np.int64)], axis=1
        )
        for earlier, later in zip(table.stages[:-1], table.stages[1:], strict=True)
    ]
    base = table.stages[0].statistics.sum(axis=0)
    by_first = np.argsort(strips[0], kind="stable")
    bounds = np.searchsorted(strips[0][by_first], np.arange(len(axes[0])), side="right")
    mesh = np.stack(np.meshgrid(*axes[1:], indexing="ij"), axis=-1).reshape(-1, n - 2)
    start = 0
    for first, end in enumerate(bounds):
        going = by_first[start:end]
        start = end
        histograms[0] += changes[0][going].sum(axis=0)
        for i in range(1, n - 1):
            going = going[strips[i][going] < len(axes[i])]
            index = tuple(strips[j][going] for j in range(1, i + 1))
            np.add.at(histograms[i], index, changes[i][going])
        totals = np.zeros((*shape, summands), dtype=np.int64) + base
        reached = np.full((*shape, n), source.size, dtype=np.int64)
        for i in range(n - 1):
            sums = histograms[i]
            for axis in range(i):
                sums = sums.cumsum(axis=axis)
            sums = sums.reshape(*shape[:i], *(1,) * (n - 2 - i), summands + 1)
            totals += sums[..., :-1]
            reached[..., i + 1] = sums[..., -1]
        costs = total_cost(reached, table.cost, accounting).ravel()
        scores = score(totals.reshape(-1, summands), source.size)
        cutoffs = np.concatenate(
            [np.full((len(mesh), 1), axes[0][first], dtype=np.int64), mesh], axis=1
        )
        worker.offer(costs, scores, rank, cutoffs)


def _strips(ordering: Ordering, axis: Ints) -> NDArray[np.int64]:
    """Per example, the index of the first cutoff of ``axis`` that defers it: int64 [N].

    ``len(axis)`` where none does.
    """
    strips = np.empty(len(ordering.order), dtype=np.int64)
    strips[ordering.order] = np.searchsorted(axis, np.arange(len(ordering.order)), side="right")
    return strips
