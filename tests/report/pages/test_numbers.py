import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.report.pages import numbers


def plain(text):
    return text.replace(numbers.SPACE, " ")


def test_the_examples_in_the_docstrings():
    found = doctest.testmod(numbers)
    assert found.attempted >= 4 and found.failed == 0


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (999_999_900.0, "macs", "1.00 G MACs"),
        (40_551_040.0, "macs", "40.6 M MACs"),
        (86_039_604.8, "macs", "86.0 M MACs"),
        (50e6, "MACs", "50 M MACs"),
        (12.0, "macs", "12 MACs"),
        (269_722.0, "params", "270 k parameters"),
        (1.0, "layers", "1 layer"),
        (5.249, "layers", "5.25 layers"),
        (0.0009999, "seconds", "1.00 ms"),
        (65.0, "s", "65 s"),
        (2.5e-7, "seconds", "250 ns"),
        (0.00123, "dollars", "$0.00123"),
        (120.0, "usd", "$120"),
        (0.00002, "dollars", "$0.02 per 1,000 calls"),
        (123_456.0, "joules", "123 k joules"),
        (0.0, "macs", "0 MACs"),
    ],
)
def test_costs_carry_their_unit(value, unit, expected):
    assert plain(numbers.cost(value, unit)) == expected


@given(st.floats(1e-9, 1e20), st.sampled_from(["macs", "seconds", "joules"]))
def test_a_cost_reads_back_to_three_digits(value, unit):
    number, prefix = numbers.cost_parts(value, unit)
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
    scale |= {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    assert float(number) * scale[prefix] == pytest.approx(value, rel=5.1e-3)


@given(st.floats(0, 1))
def test_only_all_and_nothing_read_as_all_and_nothing(share):
    text = plain(numbers.percent(share))
    assert (text == "100 %") == (share == 1) and (text == "0 %") == (share == 0)
    assert text not in ("100.0 %", "0.0 %")
    assert float(text.strip("<> %")) == pytest.approx(100 * share, abs=0.1)


@given(st.floats(-1e300, 1e300))
def test_a_threshold_reads_back_nearly(value):
    read = float(numbers.threshold(value).replace("−", "-"))
    assert read == pytest.approx(value, rel=1e-3, abs=1e-300)


@given(st.floats(0.99, 1, exclude_max=True))
def test_a_threshold_near_one_keeps_its_distance_from_one(value):
    assert 1 - float(numbers.threshold(value)) == pytest.approx(1 - value, rel=0.06, abs=2e-16)


def test_infinite_thresholds_and_missing_factors():
    assert [numbers.threshold(t) for t in (math.inf, -math.inf)] == ["+∞", "−∞"]
    assert numbers.factor(None) == "–" and numbers.factor(1.456) == "1.46×"
    assert numbers.factor(123.4) == "123×"


@given(st.text(min_size=1, max_size=60), st.integers(1, 60))
def test_a_shortened_name_fits_and_keeps_both_ends(name, width):
    short = numbers.shorten(name, width)
    assert len(short) <= max(width, 1)
    if len(name) <= width:
        assert short == name
    elif width >= 3:
        assert short[0] == name[0] and short[-1] == name[-1]
