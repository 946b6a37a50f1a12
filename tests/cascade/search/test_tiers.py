"""Candidates of a search over tiers against every sequence of sets, filtered."""

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.search.tiers import (
    front_layers,
    tier_cascades,
    tier_sets,
    within_budget,
)

COSTS = st.lists(st.sampled_from([1.0, 2.0, 2.0, 5.0]), min_size=1, max_size=4)


def literal(tiers, cost, max_stages, first, last):
    """Every sequence of tiers that is allowed."""
    return {
        run
        for length in range(1, max_stages + 1)
        for run in permutations(range(len(tiers)), length)
        if all(t in first for t in run[:-1])
        and run[-1] in last
        and all(cost[a] <= cost[b] for a, b in pairwise(run))
        and len({m for t in run for m in tiers[t]}) == sum(len(tiers[t]) for t in run)
    }


@given(COSTS, st.integers(1, 3), st.booleans())
def test_cascades_are_every_disjoint_sequence_by_cost(costs, max_stages, alone_first):
    tiers = tier_sets(len(costs), [2, 3], 100).tiers
    cost = np.array([sum(costs[m] for m in tier) for tier in tiers])
    first = [t for t, tier in enumerate(tiers) if alone_first or len(tier) > 1]
    found = list(tier_cascades(tiers, cost, max_stages, first, range(len(tiers))))
    assert len(found) == len(set(found))
    assert set(found) == literal(tiers, cost, max_stages, first, range(len(tiers)))


def test_sets_come_smaller_first_and_say_when_some_are_left_out():
    assert tier_sets(4, [3, 2], 100).tiers[4:] == [
        *combinations(range(4), 2),
        *combinations(range(4), 3),
    ]
    assert tier_sets(4, [2], 6).complete and not tier_sets(4, [2], 5).complete
    assert len(tier_sets(4, [2], 5).tiers) == 9
    assert tier_sets(1, [2, 5], 10).tiers == [(0,)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), max_size=12))
def test_layers_are_fronts_of_what_is_left(points):
    score, cost = np.array(points, dtype=float).reshape(-1, 2).T
    layer = front_layers(score, cost)
    left = list(range(len(points)))
    number = 0
    while left:
        front = [
            i
            for i in left
            if not any(
                (cost[j], -score[j], j) < (cost[i], -score[i], i) and score[j] >= score[i]
                for j in left
            )
        ]
        assert [i for i in left if layer[i] == number] == front
        left = [i for i in left if i not in front]
        number += 1


@pytest.mark.parametrize("budget", [1, 4, 7, 20, 1000])
def test_the_budget_is_kept_and_the_best_tiers_stay(budget):
    rng = np.random.default_rng(3)
    tiers = tier_sets(4, [2, 3], 100).tiers
    cost = np.array([float(sum(m + 1 for m in tier)) for tier in tiers])
    score = rng.random(len(tiers))
    cascades, taken = within_budget(tiers, cost, lambda: score, 2, True, budget)
    assert len(cascades) <= budget
    everything = literal(tiers, cost, 2, range(4, len(tiers)), range(len(tiers)))
    assert set(cascades) <= everything
    if budget >= len(everything):
        assert set(cascades) == everything and taken == len(tiers) - 4
    else:
        more, _ = within_budget(tiers, cost, lambda: score, 2, True, 10**6)
        used = {t for run in cascades for t in run if t >= 4}
        layers = front_layers(score[4:], cost[4:])
        assert len(used) == taken
        assert all(layers[t - 4] <= max(layers[u - 4] for u in used) for t in used)
        assert len(more) == len(everything)
