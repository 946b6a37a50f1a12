"""Bootstrap intervals against drawing examples one by one, and against the exact binomial."""

import numpy as np
import pytest
from scipy.stats import binom

from cascade_exp.cascade import bootstrap
from cascade_exp.cascade.bootstrap import intervals, paired_intervals
from cascade_exp.cascade.objective import F1, Accuracy
from cascade_exp.cascade.stages import Outcome
from cascade_exp.errors import CascadeError
from tests.oracles import bootstrap as oracle


def outcome(statistics, cost):
    cost = np.asarray(cost, dtype=np.float64)
    statistics = np.asarray(statistics, dtype=np.int64)
    stage = np.zeros(len(cost), dtype=np.int64)
    columns = statistics if statistics.ndim == 2 else statistics[:, None]
    return Outcome(stage, stage, columns, cost, np.array([1.0]))


def cascade(size, seed, objective=None, distinct_costs=False):
    """A two-stage outcome in which those that stay longer pay more and err more."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    late = rng.random(size) < 0.4
    answer = np.where(rng.random(size) < np.where(late, 0.6, 0.95), labels, 1 - labels)
    cost = np.where(late, 7.25, 2.0) + (rng.random(size) * 1e-9 if distinct_costs else 0)
    statistics = (objective or Accuracy()).statistics(answer, None, labels, 2)
    return outcome(statistics, cost)


@pytest.mark.parametrize("objective", [Accuracy(), F1("binary"), F1("macro")])
@pytest.mark.parametrize("distinct_costs", [False, True], ids=["few distinct", "all distinct"])
def test_agrees_with_drawing_examples(objective, distinct_costs):
    data = cascade(200, 1, objective, distinct_costs)
    found = intervals(data, objective, seed=2, resamples=20_000)
    scores, costs = oracle.resampled(data, objective, 5000, seed=3)
    for interval, drawn in ((found.score, scores), (found.cost, costs)):
        # An order statistic at 2.5 % of R draws strays by its share's standard error at most.
        for end, share in zip(interval, (0.025, 0.975), strict=True):
            slack = 5 * np.sqrt(0.025 * 0.975 / 5000)
            low, high = np.quantile(drawn, [max(share - slack, 0), min(share + slack, 1)])
            assert low <= end <= high


@pytest.mark.parametrize("size", [1, 2, 5, 60, 1000])
@pytest.mark.parametrize("distinct_costs", [False, True], ids=["few distinct", "all distinct"])
def test_right_answers_are_binomial(size, distinct_costs):
    # size 1000 with few distinct draws multinomially, the small ones by index.
    right = np.arange(size) < round(0.7 * size)
    data = outcome(right, np.ones(size) + (np.arange(size) if distinct_costs else 0))
    found = intervals(data, Accuracy(), seed=4, resamples=40_000)
    slack = 5 * np.sqrt(0.025 * 0.975 / 40_000)
    for end, share in zip(found.score, (0.025, 0.975), strict=True):
        low, high = binom.ppf([share - slack, share + slack], size, right.mean()) / size
        assert low - 1e-12 <= end <= high + 1e-12


def test_score_and_cost_are_drawn_together():
    # Right iff dear: then score and cost are one and the same number in every resample.
    right = np.arange(50) % 3 == 0
    found = intervals(outcome(right, np.where(right, 2.0, 1.0)), Accuracy(), seed=0)
    assert found.cost == pytest.approx([1 + end for end in found.score])


@pytest.mark.parametrize("distinct_costs", [False, True], ids=["few distinct", "all distinct"])
def test_a_cascade_against_itself_differs_by_nothing(distinct_costs):
    data = cascade(500, 5, distinct_costs=distinct_costs)
    found = paired_intervals(data, data, Accuracy(), seed=0)
    assert found.score_difference == (0.0, 0.0)
    assert found.cost_difference == (0.0, 0.0)


def test_what_is_shared_cancels():
    data = cascade(1000, 6)
    wrong_there = data.statistics.copy()
    wrong_there[:10] = 0
    other = outcome(wrong_there, 2 * data.cost)
    found = paired_intervals(data, other, Accuracy(), seed=0)
    alone = intervals(data, Accuracy(), seed=0)
    lost = data.statistics[:10].sum() / 1000
    assert found.score_difference[0] <= lost <= found.score_difference[1]
    assert np.ptp(found.score_difference) < np.ptp(alone.score) / 2
    # each resample costs twice as much there; other draws of the same examples, the same law
    twice = tuple(-end for end in reversed(alone.cost))
    assert found.cost_difference == pytest.approx(twice, abs=0.05 * np.ptp(alone.cost))


def test_paired_difference_agrees_with_its_exact_law():
    # Difference +1 on 30, -1 on 20, 0 on 50 of 100 examples: normal enough to know its spread.
    first = outcome(np.repeat([1, 0, 1], [30, 20, 50]), np.ones(100))
    second = outcome(np.repeat([0, 1, 1], [30, 20, 50]), np.ones(100))
    low, high = paired_intervals(first, second, Accuracy(), 1, resamples=40_000).score_difference
    spread = np.sqrt((0.5 - 0.1**2) / 100)
    assert (low, high) == pytest.approx((0.1 - 1.96 * spread, 0.1 + 1.96 * spread), abs=0.012)


def test_seeded():
    data = cascade(300, 7)
    assert intervals(data, Accuracy(), seed=1) == intervals(data, Accuracy(), seed=1)
    assert intervals(data, Accuracy(), seed=1) != intervals(data, Accuracy(), seed=2)


@pytest.mark.parametrize("distinct_costs", [False, True], ids=["few distinct", "all distinct"])
def test_blocks_change_nothing(monkeypatch, distinct_costs):
    data = cascade(300, 8, distinct_costs=distinct_costs)
    whole = intervals(data, Accuracy(), seed=3)
    monkeypatch.setattr(bootstrap, "_COUNTS_AT_ONCE", 700)
    found = intervals(data, Accuracy(), seed=3)
    assert found.score == whole.score
    assert found.cost == pytest.approx(whole.cost, rel=1e-12)


def test_colliding_hashes_fall_back_to_single_examples(monkeypatch):
    class Zeros:
        @staticmethod
        def integers(low, high, size, dtype):
            return np.zeros(size, dtype)

    data = cascade(40, 9)
    assert len(bootstrap._distinct([data])[1]) <= 4
    monkeypatch.setattr(bootstrap.np.random, "default_rng", lambda seed: Zeros)
    assert bootstrap._distinct([data])[1].tolist() == list(range(40))


def test_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(10)
    inside = 0
    for seed in range(300):
        low, high = intervals(
            outcome(rng.random(400) < 0.8, np.ones(400)), Accuracy(), seed, resamples=500
        ).score
        inside += low <= 0.8 <= high
    assert binom.ppf(1e-4, 300, 0.94) <= inside <= binom.ppf(1 - 1e-4, 300, 0.96)


def test_bad_input():
    with pytest.raises(CascadeError, match="at least one example"):
        intervals(outcome(np.zeros((0, 1)), []), Accuracy(), 0)
    with pytest.raises(CascadeError, match="found 40 and 41"):
        paired_intervals(cascade(40, 1), cascade(41, 1), Accuracy(), 0)
