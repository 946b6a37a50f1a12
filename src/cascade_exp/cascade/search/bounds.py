"""Accuracy over cascades of all lengths: which search does which, and queries of a single point.

The front over counts of right answers and its threads live in ``search_counts``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.search.boxes import search_by_boxes
from cascade_exp.cascade.search.counts import (
    CountedFront,
    Crew,
    FrontHolder,
    add_singles,
    search_pairs,
)
from cascade_exp.cascade.search.front import Ranking, Settings
from cascade_exp.cascade.search.quads import QuadSearch
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.search.threads import Progress, Ticker
from cascade_exp.cascade.search.triples import TripleSearch
from cascade_exp.cascade.stages import Floats

Narrow = Callable[[Floats], None]
"""Leaves of a front's costs float64 [N + 2] only what a query still asks for; see below."""


def search_by_bounds(
    source: Source,
    ranking: Ranking,
    accounting: Accounting,
    *,
    threads: int,
    progress: Progress | None = None,
    gap: float = 0.0,
    narrow: Narrow | None = None,
) -> tuple[Settings, list[str]]:
    """The front over the ranked cascades, for an objective with one summand of 0 or 1.

    With ``gap`` the search of more than three stages leaves out what cannot beat the front found
    so far by that share of its cost. With ``narrow`` the front is one in name only: a single
    point of it is right, the one that the query asks for. The notes tell what was not exact.
    """
    front = CountedFront.empty(source.size, max(ranking.lengths) - 1)
    number = {length: len(ranking.of_length(length)) for length in ranking.lengths}
    triples_by_grid = accounting == "cumulative" and 3 in number
    steps = sum(number.values()) + (number[3] if triples_by_grid else 0)
    ticker = Ticker(steps, progress)
    add_singles(front, source, ranking)
    ticker.add(number.get(1, 0))
    if narrow is not None:
        narrow(front.cost)
    crew = Crew(front, [FrontHolder(front) for _ in range(threads)], ticker, narrow)
    notes: list[str] = []
    for length in ranking.lengths[int(1 in number) :]:
        if length == 2:
            search_pairs(crew, source, ranking, accounting)
        elif length == 3 and accounting == "cumulative":
            TripleSearch(source, ranking).run(front, threads, ticker, narrow)
        elif length == 4 and accounting == "cumulative":
            QuadSearch(source, ranking, 1.0 - gap).run(front, threads, ticker, narrow)
        else:
            notes.append(search_by_boxes(crew, source, ranking, length, accounting, 1.0 - gap))
    notes = [note for note in notes if note]
    by_gap = max(number) > (3 if accounting == "cumulative" else 2)
    if gap > 0 and by_gap:
        notes.append(
            f"proven gap {gap}: at every score the least cost found is at most "
            f"{1 / (1 - gap):.6g} times the true least"
        )
    return front.settings(ranking), notes


def seek_score(right: int) -> Narrow:
    """Asks for the cheapest setting with at least ``right`` right answers, best score first."""

    def narrow(cost: Floats) -> None:
        cost[:right] = -np.inf
        above = cost[right + 1 : -1]
        np.minimum(above, np.nextafter(cost[right], np.inf), out=above)

    return narrow


def seek_cost(most: float) -> Narrow:
    """Asks for the best score of total cost at most ``most``, cheapest first."""

    def narrow(cost: Floats) -> None:
        reached = np.flatnonzero(cost[:-1] <= most)
        best = int(reached[-1]) if len(reached) else 0
        cost[:best] = -np.inf
        np.minimum(cost[:-1], np.nextafter(most, np.inf), out=cost[:-1])

    return narrow
