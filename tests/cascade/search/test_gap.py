"""Searches with a gap, against the exact front."""

from __future__ import annotations

import numpy as np
import pytest

from cascade_exp.cascade.objective import Accuracy
from cascade_exp.cascade.search.engine import search
from cascade_exp.errors import CascadeError
from tests.cascade.search.search_pools import Scored, random_pool, reapply


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


def test_a_grid_is_noted(monkeypatch):
    monkeypatch.setattr("cascade_exp.cascade.search.sweep.SETTINGS_BUDGET", 300)
    pool = random_pool(3, 3, 80, 10**9)
    result = search(pool, Scored(), max_stages=3)
    assert not result.exact
    assert (
        "3 stages: 17 evenly spaced cutoffs for each threshold, both ends included" in result.note
    )
    for point in result.front:
        assert reapply(pool, point, Accuracy()) == (point.cost, point.score)
