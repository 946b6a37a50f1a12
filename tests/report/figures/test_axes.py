import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.report.figures.axes import ThresholdScale, cost_ticks, score_limits
from cascade_exp.report.pages.numbers import SPACE, cost_tick


@given(st.floats(1e-9, 1e15), st.floats(1.02, 1e6), st.integers(5, 8))
def test_cost_ticks_are_few_round_and_inside(low, span, most):
    high = low * span
    ticks = cost_ticks(low, high, most)
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= high for tick in ticks)
    assert 2 <= len(ticks) <= most + 1


def test_cost_ticks_of_a_usual_range():
    assert [cost_tick(t, "macs") for t in cost_ticks(34e6, 155e6, 8)] == [
        "40M", "50M", "60M", "80M", "100M", "120M", "150M",
    ]  # fmt: skip
    assert [cost_tick(t, "seconds").replace(SPACE, " ") for t in cost_ticks(0.0016, 0.04, 5)] == [
        "2 ms", "5 ms", "10 ms", "20 ms",
    ]  # fmt: skip


@given(st.lists(st.floats(0, 1), min_size=1))
def test_score_limits_hold_the_scores(scores):
    low, high = score_limits(scores)
    assert low < min(scores) and max(scores) < high
    assert high - low >= 0.0049


finite = st.floats(-1e6, 1e6)
probabilities = st.floats(0, 1) | st.sampled_from([1.0, 1 - 1e-12, np.nextafter(1, 0), 1 + 2e-16])
metrics = st.sampled_from(["max_softmax", "softmax_margin", "entropy", "logits_margin", "vote"])


@given(
    st.lists(finite | probabilities | st.sampled_from([math.inf, -math.inf]), min_size=1),
    metrics,
    st.integers(5, 8),
)
def test_thresholds_keep_their_order_and_infinities_stand_outside(thresholds, metric, most):
    thresholds = sorted(thresholds)
    scale = ThresholdScale.of(thresholds, metric, most)
    assert np.all(np.isfinite(scale.positions))
    assert np.all(np.diff(scale.positions) >= 0)
    inner = scale.positions[np.isfinite(thresholds)]
    for threshold, position in zip(thresholds, scale.positions, strict=True):
        if math.isinf(threshold) and len(inner):
            assert position < inner.min() if threshold < 0 else position > inner.max()
    assert scale.ticks == sorted(scale.ticks) and len(scale.ticks) == len(scale.labels)
    assert ("all" in scale.labels) == (-math.inf in thresholds)
    assert ("none" in scale.labels) == (math.inf in thresholds)


def test_crowded_probabilities_are_spread_by_their_distance_to_one():
    sure = 1 - 10 ** -np.linspace(0.2, 6, 200)
    scale = ThresholdScale.of([-math.inf, *sure, math.inf], "max_softmax", 8)
    # The most confident percent shares one place: a few saturated ones would take half the axis.
    assert scale.positions[1:-4] == pytest.approx(np.linspace(0.2, 6, 200)[:-3])
    assert scale.labels[:4] == ["all", "0.5", "0.9", "0.99"] and scale.labels[-1] == "none"
    assert "1−10⁻⁵" in scale.labels
    even = ThresholdScale.of(np.linspace(0.2, 0.9, 50).tolist(), "max_softmax", 8)
    assert even.positions == pytest.approx(np.linspace(0.2, 0.9, 50))
