import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from cascade_exp.cascade.kernels.elementary import (
    SMALLEST_NORMAL,
    exp_of_nonpositive,
    log_of_normal,
    pairwise_sum,
)


@njit
def exp_of(x, out):
    for i in range(x.size):
        out[i] = exp_of_nonpositive(x[i])


@njit
def log_of(x, out):
    for i in range(x.size):
        out[i] = log_of_normal(x[i])


def worst_ulp(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.max(np.abs(found - exact) / np.spacing(np.abs(found))))


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 60, reason="needs an extended-precision long double"
)
@pytest.mark.parametrize("reach", [1e-12, 1e-3, 0.35, 1.0, 30.0, 707.0, 745.0])
def test_exp_is_within_one_unit_in_the_last_place(reach):
    x = -reach * np.random.default_rng(0).random(200_000)
    found = np.empty_like(x)
    exp_of(x, found)
    assert worst_ulp(found, np.exp(x.astype(np.longdouble))) < 1.0


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 60, reason="needs an extended-precision long double"
)
@pytest.mark.parametrize("reach", [1e-12, 1e-3, 0.7, 30.0, 708.0])
def test_log_is_within_one_unit_in_the_last_place(reach):
    rng = np.random.default_rng(0)
    x = np.exp(-reach * rng.random(200_000))
    found = np.empty_like(x)
    log_of(x, found)
    exact = np.log(x.astype(np.longdouble))
    assert np.all(found[x == 1.0] == 0.0)
    assert worst_ulp(found[x != 1.0], exact[x != 1.0]) < 1.0


def test_the_ends_of_the_range_are_exact():
    x = np.array([0.0, -0.0, -746.0, -800.0, -1000.0])
    found = np.empty_like(x)
    exp_of(x, found)
    assert found.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
    x = np.array([1.0, SMALLEST_NORMAL])
    found = np.empty_like(x)
    log_of(x, found)
    assert found.tolist() == [0.0, math.log(SMALLEST_NORMAL)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=70))
@settings(deadline=None)
def test_pairwise_sum_is_the_sum(terms):
    width = 1 << (len(terms) - 1).bit_length()
    padded = np.zeros(width + 3)
    padded[: len(terms)] = terms
    padded[width:] = 1e9
    assert pairwise_sum(padded, width) == pytest.approx(math.fsum(terms), rel=1e-15)
