"""Which tiers, and which cascades of them, a search over tiers looks at, within a budget.

Sets of models and their order only; thresholds are swept by ``search``, votes are ``tiers``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from cascade_exp.cascade.stages import Floats, Ints

Tier = tuple[int, ...]


@dataclass(frozen=True)
class TierSets:
    """Single models first, then sets of several by size.

    Attributes:
        tiers: indices of models, growing.
        complete: whether the limit left none out.

    >>> found = tier_sets(3, [2, 3], 2)
    >>> found.tiers, found.complete
    ([(0,), (1,), (2,), (0, 1), (0, 2)], False)
    """

    tiers: list[Tier]
    complete: bool


def tier_sets(
    models: int, sizes: Sequence[int], limit: int, places: Sequence[int] | None = None
) -> TierSets:
    """Every model alone, and every set of ``sizes`` models, smaller ones first, up to ``limit``.

    Args:
        places: by model, where it runs, since a tier is in one place; None: all in one.

    >>> tier_sets(3, [2], 10).tiers
    [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    """
    several = (
        tier
        for size in sorted({*sizes} - {1})
        for tier in combinations(range(models), size)
        if places is None or len({places[model] for model in tier}) == 1
    )
    found = list(islice(several, limit + 1))
    alone = [(m,) for m in range(models)]
    return TierSets([*alone, *found[:limit]], len(found) <= limit)


def tier_cascades(
    tiers: Sequence[Tier],
    order: Floats,
    max_stages: int,
    first: Sequence[int],
    last: Sequence[int],
) -> Iterator[tuple[int, ...]]:
    """Every cascade of 1..``max_stages`` tiers by growing ``order``, no model in two of them.

    Yields the single stages of ``last``, then cascades whose tiers but the last are of ``first``;
    tiers of equal order come either way round.

    Args:
        tiers: models by tier. order: float64 [tiers], their cost, or what stands for it.
        first: tiers that may be any but the last. last: tiers that may be the last.

    >>> tiers = [(0,), (1,), (0, 1), (2,)]
    >>> list(tier_cascades(tiers, np.array([1.0, 2.0, 3.0, 5.0]), 2, first=[2], last=[0, 3]))
    [(0,), (3,), (2, 3)]
    """
    held = [sum(1 << model for model in tier) for tier in tiers]
    firsts = sorted(first, key=lambda t: (order[t], t))
    lasts = sorted(last, key=lambda t: (order[t], t))
    first_order, last_order = [order[t] for t in firsts], [order[t] for t in lasts]

    def longer(run: tuple[int, ...], used: int, length: int) -> Iterator[tuple[int, ...]]:
        least = order[run[-1]] if run else -np.inf
        ends = len(run) + 1 == length
        choices, orders = (lasts, last_order) if ends else (firsts, first_order)
        for tier in choices[bisect_left(orders, least) :]:
            if not used & held[tier]:
                if ends:
                    yield (*run, tier)
                else:
                    yield from longer((*run, tier), used | held[tier], length)

    for length in range(1, max_stages + 1):
        yield from longer((), 0, length)


def front_layers(score: Floats, cost: Floats) -> Ints:
    """The layer int64 [T] of each tier: 0 on the front of score [T] and cost [T], 1 on the front of
    the rest, and so on. Of equal ones the first is before.

    >>> front_layers(np.array([0.5, 0.9, 0.4]), np.array([1.0, 2.0, 3.0])).tolist()
    [0, 0, 1]
    """
    layer = np.full(len(score), -1, dtype=np.int64)
    left = np.lexsort((np.arange(len(score)), -score, cost))
    number = 0
    while len(left):
        best = np.concatenate([[-np.inf], np.maximum.accumulate(score[left])[:-1]])
        on_front = score[left] > best
        layer[left[on_front]] = number
        left = left[~on_front]
        number += 1
    return layer


def within_budget(
    tiers: Sequence[Tier],
    cost: Floats,
    score: Callable[[], Floats],
    max_stages: int,
    alone_only_last: bool,
    budget: int,
    order: Floats | None = None,
) -> tuple[list[tuple[int, ...]], int]:
    """At most ``budget`` cascades of tiers, and how many tiers of several models they are out of.

    All of them where they are few enough. Else tiers of several models are taken layer by layer
    from the front of score and cost, cheaper ones first, as many as keep within the budget; single
    models are always taken.

    Args:
        score: gives float64 [T], the score of each tier alone; asked only where tiers are left out.
        alone_only_last: whether one model may be the last tier only (so in a vote).
        order: float64 [T], by which cascades grow; None: their cost.

    >>> tiers = [(0,), (1,), (2,), (0, 1)]
    >>> cost, score = np.array([1.0, 2.0, 5.0, 3.0]), np.array([0.5, 0.75, 1.0, 0.75])
    >>> within_budget(tiers, cost, lambda: score, 2, alone_only_last=True, budget=10)
    ([(0,), (1,), (3,), (2,), (3, 2)], 1)
    >>> within_budget(tiers, cost, lambda: score, 2, alone_only_last=True, budget=3)
    ([(0,), (1,), (2,)], 0)
    """
    alone = [t for t, tier in enumerate(tiers) if len(tier) == 1]
    several = [t for t, tier in enumerate(tiers) if len(tier) > 1]
    ranked = several
    grows = cost if order is None else order

    def cascades(taken: int) -> list[tuple[int, ...]]:
        some = ranked[:taken]
        firsts = some if alone_only_last else [*alone, *some]
        every = tier_cascades(tiers, grows, max_stages, firsts, [*alone, *some])
        return list(islice(every, budget + 1))

    taken = len(ranked)
    if len(cascades(taken)) > budget:
        layer = front_layers(score()[several], cost[several])
        ranked = [several[i] for i in np.lexsort((cost[several], layer)).tolist()]
        taken = bisect_left(range(len(ranked)), True, key=lambda n: len(cascades(n)) > budget) - 1
    return cascades(max(taken, 0))[:budget], max(taken, 0)
