"""Stages at places: costs that depend on the stage before, against following every example."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.links import links_of
from cascade_exp.cascade.objective import Accuracy
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.placed import PlacedPool, Placement
from cascade_exp.cascade.search.engine import cascades_of, search
from cascade_exp.cascade.search.tiers import tier_sets
from tests.cascade.search.search_pools import pools
from tests.oracles import placed as oracle

# sums of these are exact in floating point, so fronts can be compared as they are
COSTS = (0.25, 0.5, 0.5, 1.0, 4.0)
DELAYS = st.lists(st.sampled_from([0.0, 0.0, 0.5, 2.0, 8.0]), min_size=3, max_size=3).map(sorted)


@given(
    pools(Accuracy(), max_models=3, max_size=5, prefix_free=True, costs=COSTS),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
    DELAYS,
    st.integers(1, 3),
    st.sampled_from(["cumulative", "exit_tier"]),
    st.sampled_from(["ge", "gt"]),
)
@settings(max_examples=80, deadline=None)
def test_the_front_over_places_is_that_of_following_every_example(
    pool, places, delays, stages, accounting, compare
):
    place = places[: len(pool.names)]
    links = links_of(3, delays, 0.0, None, "constant", 0.0)
    placement = Placement.of(place, links, accounting)
    placed = PlacedPool(pool, pool.cost, placement)
    runs = cascades_of(placement.order(pool.cost), stages)
    own = [{m} for m in range(len(place))]
    literal = sorted(oracle.cascades(place, pool.cost.tolist(), own, stages))
    assert sorted(runs) == literal
    found = search(
        placed,
        Accuracy(),
        cascades=[placement.members(run) for run in runs],
        accounting=accounting,
        compare=compare,
    ).front
    each = [pool.stage((m,)) for m in range(len(place))]
    expected = oracle.front(each, literal, place, pool.cost.tolist(), delays, accounting, compare)
    assert [(p.cost, p.score) for p in found] == [
        (cost / pool.size, right / pool.size) for cost, right in expected
    ]
    for point in found:  # results name stages; the same cascade is found again by them
        names = [placed.names[m] for m in point.members]
        assert placement.members([pool.names.index(name) for name in names]) == point.members
        worst = oracle.waited(
            [pool.names.index(name) for name in names],
            len(names) - 1,
            place,
            pool.cost.tolist(),
            delays,
            "cumulative",
        )
        if accounting == "cumulative":
            assert point.worst_case_cost == worst
            assert table_of(placed, point.members).worst_case_cost == worst


def test_what_a_link_adds_depends_on_where_the_stage_before_ran():
    links = links_of(3, [0.0, 1.0, 5.0], 0.0, None, "constant", 0.0)
    placement = Placement.of([0, 2, 1], links, "cumulative")
    assert placement.stage[:3].tolist() == [0, 1, 2]
    assert placement.adds[:3].tolist() == [0.0, 5.0, 1.0]

    def added(cascade):
        return placement.adds[list(placement.members(cascade))].tolist()

    assert added([0, 1]) == [0.0, 5.0]
    assert added([2, 1]) == [1.0, 4.0]
    assert added([0, 2, 1]) == [0.0, 1.0, 4.0]
    with pytest.raises(KeyError):
        placement.members([1, 0])  # back from the cloud
    later = Placement.of([0, 2, 1], links, "exit_tier")
    assert later.adds[list(later.members([0, 2, 1]))].tolist() == [0.0, 1.0, 5.0]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=5))
def test_a_tier_is_in_one_place(places):
    found = tier_sets(len(places), [2, 3], 100, places)
    alone = [(m,) for m in range(len(places))]
    together = [
        tier
        for size in (2, 3)
        for tier in combinations(range(len(places)), size)
        if all(places[m] == places[tier[0]] for m in tier)
    ]
    assert found.tiers == [*alone, *together] and found.complete
