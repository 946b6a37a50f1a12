"""The front, the baseline and the improvement factor against brute force and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.frontier import (
    Baseline,
    FrontPoint,
    average_improvement,
    cost_at_score,
    improvement_factor,
    local_maxima,
    max_improvement,
    scores_and_costs,
)
from cascade_exp.errors import CascadeError
from tests.oracles import frontier as oracle

KINDS = st.sampled_from(["hull", "adjacent"])
SCORES = st.integers(0, 12).map(lambda right: right / 12)
LEVELS = st.integers(0, 1_000_003).map(lambda right: right / 1_000_003)  # ratios, as scores are
COSTS = st.one_of(st.integers(1, 6).map(float), st.floats(0.5, 2e3))
MODELS = st.lists(st.tuples(SCORES, COSTS), min_size=1, max_size=7)


def columns(points):
    return np.array(points, dtype=np.float64).reshape(-1, 2).T


def of(models, kind="hull"):
    return Baseline.of(*columns(models), kind)


def point(members, score, cost, worst=None, thresholds=None):
    rest = (0.5,) * (len(members) - 1) if thresholds is None else thresholds
    return FrontPoint(members, rest, cost, score, cost if worst is None else worst)


class TestBaseline:
    @given(MODELS, KINDS, st.lists(st.one_of(SCORES, LEVELS), max_size=8))
    def test_costs_what_the_best_allowed_mix_costs(self, models, kind, levels):
        levels = levels + [score for score, _ in models]
        found = of(models, kind).cost_at(levels)
        expected = [oracle.baseline_cost(models, level, kind) for level in levels]
        assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)

    @given(MODELS, st.lists(LEVELS, max_size=8))
    def test_the_hull_never_costs_more_than_neighbours_joined(self, models, levels):
        hull, adjacent = (of(models, kind).cost_at(levels) for kind in ("hull", "adjacent"))
        assert np.all((hull <= adjacent * (1 + 1e-12)) | np.isnan(adjacent))
        assert np.array_equal(np.isnan(hull), np.isnan(adjacent))

    @given(MODELS, KINDS)
    def test_knots_are_undominated_models_and_cost_exactly_themselves(self, models, kind):
        baseline = of(models, kind)
        kept = oracle.undominated(models)
        assert set(baseline.knots) <= set(kept)
        assert kind == "hull" or list(baseline.knots) == kept
        assert (baseline.knots[0], baseline.knots[-1]) == (kept[0], kept[-1])
        assert baseline.cost_at([s for s, _ in baseline.knots]).tolist() == [
            c for _, c in baseline.knots
        ]

    @given(MODELS, KINDS, st.randoms(use_true_random=False))
    def test_the_order_of_the_models_is_nothing(self, models, kind, random):
        shuffled = list(models)
        random.shuffle(shuffled)
        assert of(shuffled, kind) == of(models, kind)

    def test_hull_skips_what_adjacent_keeps(self):
        models = [(0.5, 1.0), (0.6, 9.0), (0.7, 10.0)]
        assert of(models).knots == ((0.5, 1.0), (0.7, 10.0))
        assert of(models, "adjacent").knots == tuple(models)
        assert of(models).cost_at(0.6) == pytest.approx(5.5)

    def test_ends(self):
        baseline = of([(0.5, 1.0), (0.9, 3.0), (0.4, 2.0)])
        assert baseline.cost_at([0.0, 0.5, 0.9]).tolist() == [1.0, 1.0, 3.0]
        assert np.isnan(baseline.cost_at([0.9 + 1e-6, 1.0])).all()
        assert baseline.cost_at(np.nextafter(0.9, 1)) == 3.0
        assert (baseline.low, baseline.top) == (0.5, 0.9)

    def test_of_equally_cheap_models_the_better_counts(self):
        assert of([(0.5, 1.0), (0.6, 1.0)]).knots == ((0.6, 1.0),)

    def test_shape_is_kept(self):
        assert of([(0.5, 1.0), (0.6, 2.0)]).cost_at(np.full((2, 3), 0.55)).shape == (2, 3)

    def test_no_model_is_refused(self):
        with pytest.raises(CascadeError, match="at least one model"):
            Baseline.of([], [])


class TestColumns:
    def test_columns(self):
        scores, costs = scores_and_costs([point((0,), 0.5, 1.0), point((1,), 0.6, 2.0)])
        assert (scores.tolist(), costs.tolist()) == ([0.5, 0.6], [1.0, 2.0])
        assert [len(column) for column in scores_and_costs([])] == [0, 0]


class TestCostAtScore:
    @given(
        st.lists(st.tuples(SCORES, COSTS), max_size=8),
        st.lists(st.one_of(SCORES, LEVELS)),
    )
    def test_is_the_least_cost_of_a_good_enough_point(self, points, levels):
        scores, costs = columns(points)
        found = cost_at_score(scores, costs, levels)
        assert found.tolist() == [oracle.cost_at(points, level) for level in levels]


class TestImprovement:
    def test_factor_by_hand(self):
        baseline = of([(0.5, 1.0), (0.9, 9.0)])
        found = improvement_factor([0.4, 0.5, 0.7, 0.9, 0.91], [2.0, 1.0, 2.5, 3.0, 4.0], baseline)
        assert found[:-1].tolist() == pytest.approx([0.5, 1.0, 2.0, 3.0])
        assert np.isnan(found[-1])

    def test_average_by_hand(self):
        # Cost 2 up to 0.7 and 4 up to 0.9; the line passes 5 at 0.7: (3/2 * .2 + 7/4 * .2) / .4.
        baseline = of([(0.5, 1.0), (0.9, 9.0)])
        assert average_improvement([0.7, 0.9], [2.0, 4.0], baseline) == pytest.approx(1.625)

    @given(MODELS, MODELS, KINDS, st.tuples(SCORES, SCORES))
    def test_average_is_the_integral(self, models, cascades, kind, limits):
        low, high = limits
        points = models + cascades
        baseline = of(models, kind)
        found = average_improvement(*columns(points), baseline, low, high)
        stop = min(high, baseline.top)
        if low >= stop:
            assert found is None
            return
        # Every step and knot lies at a twelfth, so the midpoint rule is exact on these pieces.
        count = round((stop - low) * 12) * 5
        sampled = oracle.average_by_sampling(points, models, kind, low, stop, count)
        assert found == pytest.approx(sampled, rel=1e-9)

    @given(MODELS, KINDS, st.lists(LEVELS, min_size=3, max_size=3).map(sorted))
    def test_average_is_additive_over_ranges(self, models, kind, limits):
        low, middle, high = limits
        baseline = of(models, kind)
        cascade = columns([*models, (1.0, 100.0), (0.55, 1.5)])
        high = min(high, baseline.top)
        if not low < middle < high or (high - low) < 1e-6:
            return
        parts = [
            average_improvement(*cascade, baseline, a, b) * (b - a)
            for a, b in ((low, middle), (middle, high))
        ]
        whole = average_improvement(*cascade, baseline, low, high) * (high - low)
        assert whole == pytest.approx(sum(parts), rel=1e-9, abs=1e-12)

    @given(MODELS)
    def test_adjacent_models_against_themselves_gain_nothing(self, models):
        average = average_improvement(*columns(models), of(models, "adjacent"))
        assert average is None or average <= 1 + 1e-12

    def test_default_range_and_what_no_point_reaches(self):
        baseline = of([(0.5, 1.0), (0.9, 1.0 + 1e-12)])
        assert baseline.knots[0] == (0.5, 1.0)
        assert average_improvement([0.6], [0.5], baseline) == pytest.approx(0.5)  # 2 on a quarter

    def test_empty_and_inverted_ranges(self):
        baseline = of([(0.5, 1.0), (0.9, 9.0)])
        assert average_improvement([0.9], [9.0], baseline, 0.8, 0.8) is None
        assert average_improvement([0.9], [9.0], baseline, 0.8, 0.7) is None
        assert average_improvement([0.9], [9.0], baseline, 0.95, 0.99) is None
        assert average_improvement([0.9], [9.0], of([(0.9, 9.0)])) is None
        assert average_improvement([], [], baseline) == 0.0

    def test_the_largest_improvement(self):
        baseline = of([(0.5, 1.0), (0.9, 9.0)])
        scores, costs = [0.5, 0.7, 0.8, 0.95], [1.0, 2.5, 3.5, 0.1]
        best = max_improvement(scores, costs, baseline)
        assert best is not None
        assert (best.index, best.score, best.factor) == (2, 0.8, pytest.approx(2.0))
        assert max_improvement([0.95], [0.1], baseline) is None

    def test_of_equal_factors_the_better_score(self):
        baseline = of([(0.5, 1.0), (0.75, 2.0)])
        best = max_improvement([0.5, 0.75], [1.0, 2.0], baseline)
        assert best is not None
        assert (best.index, best.factor) == (1, 1.0)


class TestLocalMaxima:
    # A flat baseline at cost 1: the factor of a point is 1 / cost, chosen freely.
    BASELINE = Baseline(knots=((0.0, 1.0), (1.0, 1.0)), kind="adjacent")

    @given(st.lists(st.integers(1, 5).map(float), max_size=14), st.integers(0, 5))
    def test_are_the_most_prominent(self, factors, k):
        scores = np.linspace(0, 1, len(factors))
        found = local_maxima(scores, 1 / np.array(factors), self.BASELINE, k)
        heights = improvement_factor(scores, 1 / np.array(factors), self.BASELINE).tolist()
        expected = oracle.prominences(heights)
        places = [peak.index for peak in found]
        assert places == sorted(places)
        assert len(places) == min(k, len(expected))
        rank = {i: (expected[i], heights[i]) for i in expected}
        assert sorted(rank[i] for i in places) == sorted(rank.values())[len(rank) - len(places) :]
        assert all(peak.factor == heights[peak.index] for peak in found)

    def test_one_hill_counts_once(self):
        factors = np.array([1, 3.0, 2.9, 3.1, 1, 2, 1, 1.5])
        found = local_maxima(np.linspace(0, 1, 8), 1 / factors, self.BASELINE, 3)
        assert [peak.index for peak in found] == [3, 5, 7]

    def test_above_the_baseline_there_is_no_peak(self):
        found = local_maxima([0.5, 1.0, 1.1], [0.5, 0.4, 0.1], self.BASELINE, 5)
        assert [peak.index for peak in found] == [1]
        assert local_maxima([1.1], [0.1], self.BASELINE, 5) == []
