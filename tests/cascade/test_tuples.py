"""Pairs and triples computed together are those of their own passes, to the last bit."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.ensembling import MEANS
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools import logits as module
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.search.engine import search
from cascade_exp.errors import CascadeError

METRICS = ("max_softmax", "entropy", "softmax_margin")


def pool_of(outputs, labels, ensemble, metric="max_softmax", temperatures=None) -> LogitsPool:
    names = {f"m{m}": logits for m, logits in enumerate(outputs)}
    return LogitsPool.build(
        names,
        {name: 2.0**m for m, name in enumerate(names)},
        labels,
        metric=make_metric(metric),
        objective=make_objective("accuracy"),
        ensemble=ensemble,
        temperatures=dict(zip(names, temperatures, strict=True)) if temperatures else None,
    )


def drawn(seed, models, size, classes, levels, dtype):
    """Logits with few levels, so that sums tie; one model repeats another, one is constant."""
    rng = np.random.default_rng(seed)
    outputs = [
        (rng.integers(0, levels, (size, classes)) / 3 - 1).astype(dtype) for _ in range(models)
    ]
    outputs[-1] = outputs[0].copy()
    if models > 3:
        outputs[2] = np.zeros((size, classes), dtype)
    return outputs, rng.integers(0, classes, size)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    models=st.integers(3, 5),
    size=st.sampled_from([1, 2, 30]),
    classes=st.sampled_from([1, 2, 5, 300]),
    levels=st.sampled_from([1, 2, 4, 10**4]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    ensemble=st.sampled_from(sorted(MEANS)),
    metric=st.sampled_from(METRICS),
    hot=st.booleans(),
)
def test_together_is_as_alone(seed, models, size, classes, levels, dtype, ensemble, metric, hot):
    outputs, labels = drawn(seed, models, size, classes, levels, dtype)
    temperatures = [0.7 + 0.3 * m for m in range(models)] if hot else None
    together = pool_of(outputs, labels, ensemble, metric, temperatures)
    alone = pool_of(outputs, labels, ensemble, metric, temperatures)
    pairs = list(combinations(range(models), 2))
    triples = [(2, 0, 1), *combinations(range(models), 3)]
    together.prefetch(pairs[1:], [*pairs, *triples])
    assert together._together is not None
    for pair in pairs:
        one, other = together.stage(pair), alone.stage(pair)
        np.testing.assert_array_equal(
            one.confidence.view(np.int64), other.confidence.view(np.int64)
        )
        np.testing.assert_array_equal(one.prediction, other.prediction)
        np.testing.assert_array_equal(one.statistics, other.statistics)
    for members in triples:
        np.testing.assert_array_equal(
            together.final_statistics(members), alone.stage(members).statistics
        )


@pytest.mark.parametrize("ensemble", sorted(MEANS))
@pytest.mark.parametrize("held", [0, 2500, 1 << 30])
def test_the_front_is_the_same_whatever_is_held(ensemble, held, monkeypatch):
    outputs, labels = drawn(3, 5, 60, 7, 5, np.float32)
    expected = search(alone := pool_of(outputs, labels, ensemble), alone.objective, max_stages=3)
    monkeypatch.setattr(LogitsPool, "prefetch", lambda *_: None)
    literal = search(alone := pool_of(outputs, labels, ensemble), alone.objective, max_stages=3)
    assert expected.front == literal.front
    monkeypatch.undo()
    monkeypatch.setattr(module, "TOGETHER_BYTES", held)
    found = search(pool := pool_of(outputs, labels, ensemble), pool.objective, max_stages=3)
    assert found.front == literal.front
    kept = 0 if pool._together is None else len(pool._together.pairs)
    assert (kept == 0, kept == 10) == (held == 0, held == 1 << 30)


def test_scores_that_may_overflow_are_left_to_their_own_pass():
    outputs, labels = drawn(0, 3, 4, 3, 4, np.float64)
    outputs[1][2, 1] = 1.5e308
    outputs[0][2, 1] = 1.5e308
    pool = pool_of(outputs, labels, "mean_logits")
    pool.prefetch([(0, 1)], [(0, 1, 2)])
    assert pool._together is None
    with pytest.raises(CascadeError, match="row 2"):
        pool.stage((0, 1))


def test_a_row_that_is_not_finite_is_named():
    outputs, labels = drawn(0, 3, 4, 3, 4, np.float32)
    outputs[1][2, 1] = np.nan
    with pytest.raises(CascadeError, match="m1: row 2, class 1"):
        pool_of(outputs, labels, "mean_softmax").prefetch([(0, 1)], [(0, 1, 2)])
