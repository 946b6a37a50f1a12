"""Every cascade out of a pool at every threshold: the front of non-dominated settings.

How the Pareto front is found is in ``bounds`` (accuracy: exact, by bounds) and ``sweep`` (any
objective: by scoring every setting). The sweep of one cascade is ``cascade.sweep``, choosing an
operating point ``cascade.selection``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.frontier import FrontPoint
from cascade_exp.cascade.objective import Objective
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.search.bounds import search_by_bounds
from cascade_exp.cascade.search.front import (
    Ranking,
    Settings,
    rank_cascades,
    worst_cases,
)
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.search.sweep import Grids, grid_sizes, sweep_cascades
from cascade_exp.cascade.search.threads import Progress, Ticker, thread_count
from cascade_exp.cascade.stages import Compare, Floats, Ints
from cascade_exp.cascade.sweep import ordering_of
from cascade_exp.errors import CascadeError


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        front: the non-dominated settings, strictly growing in cost and in score. A point's cost is
            the canonical total (``sweep.total_cost``) over N.
        exact: whether this is the front over every threshold of every cascade considered.
        note: what was considered, and where not exact, what was done instead.
        cascades: number of cascades considered.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> result = search(three_models(), Accuracy(), max_stages=1)
    >>> result.exact, result.cascades, result.note
    (True, 3, 'cascades considered: 3 of 1 stage')
    """

    front: list[FrontPoint]
    exact: bool
    note: str
    cascades: int


def cascades_of(
    cost: Floats,
    max_stages: int,
    worst_case_cost: float | None = None,
    accounting: Accounting = "cumulative",
) -> list[tuple[int, ...]]:
    """Every cascade of 1..``max_stages`` distinct models in order of growing cost.

    Models of equal cost come in either order. ``cost`` float64 [M] need not be sorted. With
    ``worst_case_cost`` only the cascades that cost no more when every stage runs (under
    ``exit_tier``: whose most expensive stage costs no more) are kept.

    >>> cascades_of(np.array([1.0, 2.0, 2.0]), 2)
    [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (2, 1)]

    Raises:
        CascadeError: if ``max_stages`` is below 1.
    """
    if max_stages < 1:
        raise CascadeError(f"search.max_stages={max_stages}: expected at least 1")
    by_cost = [int(m) for m in np.argsort(cost, kind="stable")]
    cascades: list[tuple[int, ...]] = []
    for stages in range(1, min(max_stages, len(by_cost)) + 1):
        for models in combinations(by_cost, stages):
            groups: dict[float, list[int]] = {}
            for m in models:
                groups.setdefault(float(cost[m]), []).append(m)
            for parts in product(*(permutations(group) for group in groups.values())):
                cascades.append(tuple(m for part in parts for m in part))
    if worst_case_cost is None:
        return cascades
    within = worst_cases(cascades, cost, accounting) <= worst_case_cost
    return [members for members, fits in zip(cascades, within, strict=True) if fits]


def search(
    pool: StagePool,
    objective: Objective,
    *,
    cascades: Iterable[Sequence[int]] | None = None,
    max_stages: int = 2,
    accounting: Accounting = "cumulative",
    compare: Compare = "ge",
    shared: bool = False,
    worst_case_cost: float | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
    gap: float = 0.0,
) -> SearchResult:
    """The front over every cascade at every valid threshold (docs/definitions.md#sweep).

    Args:
        pool: the models on the selection split.
        objective: its score is maximised.
        cascades: the cascades to consider, tuples of indices of models in running order; by
            default ``cascades_of(pool.cost, max_stages)``.
        max_stages: most stages of a cascade where ``cascades`` is not given.
        accounting: whether every stage that ran is paid or only the one that answered.
        compare: the exit rule.
        shared: one threshold for all stages of a cascade but the last, instead of one each.
        worst_case_cost: leave out cascades that cost more when every stage runs.
        progress: called from this thread with units of work done and in all.
        threads: how many threads search; by default one per core. They do not change an exact
            result.
        gap: share of the cost by which the front may be missed with more than three stages, in
            return for a quicker search; 0 is exact.

    Of settings with equal total cost and score the one of fewest stages is kept, then of least
    worst case, then by names in order, then of the lexicographically least thresholds.

    Raises:
        CascadeError: if the split is empty, a confidence is NaN, there is no cascade at all, or
            ``gap`` is no share.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> front = search(three_models(), Accuracy(), max_stages=2).front
    >>> [(point.members, point.thresholds, point.cost, point.score) for point in front]
    [((0,), (), 1.0, 0.5), ((0, 1), (1.0,), 1.5, 0.75), ((1, 2), (2.0,), 3.25, 1.0)]
    """
    if not 0 <= gap < 1:
        raise CascadeError(f"search.gap={gap}: expected a share from 0 to below 1")
    task = task_of(
        pool, objective, cascades, max_stages, accounting, compare, shared, worst_case_cost
    )
    settings, notes = task.find(thread_count(threads), progress, gap)
    return task.result(settings, notes)


