"""Three stages by bounds: against literal thresholds on tiny pools, a full sweep on larger ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.objective import Accuracy
from cascade_exp.cascade.search import triples as search_triples
from cascade_exp.cascade.search.engine import search
from tests.cascade.search.search_pools import (
    check_against_oracle,
    check_against_sweep,
    pools,
    random_pool,
)

COMPARES = st.sampled_from(["ge", "gt"])


@given(pools(Accuracy(), max_size=8), COMPARES)
@settings(max_examples=200, deadline=None)
def test_tiny_pools(pool, compare):
    check_against_oracle(pool, Accuracy(), 3, compare=compare)


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 1000),
    levels=st.sampled_from([2, 7, 60, 10**6]),
    strips=st.sampled_from([0.3, 1.0, 2.3, 20.0]),
    prefix_free=st.booleans(),
    alike=st.sampled_from([0.0, 0.5, 0.9]),
    compare=COMPARES,
)
@settings(max_examples=40, deadline=None)
def test_larger_pools(seed, size, levels, strips, prefix_free, alike, compare):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_triples, "STRIPS", strips)
        pool = random_pool(seed, 4, size, levels, prefix_free, alike=alike)
        check_against_sweep(pool, 3, compare)


def test_more_models_than_lanes():
    pool = random_pool(3, 5, 150, 40)
    for m in range(5, 36):  # copies, so that the chunks of lanes differ in nothing but their place
        pool.stages[(m,)] = pool.stages[(m % 5,)]
    pool.names = tuple(f"m{m}" for m in range(36))
    pool.cost = np.concatenate([pool.cost, np.full(31, pool.cost[-1] + 1)])
    cascades = [(0, 1, third) for third in range(2, 36)] + [(0, 33, 34), (32, 33, 35), (31, 32, 2)]
    check_against_sweep(pool, 3, "ge", cascades)


def test_stages_kept_from_pass_to_pass_make_no_difference():
    pool = random_pool(5, 4, 100, 20, prefix_free=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_triples, "KEPT_BYTES", 1)
        patch.setattr("cascade_exp.cascade.search.source.KEPT_BYTES", 1)
        few_kept = search(pool, Accuracy(), max_stages=3)
    assert few_kept == search(pool, Accuracy(), max_stages=3)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_the_result(threads):
    pool = random_pool(11, 6, 700, 30, costs=(1.0, 2.0, 2.0, 4.0))
    result = search(pool, Accuracy(), max_stages=3, threads=threads)
    assert result == search(pool, Accuracy(), max_stages=3, threads=3)
    assert len(result.front) > 20


def test_progress_reaches_its_total():
    reports = []
    search(
        random_pool(0, 5, 50, 9), Accuracy(), max_stages=3, progress=lambda *at: reports.append(at)
    )
    assert reports[-1][0] == reports[-1][1] == max(total for _, total in reports)


def test_an_interrupt_ends_the_search_and_leaves_no_threads():
    import threading

    before = threading.active_count()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(random_pool(0, 5, 50, 9), Accuracy(), max_stages=3, progress=interrupt)
    assert threading.active_count() == before
