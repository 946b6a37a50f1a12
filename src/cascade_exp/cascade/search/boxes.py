"""Any number of stages, and costs of the answering stage alone: the search by halving boxes.

Slower than the kernels for three and four stages, and exact as they are, as long as the number of
boxes stays within a budget; beyond it the note says that not all were searched.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.search.counts import CountedFront, Crew, FrontHolder
from cascade_exp.cascade.search.front import Ranking
from cascade_exp.cascade.search.kernels.boxes import DONE, ROOM, Stages, State, search_boxes
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.search.threads import Ticker

Number = TypeVar("Number", bound=np.generic)

BOXES_BUDGET = 200_000_000
"""Most boxes searched over all cascades of one length; each may use an equal part."""
BOXES_AT_ONCE = 20_000
"""Boxes after which a thread looks whether the search was interrupted."""


def search_by_boxes(
    crew: Crew[FrontHolder],
    source: Source,
    ranking: Ranking,
    length: int,
    accounting: Accounting,
    share: float,
) -> str:
    """Offer all cascades of ``length`` stages; a note where not every box was searched, else "".

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> from cascade_exp.cascade.search.threads import Ticker
    >>> pool = three_models()
    >>> ranking = rank_cascades([(0, 1, 2)], pool.names, pool.cost)
    >>> front = CountedFront.empty(pool.size, 2)
    >>> crew = Crew(front, [FrontHolder(front)], Ticker(1, None))
    >>> search_by_boxes(crew, Source(pool, "ge"), ranking, 3, "cumulative", share=1.0)
    ''
    >>> front.settings(ranking).cost.tolist(), front.settings(ranking).score.tolist()
    ([4.0, 6.0, 13.0], [0.5, 0.75, 1.0])
    """
    ranks = ranking.of_length(length)
    allowed = max(BOXES_AT_ONCE, BOXES_BUDGET // len(ranks))
    unfinished: list[int] = []

    def work(worker: FrontHolder, rank: int) -> int:
        stages = _stages(source, ranking.cascades[rank], accounting)
        if not _search(worker.front, stages, rank, share, allowed, crew.ticker):
            unfinished.append(rank)
        return 1

    crew.run(ranks, work)
    if not unfinished:
        return ""
    return (
        f"{length} stages: {len(unfinished)} of {len(ranks)} cascades not searched to the end "
        f"({allowed:,} boxes of thresholds each)"
    )


def _search(
    front: CountedFront,
    stages: Stages,
    rank: int,
    share: float,
    allowed: int,
    ticker: Ticker,
) -> bool:
    thresholds, size = stages.place.shape
    state = _first_state(size, thresholds)
    searched = 0
    while searched < allowed and not ticker.stopped.is_set():
        status, boxes = search_boxes(
            stages, state, BOXES_AT_ONCE, share, rank, front.cost, front.witness
        )
        searched += boxes
        if status == DONE:
            return True
        if status == ROOM:
            state = State(
                _doubled(state.boxes),
                _doubled(state.lists),
                _doubled(state.decided),
                _doubled(state.arena),
                state.depth,
            )
    return False


def _stages(source: Source, members: tuple[int, ...], accounting: Accounting) -> Stages:
    prefixes = [members[: i + 1] for i in range(len(members))]
    ranked = [source.ranked(prefix) for prefix in prefixes[:-1]]
    return Stages(
        place=np.stack([stage.rank for stage in ranked]),
        right=np.stack([source.right(prefix) for prefix in prefixes]),
        valid=np.stack([_first_from(stage.is_valid) for stage in ranked]),
        last_valid=np.stack([_end_before(stage.is_valid) for stage in ranked]),
        cost=source.pool.cost[list(members)],
        exit_tier=accounting == "exit_tier",
    )


def _first_from(valid: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The first valid cutoff from each of 0..N + 1 on; N + 1 where there is none."""
    size = len(valid)
    places = np.where(np.append(valid, True), np.arange(size + 1), size)
    return np.minimum.accumulate(places[::-1])[::-1].astype(np.int32)


def _end_before(valid: NDArray[np.bool_]) -> NDArray[np.int32]:
    """One more than the last valid cutoff before each of 0..N + 1; 0 where there is none."""
    places = np.where(valid, np.arange(1, len(valid) + 1), 0)
    return np.concatenate([[0], np.maximum.accumulate(places)]).astype(np.int32)


def _doubled(array: NDArray[Number]) -> NDArray[Number]:
    return np.concatenate([array, np.zeros_like(array)])


def _first_state(size: int, thresholds: int) -> State:
    """The box of all settings, every example open."""
    depth = 64 * thresholds
    state = State(
        boxes=np.zeros((depth, 2 * thresholds), dtype=np.int64),
        lists=np.zeros((depth, 2), dtype=np.int64),
        decided=np.zeros((depth, 2 + thresholds), dtype=np.int64),
        arena=np.zeros(4 * size, dtype=np.int32),
        depth=np.ones(1, dtype=np.int64),
    )
    state.boxes[0, 1::2] = size + 1
    state.lists[0] = 0, size
    state.arena[:size] = np.arange(size)
    return state
