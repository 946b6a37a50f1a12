"""Accuracy over cascades of all lengths: which search is used for which.

The front over counts of right answers and its threads are in ``counts``.
"""

from __future__ import annotations

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


def search_by_bounds(
    source: Source,
    ranking: Ranking,
    accounting: Accounting,
    *,
    threads: int,
    progress: Progress | None = None,
    gap: float = 0.0,
) -> tuple[Settings, list[str]]:
    """The front over the ranked cascades, for an objective with one summand of 0 or 1.

    With ``gap`` the search of more than three stages leaves out what cannot beat the front found
    so far by that share of its cost. The notes say what was not exact.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.search.front import rank_cascades
    >>> pool = three_models()
    >>> ranking = rank_cascades([(0,), (2,), (0, 2)], pool.names, pool.cost)
    >>> settings, notes = search_by_bounds(
    ...     Source(pool, "ge", {(0,)}), ranking, "cumulative", threads=1
    ... )
    >>> settings.cost.tolist(), settings.score.tolist(), notes
    ([4.0, 9.0, 14.0], [0.5, 0.75, 1.0], [])
    """
    source.prefetch(ranking.cascades, progress)
    front = CountedFront.empty(source.size, max(ranking.lengths) - 1)
    number = {length: len(ranking.of_length(length)) for length in ranking.lengths}
    triples_by_grid = accounting == "cumulative" and 3 in number
    steps = sum(number.values()) + (number[3] if triples_by_grid else 0)
    ticker = Ticker(steps, progress)
    add_singles(front, source, ranking)
    ticker.add(number.get(1, 0))
    crew = Crew(front, [FrontHolder(front) for _ in range(threads)], ticker)
    notes: list[str] = []
    for length in ranking.lengths[int(1 in number) :]:
        if length == 2:
            search_pairs(crew, source, ranking, accounting)
        elif length == 3 and accounting == "cumulative":
            TripleSearch(source, ranking).run(front, threads, ticker)
        elif length == 4 and accounting == "cumulative":
            QuadSearch(source, ranking, 1.0 - gap).run(front, threads, ticker)
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
