"""Four stages, exactly: which stages the kernels are run on, in which order, on which grids.

What the kernels do is in ``kernels.quads_grid``, ``quads_cells`` and ``quads_boxes``. Costs
are cumulative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.search.counts import CountedFront, Crew, FrontHolder
from cascade_exp.cascade.search.front import Ranking
from cascade_exp.cascade.search.kernels.bits import LANES
from cascade_exp.cascade.search.kernels.quads_grid import grid_pass, make_stream
from cascade_exp.cascade.search.kernels.quads_types import (
    WIDTH,
    Front,
    Grid,
    Group,
    Scratch,
    Stream,
)
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.search.threads import Ticker

STRIPS = 7.0
"""Strips of the grid along each axis, per cube root of the number of words of 64 cutoffs."""
WIDE_STRIPS = 7
"""Strips along an axis whose examples few reach, near the edges of the cube."""
ROUNDS = 64
"""How often the threads' fronts are brought together."""


@dataclass(frozen=True)
class Item:
    """Cascades of the same three stages; ``ranks`` and ``lasts`` of up to WIDTH of them.

    >>> Item(prefix=(0, 1, 2), lasts=(3, 4), ranks=(7, 8)).lasts
    (3, 4)
    """

    prefix: tuple[int, int, int]
    lasts: tuple[int, ...]
    ranks: tuple[int, ...]


