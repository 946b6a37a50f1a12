"""The promise of ``guaranteed``: exactly on small samples, and by simulation with the search."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from cascade_exp.cascade.frontier import Baseline, FrontPoint
from cascade_exp.cascade.guaranteed import (
    betting,
    fixed_sequence,
    guaranteed,
    loss_differences,
    split_halves,
)
from cascade_exp.cascade.selection import Goals, NotFeasible, select
from cascade_exp.cascade.stages import Outcome
from cascade_exp.errors import CascadeError
from tests.oracles import guaranteed as oracle

DIFFERENCES = st.lists(
    st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1)), min_size=1, max_size=60
)


class TestBounds:
    @given(DIFFERENCES, st.floats(0, 0.99), st.floats(0.001, 0.999))
    def test_betting_is_the_gambler(self, differences, epsilon, delta):
        found = betting(np.array(differences), epsilon, delta)
        assert found == pytest.approx(oracle.betting(differences, epsilon, delta), rel=1e-9)

    @pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.4])
    @pytest.mark.parametrize("better", [0.0, 0.05, 0.2, "most"])
    def test_valid_exactly(self, epsilon, better):
        # All 3^8 samples of a D that is on average just epsilon, with their exact probabilities.
        better = (1 - epsilon) / 2 if better == "most" else better
        law = {-1.0: better, 0.0: 1 - epsilon - 2 * better, 1.0: epsilon + better}
        for delta in (0.5, 0.2, 0.05):
            rejected = sum(
                math.prod(law[d] for d in sample)
                for sample in itertools.product(law, repeat=8)
                if betting(np.array(sample), epsilon, delta) <= delta
            )
            assert rejected <= delta * (1 + 1e-9)

    @pytest.mark.parametrize("epsilon", [0.01, 0.05])
    @pytest.mark.parametrize("better", [0.0, 0.01, 0.3])
    def test_valid_on_larger_samples(self, epsilon, better):
        rng = np.random.default_rng(0)
        law = [better, 1 - epsilon - 2 * better, epsilon + better]
        draws = rng.choice([-1.0, 0.0, 1.0], size=(2000, 400), p=law)
        rejected = sum(betting(sample, epsilon, 0.1) <= 0.1 for sample in draws)
        assert rejected <= binom.ppf(1 - 1e-4, 2000, 0.1)

    def test_betting_has_power_where_models_mostly_agree(self):
        rng = np.random.default_rng(1)
        draws = rng.choice([-1.0, 0.0, 1.0], size=(200, 2500), p=[0.02, 0.96, 0.02])
        assert sum(betting(sample, 0.02, 0.1) <= 0.1 for sample in draws) > 150

    def test_nothing_seen_shows_nothing(self):
        assert betting(np.zeros(0), 0.1, 0.1) == 1.0

    @given(differences=DIFFERENCES)
    def test_are_probabilities(self, differences):
        assert 0 <= betting(np.array(differences), 0.02, 0.1) <= 1


class TestFixedSequence:
    @given(st.lists(st.floats(0, 1)), st.floats(0.01, 0.99))
    def test_stops_at_the_first_failure(self, p_values, delta):
        found = fixed_sequence(iter(p_values), delta)
        passed = list(itertools.takewhile(lambda p: p <= delta, p_values))
        assert found.accepted == len(passed)
        assert list(found.p_values) == p_values[: len(passed) + 1]

    def test_tests_no_further_than_it_must(self):
        def one_by_one():
            yield 0.01
            yield 0.9
            raise AssertionError("tested after a failure")

        assert fixed_sequence(one_by_one(), 0.1).accepted == 1

    def test_nan_fails(self):
        assert fixed_sequence([0.01, math.nan, 0.01], 0.1).accepted == 1


class TestSplit:
    @given(st.integers(0, 50), st.integers(0, 5))
    def test_halves_are_disjoint_and_whole(self, size, seed):
        searching, testing = split_halves(size, seed)
        assert sorted([*searching, *testing]) == list(range(size))
        assert 0 <= len(testing) - len(searching) <= 1

    def test_is_seeded_and_shuffled(self):
        one, again, other = (split_halves(100, seed)[1].tolist() for seed in (1, 1, 2))
        assert one == again != other
        assert one != sorted(one)


def outcome(statistics):
    statistics = np.asarray(statistics, dtype=np.int64)
    size = len(statistics)
    stage = np.zeros(size, dtype=np.int64)
    return Outcome(stage, stage, statistics, np.ones(size), np.array([1.0]))


class TestDifferences:
    def test_are_reference_minus_cascade(self):
        reference, cascade = outcome([[1], [1], [0], [0]]), outcome([[1], [0], [1], [0]])
        assert loss_differences(reference, cascade).tolist() == [0.0, 1.0, -1.0, 0.0]

    def test_f1_has_none(self):
        with pytest.raises(CascadeError, match="one of 3 statistics"):
            loss_differences(outcome([[1, 0, 0]]), outcome([[1, 0, 0]]))


class TestGuaranteed:
    FRONT = tuple(FrontPoint((0, 1), (t,), 5 - t, 0.9 - t / 10, 6.0) for t in (2.0, 0.0, 1.0))

    def pick(self, lost, **changes):
        settings = {"epsilon": 0.02, "delta": 0.1} | changes
        return guaranteed(
            self.FRONT, lambda point: np.full(400, lost[point.thresholds[0]]), **settings
        )

    def test_takes_the_last_that_passes(self):
        assert self.pick({0.0: 0.0, 1.0: 0.0, 2.0: 0.5}).thresholds == (1.0,)
        assert self.pick({0.0: 0.0, 1.0: 0.0, 2.0: 0.0}).thresholds == (2.0,)

    def test_never_skips_a_failure(self):
        assert self.pick({0.0: 0.0, 1.0: 0.5, 2.0: 0.0}).thresholds == (0.0,)

    def test_says_why_not(self):
        found = self.pick({0.0: 0.5, 1.0: 0.0, 2.0: 0.0})
        assert found == NotFeasible(
            "on the 400 examples left for testing, a loss of more than 0.02 cannot be ruled out "
            "even for the safest setting: p=1, above delta=0.1"
        )
        assert guaranteed([], lambda _: np.zeros(9), 0.1, 0.1) == NotFeasible("the front is empty")

    @pytest.mark.parametrize("epsilon", [-0.1, 1.0, math.nan])
    def test_bad_epsilon(self, epsilon):
        with pytest.raises(CascadeError, match=r"threshold\.epsilon="):
            self.pick({}, epsilon=epsilon)

    @pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, math.nan])
    def test_bad_delta(self, delta):
        with pytest.raises(CascadeError, match=r"threshold\.delta="):
            self.pick({}, delta=delta)


def test_the_promise_is_kept_search_included():
    """P(true loss > epsilon) <= delta over fresh selection splits, and two ways to break it.

    Testing on the examples that were searched, and choosing without a test at all, must fail here:
    else the promise would be kept by accident.
    """
    truth = oracle.world(seed=0, models=20)
    epsilon, delta, repetitions, size = 0.05, 0.1, 300, 800
    rng = np.random.default_rng(1)
    losses = {"tested": [], "searched": [], "untested": []}
    for repetition in range(repetitions):
        split = truth.sample(rng.integers(0, len(truth.reference), size))
        searching, testing = (split.sample(half) for half in split_halves(size, repetition))
        front = searching.front()
        best = float(searching.reference.mean())
        goals = Goals(Baseline.of([best], [1.0]), "second", best, tolerance=epsilon)
        found = {
            "tested": guaranteed(front, testing.differences, epsilon, delta),
            "searched": guaranteed(front, searching.differences, epsilon, delta),
            "untested": select("match_accuracy", front, goals),
        }
        for way, point in found.items():
            if isinstance(point, FrontPoint):
                losses[way].append(truth.differences(point).mean())
    broken = {way: int(np.sum(np.array(lost) > epsilon)) for way, lost in losses.items()}
    allowed = binom.ppf(1 - 1e-3, repetitions, delta)
    assert broken["tested"] <= allowed
    assert min(broken["searched"], broken["untested"]) > allowed
    assert len(losses["tested"]) > 0.8 * repetitions  # a promise that is never made is no promise
