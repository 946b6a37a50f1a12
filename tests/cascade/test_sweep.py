"""One cascade at every threshold, against applying every threshold literally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.objective import F1
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.stages import Stage, StageTable
from cascade_exp.cascade.sweep import (
    ordering_of,
    settings_at,
    sweep_first,
    sweep_shared,
    total_cost,
)
from cascade_exp.errors import CascadeError
from tests.cascade.search.search_pools import CONFIDENCES, one_model, pools
from tests.oracles import literal_thresholds as oracle

ACCOUNTINGS = st.sampled_from(["cumulative", "exit_tier"])
COMPARES = st.sampled_from(["ge", "gt"])


def assert_literal(sweep, table, later, compare, accounting, tuples):
    assert sweep.thresholds.tolist() == [t[0] for t in tuples]
    for row, first in enumerate(tuples):
        thresholds = (*first, *later)
        left = oracle.exits(table.stages, thresholds, compare)
        assert sweep.total_cost[row] == oracle.total(left, table.cost, accounting)
        totals = sum(table.stages[s].statistics[x] for x, s in enumerate(left))
        assert sweep.totals[row].tolist() == totals.tolist()


@given(pools(F1("binary")), st.data(), ACCOUNTINGS, COMPARES)
@settings(max_examples=200, deadline=None)
def test_first_threshold_swept_with_later_ones_held(pool, data, accounting, compare):
    models = len(pool.names)
    n = data.draw(st.integers(1, models))
    members = tuple(data.draw(st.permutations(range(models)))[:n])
    table = table_of(pool, members, accounting)
    if n == 1:
        with pytest.raises(CascadeError, match="no threshold"):
            sweep_first(table, (), compare)
        return
    later = [data.draw(st.sampled_from([-np.inf, np.inf, *CONFIDENCES])) for _ in range(n - 2)]
    sweep = sweep_first(table, later, compare)
    tuples = [(t,) for t in oracle.candidate_thresholds(table.stages[0].confidence, compare)]
    assert_literal(sweep, table, later, compare, accounting, tuples)


@given(pools(F1("binary")), st.data(), ACCOUNTINGS, COMPARES)
@settings(max_examples=200, deadline=None)
def test_shared_threshold(pool, data, accounting, compare):
    models = len(pool.names)
    members = tuple(data.draw(st.permutations(range(models))))
    table = table_of(pool, members, accounting)
    if models == 1:
        with pytest.raises(CascadeError, match="no threshold"):
            sweep_shared(table, compare)
        return
    sweep = sweep_shared(table, compare)
    union = np.concatenate([stage.confidence for stage in table.stages[:-1]])
    tuples = [(t,) * (models - 1) for t in oracle.candidate_thresholds(union, compare)]
    assert_literal(sweep, table, (), compare, accounting, tuples)


@given(st.lists(st.sampled_from(CONFIDENCES), min_size=1, max_size=12), COMPARES)
def test_thresholds_let_exactly_the_first_cutoff_examples_go_on(confidence, compare):
    values = np.array(confidence)
    ordering = ordering_of(values, compare)
    assert np.array_equal(values[ordering.order], ordering.confidence)
    cutoffs = ordering.cutoffs
    for cutoff, threshold in zip(cutoffs, ordering.thresholds(cutoffs), strict=True):
        leaves = values >= threshold if compare == "ge" else values > threshold
        assert sorted(np.flatnonzero(~leaves)) == sorted(ordering.order[:cutoff])
        assert not (threshold == 0 and np.signbit(threshold))
    distinct = len(set(confidence))
    infinite = np.isposinf(values).any() if compare == "ge" else np.isneginf(values).any()
    assert len(cutoffs) == distinct + 1 - infinite


def test_total_cost_is_summed_in_stage_order():
    cost = np.array([0.1, 0.2, 0.3])
    reached = np.array([[10, 7, 3], [10, 10, 10]])
    assert total_cost(reached, cost).tolist() == [
        10 * 0.1 + 7 * 0.2 + 3 * 0.3,
        10 * 0.1 + 10 * 0.2 + 10 * 0.3,
    ]
    assert total_cost(reached, cost, "exit_tier").tolist() == [
        3 * 0.1 + 4 * 0.2 + 3 * 0.3,
        0.0 + 0.0 + 10 * 0.3,
    ]


def test_an_empty_split_is_refused():
    table = table_of(one_model(0), (0, 0))
    for sweep in (sweep_first, sweep_shared):
        with pytest.raises(CascadeError, match="the split is empty"):
            sweep(table)


@given(st.data(), st.sampled_from(["ge", "gt"]))
def test_thresholds_of_another_split_amount_to_settings(data, compare):
    values = st.sampled_from([-np.inf, 0.0, 0.25, 0.5, 1.0, np.inf])
    confidence = np.array(data.draw(st.lists(values, min_size=1, max_size=8)))
    thresholds = data.draw(st.lists(st.one_of(values, st.floats(-1, 2)), min_size=1, max_size=8))
    right = np.arange(len(confidence))[:, None] % 2
    stages = [Stage(confidence, right[:, 0], right), Stage(confidence, right[:, 0], 1 - right)]
    table = StageTable(("a", "b"), tuple(stages), np.array([1.0, 2.0]))
    sweep = sweep_first(table, [], compare)
    at = settings_at(sweep, confidence, np.array(thresholds), compare)
    for setting, threshold in zip(at, thresholds, strict=True):
        outcome = table.run([threshold], compare)
        assert sweep.total_cost[setting] == outcome.cost.sum()
        assert sweep.totals[setting].tolist() == outcome.statistics.sum(axis=0).tolist()