@dataclass(frozen=True)
class SearchTask:
    """What is searched, made ready; see :func:`task_of`.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> task = task_of(three_models(), Accuracy(), None, 2, "cumulative", "ge", False, None)
    >>> task.counts_right_answers(), task.grids(), len(task.ranking.cascades)
    (True, {}, 6)
    """

    source: Source
    ranking: Ranking
    objective: Objective
    accounting: Accounting
    shared: bool

    def find(
        self,
        threads: int,
        progress: Progress | None,
        gap: float = 0.0,
        grids: Grids | None = None,
    ) -> tuple[Settings, list[str]]:
        """The front, and notes on what was not searched exactly.

        Args:
            grids: those of a larger search that this one is a part of; by default its own.
        """
        source, ranking = self.source, self.ranking
        if self.counts_right_answers() and not self.shared:
            return search_by_bounds(
                source,
                ranking,
                self.accounting,
                threads=threads,
                progress=progress,
                gap=gap,
            )
        ticker = Ticker(len(ranking.cascades), progress)
        score = self.objective.score
        grids = self.grids() if grids is None else grids
        return sweep_cascades(
            source, score, ranking, self.accounting, self.shared, grids, threads, ticker
        )

    def grids(self) -> Grids:
        """How finely each length is swept; nothing where settings are bounded, not swept."""
        if self.shared or self.counts_right_answers():
            return {}
        return grid_sizes(self.source, self.ranking)

    def counts_right_answers(self) -> bool:
        """Whether the score is a count of summands that are 0 or 1 each, as the bounds assume."""
        if not self.objective.additive:
            return False
        singles = {members[0] for members in self.ranking.cascades}
        return all(
            not np.any(self.source.stage((model,)).statistics[:, 0] & ~np.int64(1))
            for model in singles
        )

    def result(self, settings: Settings, notes: list[str]) -> SearchResult:
        """The settings as points, with what was considered and how."""
        lengths = {length: len(self.ranking.of_length(length)) for length in self.ranking.lengths}
        considered = ", ".join(
            f"{number:,} of {length} stage{'s' if length > 1 else ''}"
            for length, number in lengths.items()
        )
        return SearchResult(
            front=_points(self.source, self.ranking, settings, self.shared),
            exact=not notes,
            note="; ".join([f"cascades considered: {considered}", *notes]),
            cascades=len(self.ranking.cascades),
        )


def task_of(
    pool: StagePool,
    objective: Objective,
    cascades: Iterable[Sequence[int]] | None,
    max_stages: int,
    accounting: Accounting,
    compare: Compare,
    shared: bool,
    worst_case_cost: float | None,
) -> SearchTask:
    """A search, of the arguments and errors of :func:`search`, before it is run.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> task = task_of(three_models(), Accuracy(), None, 2, "cumulative", "ge", False, None)
    >>> settings, notes = task.find(1, None)
    >>> task.result(settings, notes).note
    'cascades considered: 3 of 1 stage, 3 of 2 stages'
    """
    if cascades is None:
        cascades = cascades_of(pool.cost, max_stages, worst_case_cost, accounting)
    ranking = rank_cascades(cascades, pool.names, pool.cost, accounting, worst_case_cost)
    if not ranking.cascades:
        limit = "" if worst_case_cost is None else f" with worst case <= {worst_case_cost}"
        raise CascadeError(f"no cascade{limit} to search over: expected at least one")
    inner = {members[:i] for members in ranking.cascades for i in range(1, len(members))}
    return SearchTask(Source(pool, compare, inner), ranking, objective, accounting, shared)


def _points(source: Source, ranking: Ranking, settings: Settings, shared: bool) -> list[FrontPoint]:
    cost = settings.cost / source.size
    shown = np.append(cost[1:] != cost[:-1], True)  # totals may differ by less than means show
    settings, cost = settings[np.flatnonzero(shown[: len(cost)])], cost[shown[: len(cost)]]
    cascades = [ranking.cascades[rank] for rank in settings.rank.tolist()]
    thresholds = _thresholds(source, cascades, settings.cutoffs, shared)
    return [
        FrontPoint(members, tuple(of_row[: len(members) - 1]), *numbers)
        for members, of_row, *numbers in zip(
            cascades,
            thresholds.tolist(),
            cost.tolist(),
            settings.score.tolist(),
            ranking.worst_case[settings.rank].tolist(),
            strict=True,
        )
    ]


def _thresholds(
    source: Source, cascades: list[tuple[int, ...]], cutoffs: Ints, shared: bool
) -> Floats:
    """Literal thresholds float64 [P, d]; columns beyond a cascade's own mean nothing."""
    thresholds = np.zeros(cutoffs.shape)
    rows: dict[tuple[int, ...], list[int]] = {}
    for row, members in enumerate(cascades):
        for stage in range(1, len(members)):
            if not shared or stage == len(members) - 1:
                rows.setdefault(members[:stage], []).append(row)
    for prefix, places in rows.items():
        if shared:
            values = [source.stage(prefix[: i + 1]).confidence for i in range(len(prefix))]
            ordering = ordering_of(np.concatenate(values), source.compare)
            thresholds[places] = ordering.thresholds(cutoffs[places, 0])[:, None]
        else:
            stage = len(prefix) - 1
            ordering = source.ordering(prefix)
            thresholds[places, stage] = ordering.thresholds(cutoffs[places, stage])
    return thresholds
