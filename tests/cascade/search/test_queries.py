"""Queries of one point, and searches with a gap: against the whole front."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.objective import F1, Accuracy
from cascade_exp.cascade.search import quads as search_quads
from cascade_exp.cascade.search import triples as search_triples
from cascade_exp.cascade.search.engine import query_target_accuracy, query_target_cost, search
from cascade_exp.errors import CascadeError
from tests.cascade.search.search_pools import Scored, pools, random_pool, reapply


def check_queries(pool, objective, budgets, goals, **options):
    front = search(pool, objective, **options).front
    for budget in budgets:
        found = query_target_cost(pool, objective, budget, **options)
        assert found.exact
        assert found.front == [point for point in front if point.cost <= budget][-1:]
    for goal in goals:
        found = query_target_accuracy(pool, objective, goal, **options)
        assert found.exact
        assert found.front == [point for point in front if point.score >= goal][:1]


def around(values):
    """The values, the doubles next to them, and what lies beyond either end."""
    values = np.array(values)
    near = [values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)]
    return [*np.concatenate(near).tolist(), 0.0, values.max() + 1]


@given(
    pools(Accuracy(), max_size=6),
    st.data(),
    st.integers(1, 4),
    st.sampled_from(["cumulative", "exit_tier"]),
    st.sampled_from(["ge", "gt"]),
)
@settings(max_examples=60, deadline=None)
def test_tiny_pools(pool, data, stages, accounting, compare):
    options = {"max_stages": stages, "accounting": accounting, "compare": compare, "threads": 2}
    front = search(pool, Accuracy(), **options).front
    budgets = data.draw(st.lists(st.sampled_from(around([p.cost for p in front])), max_size=3))
    goals = data.draw(st.lists(st.sampled_from(around([p.score for p in front])), max_size=3))
    check_queries(pool, Accuracy(), budgets, goals, **options)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("objective", [F1("binary"), Accuracy()])
def test_any_objective_and_shared_thresholds(objective, shared):
    pool = random_pool(1, 4, 60, 12, objective=objective)
    front = search(pool, objective, max_stages=3, shared=shared).front
    budgets = [point.cost for point in front[::3]]
    goals = [point.score for point in front[::3]]
    check_queries(pool, objective, budgets, goals, max_stages=3, shared=shared)


@pytest.mark.parametrize("prefix_free", [True, False])
def test_many_cells(prefix_free, monkeypatch):
    monkeypatch.setattr(search_triples, "STRIPS", 0.7)
    monkeypatch.setattr(search_quads, "STRIPS", 1.8)
    pool = random_pool(9, 6, 700, 50, prefix_free)
    front = search(pool, Accuracy(), max_stages=4).front
    budgets = [point.cost * 1.0001 for point in front[::40]]
    goals = [point.score for point in front[::40]]
    check_queries(pool, Accuracy(), budgets, goals, max_stages=4)


def test_worst_case_limit():
    pool = random_pool(2, 5, 200, 30)
    limit = float(pool.cost[:3].sum())
    options = {"max_stages": 4, "worst_case_cost": limit}
    found = query_target_accuracy(pool, Accuracy(), 0.5, **options)
    assert (
        found.front
        == [point for point in search(pool, Accuracy(), **options).front if point.score >= 0.5][:1]
    )
    assert all(point.worst_case_cost <= limit for point in found.front)


@pytest.mark.parametrize("gap", [0.01, 0.3])
def test_a_gap_is_kept(gap):
    pool = random_pool(9, 6, 900, 10**9)
    exact = search(pool, Accuracy(), max_stages=4)
    near = search(pool, Accuracy(), max_stages=4, gap=gap)
    assert exact.exact
    assert not near.exact
    assert f"proven gap {gap}" in near.note
    scores = np.array([point.score for point in near.front])
    for point in exact.front:
        cost = near.front[int(np.searchsorted(scores, point.score))].cost
        assert point.cost <= cost <= point.cost / (1 - gap) * (1 + 1e-12)
    for point in near.front:
        assert reapply(pool, point, Accuracy()) == (point.cost, point.score)


def test_a_gap_changes_nothing_up_to_three_stages():
    pool = random_pool(9, 5, 300, 40)
    assert search(pool, Accuracy(), max_stages=3, gap=0.2) == search(pool, Accuracy(), max_stages=3)


@pytest.mark.parametrize("gap", [-0.1, 1.0, float("nan")])
def test_no_gap_outside_its_range(gap):
    with pytest.raises(CascadeError, match="expected a share from 0 to below 1"):
        search(random_pool(0, 2, 9, 9), Accuracy(), gap=gap)


def test_a_grid_is_told(monkeypatch):
    monkeypatch.setattr("cascade_exp.cascade.search.sweep.SETTINGS_BUDGET", 300)
    pool = random_pool(3, 3, 80, 10**9)
    result = search(pool, Scored(), max_stages=3)
    assert not result.exact
    assert (
        "3 stages: 17 evenly spaced cutoffs for each threshold, both ends included" in result.note
    )
    for point in result.front:
        assert reapply(pool, point, Accuracy()) == (point.cost, point.score)
