"""More than four stages, and costs of the answering stage alone, against literal thresholds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.objective import Accuracy
from cascade_exp.cascade.search import boxes as search_boxes
from cascade_exp.cascade.search.engine import search
from tests.cascade.search.search_pools import (
    check_against_oracle,
    check_against_sweep,
    pools,
    random_pool,
    reapply,
)
from tests.oracles import literal_thresholds as oracle

COMPARES = st.sampled_from(["ge", "gt"])


@given(pools(Accuracy(), max_size=6), st.integers(3, 4), COMPARES)
@settings(max_examples=100, deadline=None)
def test_costs_of_the_answering_stage_alone(pool, stages, compare):
    check_against_oracle(pool, Accuracy(), stages, "exit_tier", compare)


@given(pools(Accuracy(), max_models=5, max_size=4), COMPARES)
@settings(max_examples=40, deadline=None)
def test_five_stages(pool, compare):
    check_against_oracle(pool, Accuracy(), 5, compare=compare)


@given(pools(Accuracy(), max_size=6), st.data(), st.sampled_from(["cumulative", "exit_tier"]))
@settings(max_examples=100, deadline=None)
def test_stages_in_any_order_of_cost(pool, data, accounting):
    models = len(pool.names)
    members = tuple(data.draw(st.permutations(range(models))))
    result = search(pool, Accuracy(), cascades=[members], accounting=accounting)
    assert result.front == oracle.front(pool, [members], Accuracy(), accounting)


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 120),
    levels=st.sampled_from([2, 5, 12]),
    accounting=st.sampled_from(["cumulative", "exit_tier"]),
)
@settings(max_examples=25, deadline=None)
def test_larger_pools(seed, size, levels, accounting):
    pool = random_pool(seed, 5, size, levels)
    cascades = [(0, 1, 2), (1, 2, 3, 4), (0, 1, 2, 3, 4)][: 3 if levels < 12 else 2]
    check_against_sweep(pool, 5, "ge", cascades, accounting)


def test_costs_that_are_no_binary_fractions():
    pool = random_pool(4, 4, 200, 8, costs=(0.1, 0.2, 0.3, 0.7))
    check_against_sweep(pool, 4, "ge", [(0, 1, 2), (0, 2, 3), (0, 1, 2, 3)], "exit_tier")


def test_five_stages_that_all_order_differently():
    pool = random_pool(2, 5, 60, 10**9)
    three = search(pool, Accuracy(), max_stages=4)
    five = search(pool, Accuracy(), max_stages=5)
    assert five.exact
    best = {point.score: point.cost for point in five.front}
    for point in three.front:  # no worse anywhere than with fewer stages
        assert min(cost for score, cost in best.items() if score >= point.score) <= point.cost
    for point in five.front:
        assert reapply(pool, point, Accuracy()) == (point.cost, point.score)


def test_too_many_boxes_are_reported():
    pool = random_pool(6, 5, 300, 10**9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_boxes, "BOXES_BUDGET", 1)
        patch.setattr(search_boxes, "BOXES_AT_ONCE", 50)
        result = search(pool, Accuracy(), cascades=[(0,), (0, 1, 2, 3, 4)])
    assert not result.exact
    assert "5 stages: 1 of 1 cascades not searched to the end (50 boxes" in result.note
    assert len(result.front) > 1
    for point in result.front:
        assert reapply(pool, point, Accuracy()) == (point.cost, point.score)


def test_state_grows_when_needed():
    pool = random_pool(6, 3, 500, 10**9)
    with pytest.MonkeyPatch.context() as patch:
        first_state = search_boxes._first_state

        def small(size: int, thresholds: int):
            state = first_state(size, thresholds)
            return state._replace(
                boxes=state.boxes[:2],
                lists=state.lists[:2],
                decided=state.decided[:2],
                arena=state.arena[: size + 1],
            )

        patch.setattr(search_boxes, "_first_state", small)
        grown = search(pool, Accuracy(), cascades=[(0, 1, 2)], accounting="exit_tier")
    assert grown == search(pool, Accuracy(), cascades=[(0, 1, 2)], accounting="exit_tier")
