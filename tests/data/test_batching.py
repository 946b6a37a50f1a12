"""Every example once an epoch; buckets; fixed batches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.data.batching import POOL, FixedBatches, ShuffledBatches
from cascade_exp.errors import CascadeError

sizes = st.integers(0, 400)
batch_sizes = st.integers(1, 20)


def lengths_of(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 30, size)


@given(sizes, batch_sizes, st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_an_epoch_holds_each_example_exactly_once(size, batch_size, seed, epoch, bucketed):
    lengths = lengths_of(size, seed) if bucketed else None
    sampler = ShuffledBatches(size, batch_size, seed, lengths)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert Counter(int(i) for batch in batches for i in batch) == Counter(range(size))
    assert len(batches) == len(sampler) == -(-size // batch_size)
    held = [len(batch) for batch in batches]
    assert not held or (max(held) <= batch_size and max(held) - min(held) <= 1)


@given(sizes, batch_sizes, st.booleans())
def test_fixed_batches_hold_each_example_once_and_always_alike(size, batch_size, bucketed):
    lengths = lengths_of(size, 0) if bucketed else None
    sampler = FixedBatches(size, batch_size, lengths)
    first, second = list(sampler), list(sampler)
    order = [int(i) for batch in first for i in batch]
    assert sorted(order) == list(range(size))
    assert order == [int(i) for batch in second for i in batch]
    assert len(sampler) == len(first)
    if lengths is None:
        assert order == list(range(size))
    else:
        assert (np.diff(lengths[order]) >= 0).all()


def test_the_epoch_and_the_seed_decide_the_order():
    def order(sampler: ShuffledBatches) -> list[list[int]]:
        return [batch.tolist() for batch in sampler]

    sampler = ShuffledBatches(50, 8, seed=3)
    first, second = order(sampler), order(sampler)
    assert first != second
    sampler.set_epoch(0)
    assert order(sampler) == first
    assert order(ShuffledBatches(50, 8, seed=4)) == second  # seed + epoch
    sampler.set_epoch(7)
    other = ShuffledBatches(50, 8, seed=3)
    other.set_epoch(7)
    assert order(sampler) == order(other)


def test_buckets_hold_near_equals_in_shuffled_batches():
    lengths = lengths_of(64 * POOL, 0)
    bucketed = list(ShuffledBatches(len(lengths), 16, 0, lengths))
    unsorted = list(ShuffledBatches(len(lengths), 16, 0))
    padded = sum(len(batch) * lengths[batch].max() for batch in bucketed)
    assert padded < 1.15 * lengths.sum()
    assert sum(len(batch) * lengths[batch].max() for batch in unsorted) > 1.5 * lengths.sum()
    firsts = [lengths[batch].min() for batch in bucketed]
    assert firsts != sorted(firsts)


def test_a_pool_is_sorted_within_itself_only():
    lengths = lengths_of(4 * 4 * POOL, 1)
    sampler = ShuffledBatches(len(lengths), 4, 5, lengths)
    drawn = np.random.default_rng(5).permutation(len(lengths))
    pools = [set(drawn[i : i + 4 * POOL].tolist()) for i in range(0, len(drawn), 4 * POOL)]
    for batch in sampler:
        assert any(set(batch.tolist()) <= pool for pool in pools)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(CascadeError, match=r"data.batch_size=0: expected at least 1"):
        list(ShuffledBatches(5, 0, 0))
