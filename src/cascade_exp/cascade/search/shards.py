"""One search in parts that need not share memory: cut up, run anywhere, joined to the same front.

The parts are data without state, for worker processes or other machines; the caller says who runs
them. A search within one process, over threads, is ``search``'s own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.objective import Objective
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.search.engine import SearchResult, task_of
from cascade_exp.cascade.search.front import Settings, front_of
from cascade_exp.cascade.search.sweep import Grids
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.stages import Compare

Cascade = tuple[int, ...]
SHARDS_PER_WORKER = 4
"""More parts than workers, so that none waits long for the last one."""


@dataclass(frozen=True)
class ShardFront:
    """The front of one part: settings whose ``rank`` counts within ``cascades``, and notes.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> shard = Shard(
    ...     three_models(), Accuracy(), [(0,), (2,)], "cumulative", "ge", False, None, 0.0, {}
    ... )
    >>> found = shard.front()
    >>> found.cascades, found.settings.score.tolist()
    ([(0,), (2,)], [0.5, 1.0])
    """

    cascades: list[Cascade]
    settings: Settings
    notes: list[str]


@dataclass(frozen=True)
class Shard:
    """One part of a search; the attributes are arguments of ``search``.

    Attributes:
        grids: how finely the whole search sweeps each length, where it sweeps.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> shard = Shard(
    ...     three_models(), Accuracy(), [(0, 2)], "cumulative", "ge", False, None, 0.0, {}
    ... )
    >>> shard.front().settings.cost.tolist()
    [4.0, 9.0, 14.0]
    """

    pool: StagePool
    objective: Objective
    cascades: list[Cascade]
    accounting: Accounting
    compare: Compare
    shared: bool
    worst_case_cost: float | None
    gap: float
    grids: Grids

    def front(self, threads: int = 1) -> ShardFront:
        """Search this part, on that many threads."""
        task = task_of(
            self.pool,
            self.objective,
            self.cascades,
            1,
            self.accounting,
            self.compare,
            self.shared,
            self.worst_case_cost,
        )
        settings, notes = task.find(threads, None, self.gap, grids=self.grids)
        return ShardFront(task.ranking.cascades, settings, notes)


RunShards = Callable[[Sequence[Shard]], Iterable[ShardFront]]


def search_shards(
    pool: StagePool,
    objective: Objective,
    *,
    cascades: Iterable[Sequence[int]],
    run: RunShards,
    workers: int,
    accounting: Accounting = "cumulative",
    compare: Compare = "ge",
    shared: bool = False,
    worst_case_cost: float | None = None,
    progress: Progress | None = None,
    gap: float = 0.0,
) -> SearchResult:
    """``search`` over ``cascades`` in parts; an exact result is the same to the last bit.

    Args:
        run: runs the parts, in any order, and gives back what each found.
        workers: how many parts run at once; a few times as many are made.

    The other arguments and the errors are those of ``search``.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.objective import Accuracy
    >>> found = search_shards(
    ...     three_models(),
    ...     Accuracy(),
    ...     cascades=[(0,), (2,), (0, 2)],
    ...     run=lambda shards: [shard.front() for shard in shards],
    ...     workers=2,
    ... )
    >>> [(point.members, point.score) for point in found.front]
    [((0,), 0.5), ((0, 2), 0.75), ((0, 2), 1.0)]
    """
    whole = task_of(pool, objective, cascades, 1, accounting, compare, shared, worst_case_cost)
    grids = whole.grids()
    ranking = whole.ranking
    shards = [
        Shard(pool, objective, part, accounting, compare, shared, worst_case_cost, gap, grids)
        for part in split_cascades(ranking.cascades, workers * SHARDS_PER_WORKER)
    ]
    rank = {members: place for place, members in enumerate(ranking.cascades)}
    width = max(ranking.lengths) - 1
    fronts: list[Settings] = []
    notes: dict[str, None] = {}
    done = 0
    for found in run(shards):
        fronts.append(_ranked_in_whole(found, rank, width))
        notes |= dict.fromkeys(found.notes)
        done += len(found.cascades)
        if progress is not None:
            progress(done, len(rank))
    return whole.result(front_of(*fronts), list(notes))


def split_cascades(cascades: Sequence[Cascade], parts: int) -> list[list[Cascade]]:
    """At most ``parts`` lists of about as many cascades each, those of equal first models together.

    Cascades that begin alike share stages, which one worker then makes once.

    >>> split_cascades([(0,), (0, 1), (0, 2), (1,), (1, 2)], 2)
    [[(0,), (1,), (1, 2)], [(0, 1), (0, 2)]]
    """
    groups: dict[Cascade, list[Cascade]] = {}
    for members in cascades:
        groups.setdefault(members[: min(2, len(members) - 1)], []).append(members)
    split: list[list[Cascade]] = [[] for _ in range(min(parts, len(groups)))]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(split, key=len).extend(group)
    return split


def _ranked_in_whole(found: ShardFront, rank: dict[Cascade, int], width: int) -> Settings:
    """The part's settings with ranks in the whole search and room for ``width`` cutoffs."""
    places = np.array([rank[members] for members in found.cascades], dtype=np.int64)
    own = found.settings
    cutoffs = np.zeros((len(own), width), dtype=np.int64)
    columns = min(width, own.cutoffs.shape[1])
    cutoffs[:, :columns] = own.cutoffs[:, :columns]
    return Settings(own.cost, own.score, places[own.rank], cutoffs)
