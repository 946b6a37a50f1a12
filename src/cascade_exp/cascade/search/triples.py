"""Three stages, exactly: a grid pass over every first and second model, then the cells it leaves.

What the kernels do is in ``kernels.triples_grid`` and ``kernels.triples_cells``; here is what
they are run on, in which order, and what is kept between the two passes. Costs are cumulative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.search.counts import CountedFront, Crew, FrontHolder
from cascade_exp.cascade.search.front import Ranking
from cascade_exp.cascade.search.kernels.bits import LANES, gather
from cascade_exp.cascade.search.kernels.triples_cells import search_cells
from cascade_exp.cascade.search.kernels.triples_grid import grid_pass, still_found
from cascade_exp.cascade.search.kernels.triples_types import Group, Side
from cascade_exp.cascade.search.source import KEPT_BYTES, Source
from cascade_exp.cascade.search.threads import Ticker
from cascade_exp.cascade.stages import Floats, Ints

STRIPS = 2.3
"""Strips of the grid along each axis, per root of the number of words of 64 cutoffs."""
MOST_WORDS = 1000
"""A strip's examples must fit the 16-bit counters of the grid pass."""

Cells = NDArray[np.int32]


@dataclass(frozen=True)
class Item:
    """Cascades of one first and second model, with third models of one chunk of lanes.

    Attributes:
        thirds: the third models.
        rank: int64 [LANES], cost float64 [LANES]: by lane.

    >>> item = Item(0, 1, (2, 34), np.zeros(LANES, np.int64), np.zeros(LANES))
    >>> item.lanes.tolist()
    [2, 2]
    """

    first: int
    second: int
    thirds: tuple[int, ...]
    rank: Ints
    cost: Floats

    @property
    def lanes(self) -> Ints:
        """The lanes searched: int64 [L]."""
        return np.array([third % LANES for third in self.thirds])


