"""Three stages, exactly: a grid pass over every first and second model, then the cells it leaves.

What the kernels do is told in ``kernels.triples_grid`` and ``kernels.triples_cells``; here is what
they are run on, in which order, and what is kept between the two passes. Costs are cumulative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.kernels.bits import LANES, below_lines, gather
from cascade_exp.cascade.kernels.triples_cells import search_cells
from cascade_exp.cascade.kernels.triples_grid import grid_pass, still_found
from cascade_exp.cascade.search_counts import CountedFront, Crew, FrontHolder
from cascade_exp.cascade.search_front import Ranking
from cascade_exp.cascade.search_source import KEPT_BYTES, Source
from cascade_exp.cascade.search_threads import Ticker
from cascade_exp.cascade.stages import Floats, Ints

STRIPS = 64
"""Strips that the grid aims at along each axis."""
MOST_WORDS = 1000
"""A strip's examples must fit the 16-bit counters of the grid pass."""

Cells = NDArray[np.int32]


@dataclass(frozen=True)
class Group:
    """Cascades of one first and second model, with third models of one chunk of lanes.

    Attributes:
        thirds: the third models.
        rank: int64 [LANES], cost float64 [LANES]: by lane.
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


def groups_of(ranking: Ranking, cost: Floats) -> list[Group]:
    """The three-stage cascades by first model, second model and chunk of third models."""
    ranks: dict[tuple[int, int, int], list[int]] = {}
    for rank in ranking.of_length(3):
        first, second, third = ranking.cascades[rank]
        ranks.setdefault((first, third // LANES, second), []).append(rank)
    groups = []
    for (first, _, second), members in sorted(ranks.items()):
        thirds = tuple(ranking.cascades[rank][2] for rank in members)
        lanes = [third % LANES for third in thirds]
        by_lane = np.zeros(LANES, dtype=np.int64), np.zeros(LANES)
        by_lane[0][lanes], by_lane[1][lanes] = members, cost[list(thirds)]
        groups.append(Group(first, second, thirds, *by_lane))
    return groups


@dataclass
class Pending:
    """A group between the two passes, with the cells int32 [., 6] that the first one left."""

    group: Group
    found: Cells


def batches(source: Source, groups: list[Group]) -> Iterator[list[Pending]]:
    """Groups whose stages are kept at hand from the first pass to the second."""
    several = len(groups)
    if not source.prefix_free:
        several = max(16, KEPT_BYTES // (source.size * 2 * (LANES + 64)))
    for start in range(0, len(groups), several):
        part = groups[start : start + several]
        yield [Pending(group, np.zeros((0, 6), dtype=np.int32)) for group in part]


class Worker(FrontHolder):
    """One thread's front and scratch; it holds on to what belongs to one first model."""

    def __init__(self, front: CountedFront, strips: int) -> None:
        super().__init__(front)
        self.histogram = np.zeros((4 * strips, LANES), dtype=np.uint16)
        self.state = np.zeros((strips, 4, LANES), dtype=np.int32)
        self.found = np.zeros((strips * strips * LANES, 6), dtype=np.int32)
        self._held: tuple[int, NDArray[np.uint8]] = (-1, np.zeros((0, LANES), np.uint8))

    def third_lanes(self, source: Source, group: Group) -> NDArray[np.uint8]:
        """Right at stage 3 in the first stage's order: uint8 [N, LANES]."""
        lanes = source.lanes((group.first, group.second), group.thirds)
        order = source.ranked((group.first,)).order
        if not source.prefix_free:
            return lanes[order]
        held = group.first * len(source.pool.names) + group.thirds[0] // LANES
        if self._held[0] != held:
            self._held = (held, lanes[order])
        return self._held[1]


class TripleSearch:
    """The two passes over the three-stage cascades of one pool."""

    def __init__(self, source: Source, ranking: Ranking) -> None:
        self.source = source
        self.groups = groups_of(ranking, source.pool.cost)
        words = source.size // 64 + 1
        self.words = min(MOST_WORDS, max(1, round(words / STRIPS)))
        self.strips = -(-words // self.words)
        self.step = 64 * self.words

    def run(
        self,
        front: CountedFront,
        threads: int,
        ticker: Ticker,
        narrow: Callable[[Floats], None] | None = None,
    ) -> None:
        """Offer to ``front`` all that can be on it; a group counts twice in the ticker."""
        workers = [Worker(front, self.strips) for _ in range(threads)]
        crew = Crew(front, workers, ticker, narrow)
        for batch in batches(self.source, self.groups):
            crew.run(batch, self.grid)
            crew.run(batch, self.cells)

    def grid(self, worker: Worker, pending: Pending) -> int:
        """Offer the corners of the grid, and note the cells that may hold more."""
        group = pending.group
        source, prefix = self.source, (group.first, group.second)
        first, second = source.ranked(prefix[:1]), source.ranked(prefix)
        lines = np.arange(self.strips) * self.step
        code = second.rank // np.int32(self.step) * 4 + 2 * source.right(prefix)
        listed = grid_pass(
            first.order,
            source.right(prefix[:1])[first.order],
            code.astype(np.uint16),
            worker.third_lanes(source, group),
            group.lanes,
            self.step,
            first.is_valid[lines],
            second.is_valid[lines],
            *self._costs(group),
            group.rank,
            worker.front.cost,
            worker.front.witness,
            worker.histogram,
            worker.state,
            worker.found,
        )
        found = worker.found[:listed]
        pending.found = found[: self._still(worker, group, found)].copy()
        return len(group.thirds)

    def cells(self, worker: Worker, pending: Pending) -> int:
        """Offer all that can be on the front of the cells that were noted."""
        group = pending.group
        found = pending.found[: self._still(worker, group, pending.found)]
        if len(found):
            self._search(worker, group, found)
        return len(group.thirds)

    def _search(self, worker: Worker, group: Group, found: Cells) -> None:
        source, prefix = self.source, (group.first, group.second)
        first, second = source.ranked(prefix[:1]), source.ranked(prefix)
        search_cells(
            found,
            self.words,
            source.size,
            first.valid,
            source.right_words(prefix[:1], prefix[:1]),
            source.right_words(prefix[:1], prefix),
            source.lane_words(prefix[:1], prefix, group.thirds),
            below_lines(first.order, second.rank, self.step, self.strips),
            gather(first.order, second.rank),
            second.valid,
            source.right_words(prefix, prefix),
            source.lane_words(prefix, prefix, group.thirds),
            below_lines(second.order, first.rank, self.step, self.strips),
            gather(second.order, first.rank),
            *self._costs(group),
            group.rank,
            worker.front.cost,
            worker.front.witness,
        )

    def _still(self, worker: Worker, group: Group, found: Cells) -> int:
        front = worker.front
        arrays = (*self._costs(group), group.rank, front.cost, front.witness)
        return int(still_found(found, self.source.size, self.step, *arrays))

    def _costs(self, group: Group) -> tuple[float, float, Floats]:
        cost = self.source.pool.cost
        return float(cost[group.first]), float(cost[group.second]), group.cost
