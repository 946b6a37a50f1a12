"""The kernel's exponentials have NumPy's bits, or NumPy computes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cascade_exp.cascade import exponential
from cascade_exp.cascade.exponential import exponentials
from cascade_exp.cascade.softmax import shifted_exponentials, shifted_logits

anything = st.floats(allow_nan=False, allow_infinity=False)
near = st.floats(-800, 800) | st.floats(-30, 30) | st.sampled_from([0.0, -0.0, 5e-324, 1e-17])


@given(
    rows=arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=near)
    | arrays(np.float64, (2, 5), elements=anything)
    | arrays(np.float32, (2, 5), elements=st.floats(-100, 100, width=32)),
    temperature=st.floats(0.01, 100) | st.sampled_from([1.0, 2.0, 0.25, 3.0, 5e-324, 1e308]),
)
def test_bits_are_those_of_numpy(rows, temperature):
    best = rows.argmax(axis=1)
    with np.errstate(all="ignore"):
        shifted, found = shifted_exponentials(rows, best, temperature)
        expected = shifted_logits(rows, best, temperature)
        np.testing.assert_array_equal(shifted, expected)
        np.testing.assert_array_equal(found.view(np.int64), np.exp(expected).view(np.int64))


def test_a_machine_with_other_bits_is_noticed(monkeypatch):
    """One fused step less, and the comparison says so."""
    exponential.is_exact.cache_clear()
    if not exponential.is_exact():
        pytest.skip("NumPy's exponential has other bits here: it is always the one that computes")
    kernel = exponential._exponentials

    def nearly(rows, best, temperature, shifted, found):
        left = kernel(rows, best, temperature, shifted, found)
        found[:, ::5000] = np.nextafter(found[:, ::5000], 2)
        return left

    monkeypatch.setattr(exponential, "_exponentials", nearly)
    exponential.is_exact.cache_clear()
    assert exponentials(np.zeros((1, 2)), np.array([0]), 1.0) is None
    exponential.is_exact.cache_clear()