def items_of(ranking: Ranking) -> list[Item]:
    """The four-stage cascades in a fixed shuffled order, so that good settings are found early.

    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> ranking = rank_cascades(
    ...     [(0, 1, 2, 3), (0, 1, 2, 4)], ["a", "b", "c", "d", "e"], np.arange(1.0, 6.0)
    ... )
    >>> items_of(ranking)
    [Item(prefix=(0, 1, 2), lasts=(3, 4), ranks=(0, 1))]
    """
    ranks: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for rank in ranking.of_length(4):
        members = ranking.cascades[rank]
        ranks.setdefault((members[:3], members[3] // LANES), []).append(rank)
    items = []
    for (prefix, _), group in sorted(ranks.items()):
        group.sort(key=lambda rank: ranking.cascades[rank][3])
        for start in range(0, len(group), WIDTH):
            part = group[start : start + WIDTH]
            lasts = tuple(ranking.cascades[rank][3] for rank in part)
            items.append(Item((prefix[0], prefix[1], prefix[2]), lasts, tuple(part)))
    return [items[x] for x in np.random.default_rng(0).permutation(len(items))]


@cache
def change_table() -> NDArray[np.int32]:
    """What fourth models right as a byte's bits say add to a stage 3 that is wrong or right.

    >>> change_table()[0, 5].tolist(), change_table()[1, 5].tolist()
    ([1, 0, 1, 0, 0, 0, 0, 0], [0, -1, 0, -1, -1, -1, -1, -1])
    """
    right = (np.arange(256)[:, None] >> np.arange(WIDTH)) & 1
    return np.stack([right, right - 1]).astype(np.int32)


def grids_of(size: int) -> list[Grid]:
    """The blocks of cells that together cover the cube.

    Where few examples pass a threshold, cutoffs of the next stages hardly differ: the first strip
    of the first axis, and of the second, is cut finer along itself and coarser along those after.

    >>> [grid.words.tolist() for grid in grids_of(6400)]
    [[1, 14, 14], [3, 1, 14], [3, 3, 3]]
    """
    total = size // 64 + 1
    usual = max(1, round(total ** (2 / 3) / STRIPS))
    wide = max(1, round(total / WIDE_STRIPS))

    def block(words: tuple[int, int, int], start: tuple[int, int], fine: tuple[bool, bool]) -> Grid:
        strips = np.array([-(-total // w) for w in words])
        end = [min(usual, total) if fine[d] else int(strips[d]) for d in range(2)]
        return Grid(np.array(words), strips, np.array(start), np.array(end))

    return [
        block((1, wide, wide), (0, 0), (True, False)),
        block((usual, 1, wide), (1, 0), (False, True)),
        block((usual, usual, usual), (1, 1), (False, False)),
    ]


class Worker(FrontHolder):
    """One thread's front and scratch arrays.

    >>> worker = Worker(CountedFront.empty(100, 3), 100, grids_of(100))
    >>> worker.front.cost.shape, worker.scratch.bits.shape
    ((102,), (2, 3, 4, 2))
    """

    def __init__(self, front: CountedFront, size: int, grids: list[Grid]) -> None:
        super().__init__(front)
        words = size // 64 + 1
        strips = int(max(grid.strips.max() for grid in grids))
        cells = max(int((grid.end[1] + 2) * (grid.strips[2] + 2)) for grid in grids)
        lines = int(max(max(grid.strips[1:].max(), grid.end[0]) for grid in grids)) + 2
        self.scratch = Scratch(
            sums=np.zeros((2, cells, WIDTH), dtype=np.int32),
            below=np.zeros((3, 2, lines, words), dtype=np.uint64),
            drawn=np.zeros((3, strips), dtype=np.bool_),
            bits=np.zeros((2, 3, 4, words), dtype=np.uint64),
            curves=np.zeros((3, 4, words + 1), dtype=np.int64),
            shared=np.zeros((2 * size + 2, 7), dtype=np.int64),
            boxes=np.zeros((3 * 64, 6), dtype=np.int64),
            records=np.zeros((3, size + 2, 4), dtype=np.int64),
            tally=np.zeros(6, dtype=np.int64),
            run_gain=np.zeros((strips + 2, WIDTH), dtype=np.int32),
            highest_gain=np.zeros(strips + 2, dtype=np.int64),
        )


class QuadSearch:
    """The search over the four-stage cascades of one pool.

    >>> from cascade_exp.cascade.confidence import make_metric
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> from cascade_exp.cascade.pools.logits import LogitsPool
    >>> from cascade_exp.cascade.search.boxes import search_by_boxes
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> from cascade_exp.cascade.search.threads import Ticker
    >>> rng = np.random.default_rng(0)
    >>> logits = {name: rng.normal(size=(90, 2)) for name in "abcd"}
    >>> costs = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}
    >>> pool = LogitsPool.build(
    ...     logits,
    ...     costs,
    ...     rng.integers(2, size=90),
    ...     metric=make_metric("max_softmax"),
    ...     objective=Accuracy(),
    ... )
    >>> ranking = rank_cascades([(0, 1, 2, 3)], pool.names, pool.cost)
    >>> front, other = CountedFront.empty(90, 3), CountedFront.empty(90, 3)
    >>> QuadSearch(Source(pool, "ge"), ranking).run(front, 1, Ticker(1, None))
    >>> crew = Crew(other, [FrontHolder(other)], Ticker(1, None))
    >>> search_by_boxes(crew, Source(pool, "ge"), ranking, 4, "cumulative", share=1.0)
    ''
    >>> np.array_equal(front.cost, other.cost)
    True
    """

    def __init__(self, source: Source, ranking: Ranking, share: float = 1.0) -> None:
        self.source = source
        self.items = items_of(ranking)
        self.grids = grids_of(source.size)
        self.share = share

    def run(
        self,
        front: CountedFront,
        threads: int,
        ticker: Ticker,
    ) -> None:
        """Offer to ``front`` all that can be on it."""
        workers = [Worker(front, self.source.size, self.grids) for _ in range(threads)]
        crew = Crew(front, workers, ticker)
        several = max(8 * threads, -(-len(self.items) // ROUNDS))
        for start in range(0, len(self.items), several):
            crew.run(self.items[start : start + several], self.work)

    def work(self, worker: Worker, item: Item) -> int:
        """Offer to the worker's front all of the item's settings that can be on it."""
        group, stream = self._group(item)
        front = Front(worker.front.cost, worker.front.witness, self.share)
        for grid in self.grids:
            grid_pass(group, stream, grid, front, change_table(), worker.scratch)
        return len(item.ranks)

    def _group(self, item: Item) -> tuple[Group, Stream]:
        source, prefix, cost = self.source, item.prefix, self.source.pool.cost
        stages = prefix[:1], prefix[:2], prefix
        ranked = [source.ranked(stage) for stage in stages]
        right = [source.right(stage) for stage in stages]
        lanes = [last % LANES for last in item.lasts]

        def words(d: int) -> NDArray[np.uint64]:
            own = [source.right_words(stages[d], stage) for stage in stages[d:]]
            return np.concatenate(
                [own, source.lane_words(stages[d], prefix, item.lasts)[lanes]], dtype=np.uint64
            )

        group = Group(
            size=source.size,
            cost=cost[list(prefix)],
            cost_fourth=cost[list(item.lasts)],
            rank=np.array(item.ranks),
            order=(ranked[0].order, ranked[1].order, ranked[2].order),
            place=(ranked[0].rank, ranked[1].rank, ranked[2].rank),
            valid=(ranked[0].valid, ranked[1].valid, ranked[2].valid),
            first=words(0),
            second=words(1),
            third=words(2),
        )
        stream = make_stream(
            ranked[0].order,
            ranked[1].rank,
            ranked[2].rank,
            right[0] | right[1] << 1 | right[2] << 2,
            source.lane_bits(prefix, item.lasts),
            np.array(lanes),
        )
        return group, stream
