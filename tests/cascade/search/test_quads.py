"""Four stages by bounds: against literal thresholds on tiny pools, a full sweep on larger ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.objective import Accuracy
from cascade_exp.cascade.search import quads as search_quads
from cascade_exp.cascade.search.kernels.bits import span
from tests.cascade.search.search_pools import (
    check_against_oracle,
    check_against_sweep,
    pools,
    random_pool,
)

COMPARES = st.sampled_from(["ge", "gt"])


@given(pools(Accuracy(), max_size=6), COMPARES)
@settings(max_examples=100, deadline=None)
def test_tiny_pools(pool, compare):
    check_against_oracle(pool, Accuracy(), 4, compare=compare)


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 400),
    levels=st.sampled_from([2, 7, 20]),
    strips=st.sampled_from([0.4, 0.9, 2.0, 20.0]),
    wide=st.sampled_from([1, 3]),
    prefix_free=st.booleans(),
    alike=st.sampled_from([0.0, 0.5, 0.9]),
    compare=COMPARES,
)
@example(  # no valid cutoff at the corner of a box, every setting in it worse than the corner
    seed=0,
    size=379,
    levels=2,
    strips=0.9,
    wide=1,
    prefix_free=True,
    alike=0.5,
    compare="ge",
)
@settings(max_examples=40, deadline=None)
def test_larger_pools(seed, size, levels, strips, wide, prefix_free, alike, compare):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_quads, "STRIPS", strips)
        patch.setattr(search_quads, "WIDE_STRIPS", wide)
        check_against_sweep(
            random_pool(seed, 5, size, levels, prefix_free, alike=alike), 4, compare
        )


@pytest.mark.parametrize("size", [64, 130, 180])
def test_all_confidences_different(size):
    check_against_sweep(random_pool(size, 4, size, 10**9), 4, "ge", [(0, 1, 2, 3)])


def test_models_that_agree_on_the_order():
    pool = random_pool(8, 4, 160, 10**9)
    for m in range(1, 4):
        stage = pool.stages[(m,)]
        pool.stages[(m,)] = type(stage)(
            pool.stages[(0,)].confidence, stage.prediction, stage.statistics
        )
    check_against_sweep(pool, 4, "ge", [(0, 1, 2, 3)])


def test_more_models_than_lanes():
    pool = random_pool(3, 6, 120, 9)
    for m in range(6, 44):
        pool.stages[(m,)] = pool.stages[(m % 6,)]
    pool.names = tuple(f"m{m}" for m in range(44))
    pool.cost = np.concatenate([pool.cost, np.full(38, pool.cost[-1] + 1)])
    check_against_sweep(pool, 4, "ge", [(0, 1, 33, m) for m in range(2, 44) if m != 33])


@pytest.mark.parametrize("start", [-70, -24, 0, 5, 63, 64, 90])
@pytest.mark.parametrize("end", [-70, -24, 0, 5, 63, 64, 90])
def test_a_span_of_bits_may_lie_outside_of_its_word(start, end):
    expected = sum(1 << bit for bit in range(64) if start <= bit < end)
    assert int(span(start, end)) == expected