def items_of(ranking: Ranking, cost: Floats) -> list[Item]:
    """The three-stage cascades by first model, second model and chunk of third models.

    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> cost = np.arange(1.0, 5.0)
    >>> ranking = rank_cascades([(0, 1, 2), (0, 1, 3)], ["a", "b", "c", "d"], cost)
    >>> [(item.first, item.second, item.thirds) for item in items_of(ranking, cost)]
    [(0, 1, (2, 3))]
    """
    ranks: dict[tuple[int, int, int], list[int]] = {}
    for rank in ranking.of_length(3):
        first, second, third = ranking.cascades[rank]
        ranks.setdefault((first, third // LANES, second), []).append(rank)
    items = []
    for (first, _, second), members in sorted(ranks.items()):
        thirds = tuple(ranking.cascades[rank][2] for rank in members)
        lanes = [third % LANES for third in thirds]
        by_lane = np.zeros(LANES, dtype=np.int64), np.zeros(LANES)
        by_lane[0][lanes], by_lane[1][lanes] = members, cost[list(thirds)]
        items.append(Item(first, second, thirds, *by_lane))
    return items


@dataclass
class Pending:
    """An item between the two passes, with the cells int32 [., 6] that the first one left.

    >>> Pending(
    ...     Item(0, 1, (2,), np.zeros(LANES, np.int64), np.zeros(LANES)),
    ...     np.zeros((0, 6), np.int32),
    ... ).found.shape
    (0, 6)
    """

    item: Item
    found: Cells


def batches(source: Source, items: list[Item]) -> Iterator[list[Pending]]:
    """Items whose stages are kept at hand from the first pass to the second.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> pool = three_models()
    >>> items = items_of(rank_cascades([(0, 1, 2)], pool.names, pool.cost), pool.cost)
    >>> [len(batch) for batch in batches(Source(pool, "ge"), items)]
    [1]
    """
    several = len(items)
    if not source.prefix_free:
        several = max(16, KEPT_BYTES // (source.size * 2 * (LANES + 64)))
    for start in range(0, len(items), several):
        part = items[start : start + several]
        yield [Pending(item, np.zeros((0, 6), dtype=np.int32)) for item in part]


class Worker(FrontHolder):
    """One thread's front and scratch; it holds on to what belongs to one first model.

    >>> worker = Worker(CountedFront.empty(100, 2), strips=2, words=2)
    >>> worker.histogram.shape == (8, LANES), worker.found.shape == (4 * LANES, 6)
    (True, True)
    """

    def __init__(self, front: CountedFront, strips: int, words: int) -> None:
        super().__init__(front)
        self.histogram = np.zeros((4 * strips, LANES), dtype=np.uint16)
        self.state = np.zeros((strips, 4, LANES), dtype=np.int32)
        self.found = np.zeros((strips * strips * LANES, 6), dtype=np.int32)
        self.below = np.zeros((2, strips + 1, words), dtype=np.uint64)
        self.drawn = np.zeros((2, strips), dtype=np.bool_)
        self._held: tuple[int, NDArray[np.uint8]] = (-1, np.zeros((0, LANES), np.uint8))

    def third_lanes(self, source: Source, item: Item) -> NDArray[np.uint8]:
        """Right at stage 3 in the first stage's order: uint8 [N, LANES]."""
        lanes = source.lanes((item.first, item.second), item.thirds)
        order = source.ranked((item.first,)).order
        if not source.prefix_free:
            return lanes[order]
        held = item.first * len(source.pool.names) + item.thirds[0] // LANES
        if self._held[0] != held:
            self._held = (held, lanes[order])
        return self._held[1]


class TripleSearch:
    """The two passes over the three-stage cascades of one pool.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> pool = three_models()
    >>> ranking = rank_cascades([(0, 1, 2)], pool.names, pool.cost)
    >>> front = CountedFront.empty(pool.size, 2)
    >>> TripleSearch(Source(pool, "ge"), ranking).run(front, 1, Ticker(2, None))
    >>> front.settings(ranking).cost.tolist(), front.settings(ranking).score.tolist()
    ([4.0, 6.0, 13.0], [0.5, 0.75, 1.0])
    """

    def __init__(self, source: Source, ranking: Ranking) -> None:
        self.source = source
        self.items = items_of(ranking, source.pool.cost)
        words = source.size // 64 + 1
        self.words = min(MOST_WORDS, max(1, round(words**0.5 / STRIPS)))
        self.strips = -(-words // self.words)

    def run(
        self,
        front: CountedFront,
        threads: int,
        ticker: Ticker,
    ) -> None:
        """Offer to ``front`` all that can be on it; an item counts twice in the ticker."""
        words = self.source.size // 64 + 1
        workers = [Worker(front, self.strips, words) for _ in range(threads)]
        crew = Crew(front, workers, ticker)
        for batch in batches(self.source, self.items):
            crew.run(batch, self.grid)
            crew.run(batch, self.cells)

    def grid(self, worker: Worker, pending: Pending) -> int:
        """Offer the corners of the grid, and note the cells that may hold more."""
        source, item, front = self.source, pending.item, worker.front
        prefix = (item.first, item.second)
        first, second = source.ranked(prefix[:1]), source.ranked(prefix)
        lines = np.arange(self.strips) * 64 * self.words
        code = second.rank // np.int32(64 * self.words) * 4 + 2 * source.right(prefix)
        group = self._group(item)
        listed = grid_pass(
            group,
            first.order,
            source.right(prefix[:1])[first.order],
            code.astype(np.uint16),
            worker.third_lanes(source, item),
            np.stack([first.is_valid[lines], second.is_valid[lines]]),
            front.cost,
            front.witness,
            (worker.histogram, worker.state),
            worker.found,
        )
        found = worker.found[:listed]
        pending.found = found[: still_found(found, group, front.cost, front.witness)].copy()
        return len(item.thirds)

    def cells(self, worker: Worker, pending: Pending) -> int:
        """Offer all that can be on the front of the cells that were noted."""
        item, front = pending.item, worker.front
        group = self._group(item)
        found = pending.found[: still_found(pending.found, group, front.cost, front.witness)]
        if len(found):
            worker.drawn[:] = False
            first, second = (self._side(worker, item, d) for d in range(2))
            search_cells(found, group, first, second, front.cost, front.witness)
        return len(item.thirds)

    def _group(self, item: Item) -> Group:
        cost = self.source.pool.cost
        return Group(
            size=self.source.size,
            words=self.words,
            cost_first=float(cost[item.first]),
            cost_second=float(cost[item.second]),
            cost_third=item.cost,
            rank=item.rank,
            lanes=item.lanes,
        )

    def _side(self, worker: Worker, item: Item, d: int) -> Side:
        source, prefix = self.source, (item.first, item.second)
        stages = prefix[:1], prefix
        own, other = source.ranked(stages[d]), source.ranked(stages[1 - d])
        return Side(
            order=own.order,
            other=gather(own.order, other.rank),
            place=other.rank,
            valid=own.valid,
            right=np.stack([source.right_words(stages[d], stage) for stage in stages]),
            third=source.lane_words(stages[d], prefix, item.thirds),
            below=worker.below[d],
            drawn=worker.drawn[d],
        )
