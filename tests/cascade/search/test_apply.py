"""Many settings applied at once, against each applied literally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.objective import F1, Accuracy
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.search.apply import apply_settings
from cascade_exp.cascade.search.source import Source
from cascade_exp.cascade.sweep import total_cost
from tests.cascade.search.search_pools import CONFIDENCES, pools, random_pool


def check(pool, members, thresholds, accounting, compare):
    found = apply_settings(Source(pool, compare), members, thresholds, accounting)
    table = table_of(pool, members, accounting)
    n = len(members)
    assert found.left.shape == (len(thresholds), n)
    for p, row in enumerate(thresholds):
        outcome = table.run(row.tolist(), compare)
        left = np.bincount(outcome.exit_stage, minlength=n)
        assert found.left[p].tolist() == left.tolist()
        assert found.totals[p].tolist() == outcome.statistics.sum(axis=0).tolist()
        reached = (outcome.exit_stage[:, None] >= np.arange(n)).sum(axis=0)
        assert found.cost[p] == total_cost(reached, table.cost, accounting)
        assert found.cost[p] == pytest.approx(outcome.cost.sum())


OBJECTIVES = (Accuracy(), F1("binary"), F1("macro"))


@given(
    st.sampled_from(OBJECTIVES).flatmap(lambda it: pools(it, max_models=4, max_size=7)),
    st.data(),
    st.sampled_from(["cumulative", "exit_tier"]),
    st.sampled_from(["ge", "gt"]),
)
@settings(max_examples=200)
def test_tiny_pools(pool, data, accounting, compare):
    models = len(pool.names)
    members = tuple(data.draw(st.permutations(range(models)))[: data.draw(st.integers(1, models))])
    width = len(members) - 1
    values = st.sampled_from([*CONFIDENCES, 0.1, -1e300])  # met by confidences, and between them
    if data.draw(st.booleans()):
        shared = data.draw(st.lists(values, max_size=6))
        thresholds = np.array(shared, dtype=float)[:, None].repeat(width, axis=1)
    else:
        rows = data.draw(st.lists(st.lists(values, min_size=width, max_size=width), max_size=9))
        thresholds = np.array(rows, dtype=float).reshape(len(rows), width)
    check(pool, members, thresholds, accounting, compare)


@pytest.mark.parametrize("prefix_free", [True, False])
@pytest.mark.parametrize("stages", [2, 3, 4, 5])
@pytest.mark.parametrize("shared", [False, True])
def test_many_settings(stages, prefix_free, shared):
    pool = random_pool(1, stages, 300, 40, prefix_free, objective=F1("macro"))
    rng = np.random.default_rng(0)
    grid = np.concatenate([np.arange(41) / 40, [-np.inf, np.inf, 0.333]])
    thresholds = rng.choice(grid, (200, stages - 1))
    if shared:
        thresholds[:] = thresholds[:, :1]
    check(pool, tuple(range(stages)), thresholds, "cumulative", "ge")
