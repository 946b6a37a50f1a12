"""The search against the literal-threshold oracle, on small pools with heavy ties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.objective import F1, Accuracy
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.search.engine import cascades_of, search
from cascade_exp.errors import CascadeError
from tests.cascade.search.search_pools import TablePool, check_against_oracle, one_model, pools

ACCOUNTINGS = st.sampled_from(["cumulative", "exit_tier"])
COMPARES = st.sampled_from(["ge", "gt"])


@given(pools(Accuracy(), max_size=9), ACCOUNTINGS, COMPARES)
@settings(max_examples=200, deadline=None)
def test_pairs_by_accuracy(pool, accounting, compare):
    check_against_oracle(pool, Accuracy(), 2, accounting, compare)


@given(pools(F1("binary")), ACCOUNTINGS, COMPARES, st.booleans())
@settings(max_examples=100, deadline=None)
def test_pairs_by_binary_f1(pool, accounting, compare, shared):
    check_against_oracle(pool, F1("binary"), 2, accounting, compare, shared)


@given(pools(F1("macro")), ACCOUNTINGS, COMPARES)
@settings(max_examples=100, deadline=None)
def test_pairs_by_macro_f1(pool, accounting, compare):
    check_against_oracle(pool, F1("macro"), 2, accounting, compare)


@given(pools(F1("binary"), max_models=4, max_size=5), st.integers(3, 4), ACCOUNTINGS, COMPARES)
@settings(max_examples=60, deadline=None)
def test_more_stages_by_f1(pool, stages, accounting, compare):
    check_against_oracle(pool, F1("binary"), stages, accounting, compare)


@given(pools(Accuracy(), max_size=6), st.integers(2, 4), ACCOUNTINGS, COMPARES)
@settings(max_examples=100, deadline=None)
def test_one_threshold_for_all_stages(pool, stages, accounting, compare):
    check_against_oracle(pool, Accuracy(), stages, accounting, compare, shared=True)


@given(pools(Accuracy()), ACCOUNTINGS, st.sampled_from([0.5, 2.0, 3.0, 9.0]))
@settings(max_examples=60, deadline=None)
def test_worst_case_limit(pool, accounting, limit):
    check_against_oracle(pool, Accuracy(), 2, accounting, limit=limit)


@given(
    st.integers(1, 3),
    st.integers(1, 12),
    st.integers(2, 3),
    st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_two_classes_have_one_front_under_four_metrics(models, size, stages, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    logits = {f"m{m}": rng.integers(-40, 41, (size, 2)) / 8 for m in range(models)}  # gaps to 10
    fronts = []
    for metric in ("max_softmax", "entropy", "softmax_margin", "logits_margin"):
        pool = LogitsPool.build(
            logits,
            {name: 10.0**m for m, name in enumerate(logits)},
            labels,
            metric=make_metric(metric),
            objective=Accuracy(),
        )
        found = search(pool, Accuracy(), max_stages=stages).front
        fronts.append([(point.members, point.cost, point.score) for point in found])
    assert fronts[0] == fronts[1] == fronts[2] == fronts[3]


def test_equal_costs_run_in_either_order():
    assert cascades_of(np.array([2.0, 1.0, 2.0]), 3) == [
        (1,),
        (0,),
        (2,),
        (1, 0),
        (1, 2),
        (0, 2),
        (2, 0),
        (1, 0, 2),
        (1, 2, 0),
    ]


def test_an_empty_split_is_refused():
    with pytest.raises(CascadeError, match="the split is empty"):
        search(one_model(0), Accuracy())


def test_nan_is_refused():
    pool = one_model(3)
    confidence = np.array([0.5, np.nan, 0.5])
    pool.stages[(1,)] = replace(pool.stages[(0,)], confidence=confidence)
    with pytest.raises(CascadeError, match="example 1 is NaN"):
        search(
            TablePool(("a", "b"), np.array([1.0, 2.0]), pool.stages), Accuracy(), cascades=[(1, 0)]
        )


@pytest.mark.parametrize(
    ("cascades", "message"),
    [([(0, 3)], "expected indices of models from 0 to 0"), ([()], "at least one model")],
)
def test_impossible_cascades_are_refused(cascades, message):
    with pytest.raises(CascadeError, match=message):
        search(one_model(2), Accuracy(), cascades=cascades)
