"""A search in parts against the same search in one piece: the same front to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.objective import F1, Accuracy
from cascade_exp.cascade.search import sweep as search_sweep
from cascade_exp.cascade.search.engine import cascades_of, search
from cascade_exp.cascade.search.shards import Shard, search_shards, split_cascades
from cascade_exp.errors import CascadeError
from tests.cascade.search.search_pools import one_model, pools, random_pool


def in_turn(shards):
    """Run the parts here, the last one first."""
    return map(Shard.front, reversed(shards))


def same(pool, objective, cascades, workers=2, **options):
    whole = search(pool, objective, cascades=cascades, **options)
    parts = search_shards(
        pool, objective, cascades=cascades, run=in_turn, workers=workers, **options
    )
    assert parts == whole
    return whole


@given(
    pools(Accuracy(), max_size=8),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["cumulative", "exit_tier"]),
    st.sampled_from(["ge", "gt"]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_by_accuracy(pool, stages, workers, accounting, compare, shared):
    cascades = cascades_of(pool.cost, stages)
    same(pool, Accuracy(), cascades, workers, accounting=accounting, compare=compare, shared=shared)


@given(pools(F1("binary"), max_size=6), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_by_f1(pool, stages, workers):
    same(pool, F1("binary"), cascades_of(pool.cost, stages), workers)


@pytest.mark.parametrize("prefix_free", [True, False])
@pytest.mark.parametrize("stages", [3, 4])
def test_many_cascades(prefix_free, stages):
    pool = random_pool(3, 6, 150, 40, prefix_free)
    found = same(pool, Accuracy(), cascades_of(pool.cost, stages), 3)
    assert found.exact and len(found.front) > 10


def test_parts_sweep_the_grid_of_the_whole(monkeypatch):
    monkeypatch.setattr(search_sweep, "SETTINGS_BUDGET", 2000)
    pool = random_pool(4, 4, 60, 30, objective=F1("binary"))
    found = same(pool, F1("binary"), cascades_of(pool.cost, 3), 2)
    assert not found.exact and "evenly spaced" in found.note


def test_a_worst_case_that_leaves_nothing_is_refused_as_ever():
    with pytest.raises(CascadeError, match=r"no cascade with worst case <= 0.5"):
        search_shards(
            one_model(4),
            Accuracy(),
            cascades=[(0,)],
            run=in_turn,
            workers=2,
            worst_case_cost=0.5,
        )


def test_progress_counts_cascades():
    pool = random_pool(5, 5, 40, 10)
    cascades = cascades_of(pool.cost, 2)
    reports = []
    search_shards(
        pool,
        Accuracy(),
        cascades=cascades,
        run=in_turn,
        workers=2,
        progress=lambda done, total: reports.append((done, total)),
    )
    assert reports[-1] == (len(cascades), len(cascades))
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


@given(st.integers(1, 7), st.integers(1, 4), st.integers(1, 20))
def test_every_cascade_is_in_one_part(models, stages, parts):
    cascades = cascades_of(np.arange(1.0, models + 1), stages)
    split = split_cascades(cascades, parts)
    assert sorted(c for part in split for c in part) == sorted(cascades)
    assert all(split) and len(split) <= parts
