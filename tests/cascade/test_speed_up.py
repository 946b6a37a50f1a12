"""The closest speed-up against a simple loop, and Eq. 13 against counting what it assumes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.speed_up import Neighbours, closest, expected_gain
from cascade_exp.errors import CascadeError

NUMBERS = st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0])
SCORES = st.sampled_from([0.0, 0.5, 0.75, 1.0])


@given(st.lists(st.tuples(NUMBERS, SCORES), min_size=1, max_size=12), NUMBERS)
def test_closest_is_found_by_looking_at_each(settings, target):
    best = None
    for i, (up, score) in enumerate(settings):
        key = (abs(up - target), -score)
        if best is None or key < best[0]:
            best = (key, i)
    assert closest([up for up, _ in settings], [score for _, score in settings], target) == best[1]


def test_no_setting():
    with pytest.raises(CascadeError, match="no setting to choose"):
        closest([], [], 2.0)


@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 40),
    st.tuples(*[st.floats(0, 1)] * 3),
    st.floats(0.5, 12),
    st.floats(0.5, 12),
)
def test_eq_13_is_eq_8_under_its_conditions(before, added, after, accuracies, cost_added, cost):
    """Eq. 8 with s_i and s_(i+1) of the shorter cascade out of Eq. 12, at the same total cost."""
    low, middle, high = accuracies
    size = before + added + after
    if size == 0:
        return
    share = cost_added / cost * (after + added)
    less_before, less_after = before + added - share, after + share
    cheap = 3.0  # of running everything up to M_i; any value
    longer = before * cheap + added * (cheap + cost_added) + after * (cheap + cost_added + cost)
    shorter = less_before * cheap + less_after * (cheap + cost)
    assert longer == pytest.approx(shorter)
    assert less_before + less_after == pytest.approx(size)
    gained = before * low + added * middle + after * high - less_before * low - less_after * high
    model = Neighbours(low, middle, high, added, after, cost_added, cost)
    assert expected_gain(model, size) == pytest.approx(gained / size, abs=1e-9)


def test_an_empty_split():
    with pytest.raises(CascadeError, match="the split is empty"):
        expected_gain(Neighbours(0.5, 0.6, 0.7, 0, 0, 1.0, 2.0), 0)
