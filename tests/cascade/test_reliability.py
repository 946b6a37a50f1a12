"""Reliability measures against double loops, against each other and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.reliability import (
    Agreement,
    agreement,
    auroc,
    dis,
    ece,
    exit_rates_by_class,
    reliability_curve,
    risk_coverage,
    threshold_curve,
    wrong_exits,
)
from cascade_exp.cascade.stages import Stage, StageTable
from tests.oracles import reliability as oracle

# Few levels, so that ties abound; tiny, huge and infinite ones and both zeros besides.
LEVELS = st.sampled_from([-math.inf, -1e300, -1.0, -0.0, 0.0, 5e-324, 0.5, 1.0, 1e300, math.inf])
CONFIDENCE = st.one_of(LEVELS, st.integers(0, 4).map(float))
EXAMPLES = st.lists(st.tuples(CONFIDENCE, st.booleans()), max_size=30)
PROBABILITIES = st.one_of(st.integers(0, 20).map(lambda i: i / 20), st.floats(0, 1))


def split(examples):
    return [c for c, _ in examples], [r for _, r in examples]


def same(found, expected):
    return found == expected if expected is None else found == pytest.approx(expected, rel=1e-12)


class TestPairs:
    @given(EXAMPLES)
    def test_dis_and_auroc_are_shares_of_pairs(self, examples):
        confidence, correct = split(examples)
        assert same(dis(confidence, correct), oracle.dis(confidence, correct))
        assert same(auroc(confidence, correct), oracle.auroc(confidence, correct))

    @given(st.lists(st.tuples(st.integers(), st.booleans()), unique_by=lambda e: e[0]))
    def test_without_ties_they_are_one(self, examples):
        confidence, correct = split(examples)
        ranks = np.argsort(np.argsort(confidence)) if examples else []
        assert dis(ranks, correct) == auroc(ranks, correct)

    def test_a_tie_is_no_inversion_and_half_an_ordered_pair(self):
        assert dis([0.5, 0.5], [True, False]) == 1.0
        assert auroc([0.5, 0.5], [True, False]) == 0.5
        assert dis([0.4, 0.5], [True, False]) == 0.0

    @pytest.mark.parametrize("correct", [[], [True], [False], [True, True], [False, False]])
    def test_nothing_or_everything_wrong_has_no_pairs(self, correct):
        confidence = np.arange(len(correct))
        assert dis(confidence, correct) is None
        assert auroc(confidence, correct) is None

    def test_auroc_is_sklearns(self):
        from sklearn.metrics import roc_auc_score

        rng = np.random.default_rng(0)
        confidence, correct = rng.integers(0, 50, 2000) / 50, rng.random(2000) < 0.7
        assert auroc(confidence, correct) == pytest.approx(roc_auc_score(correct, confidence))


class TestCalibration:
    @given(st.lists(st.tuples(PROBABILITIES, st.booleans()), max_size=40), st.integers(1, 15))
    def test_ece_is_the_sum_over_bins(self, examples, bins):
        confidence, correct = split(examples)
        expected = oracle.ece(confidence, correct, bins)
        found = ece(confidence, correct, bins)
        assert found == (expected if expected is None else pytest.approx(expected, abs=1e-12))

    @pytest.mark.slow
    def test_ece_is_torchmetrics(self):
        import torch
        from torchmetrics.functional.classification import multiclass_calibration_error

        rng = np.random.default_rng(1)
        logits = rng.normal(size=(5000, 4)) * 2
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        labels = rng.integers(0, 4, 5000)
        labels = np.where(rng.random(5000) < 0.5, p.argmax(axis=1), labels)
        expected = multiclass_calibration_error(
            torch.from_numpy(p), torch.from_numpy(labels), 4, n_bins=10, norm="l1"
        )
        assert ece(p.max(axis=1), p.argmax(axis=1) == labels) == pytest.approx(float(expected))

    @pytest.mark.parametrize("stray", [-0.01, 1.0000001, math.inf, -math.inf])
    def test_what_is_no_probability_has_no_ece(self, stray):
        assert ece([0.5, stray], [True, True]) is None

    def test_saturated_confidences_are_in_the_last_bin(self):
        assert ece([1.0, 0.95], [True, False]) == pytest.approx(abs(1 - 1.95) / 2)

    @given(
        st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=45),
        st.integers(1, 6),
    )
    def test_reliability_curve_is_the_mean_of_each_run(self, examples, window):
        confidence, correct = split(examples)
        curve = reliability_curve(confidence, correct, window)
        assert curve.window == min(window, max(len(examples) // 10, 1))
        expected = oracle.windows(confidence, correct, curve.window)
        assert curve.confidence == pytest.approx([c for c, _ in expected])
        assert curve.accuracy == pytest.approx([r for _, r in expected], abs=1e-12)

    def test_reliability_curve_by_hand(self):
        confidence = np.arange(40) / 40
        curve = reliability_curve(confidence[::-1], np.arange(40)[::-1] % 2 == 0, window=4)
        assert curve.window == 4
        assert curve.accuracy == pytest.approx(np.full(37, 0.5))
        assert curve.confidence == pytest.approx((np.arange(37) + 1.5) / 40)

    @given(EXAMPLES.filter(lambda e: len(e) > 0), st.randoms(use_true_random=False))
    def test_the_order_of_examples_is_nothing(self, examples, random):
        shuffled = list(examples)
        random.shuffle(shuffled)
        for measure in (reliability_curve, threshold_curve, risk_coverage):
            one, other = measure(*split(examples)), measure(*split(shuffled))
            for name, value in vars(one).items():
                assert np.array_equal(value, getattr(other, name), equal_nan=True)

    def test_infinite_confidences_have_no_mean(self):
        curve = reliability_curve([math.inf, 0.5, -math.inf], [True, False, True])
        assert curve.confidence.tolist() == [0.5]
        assert curve.accuracy.tolist() == [0.0]
        assert len(reliability_curve([], []).accuracy) == 0


class TestThresholds:
    @given(EXAMPLES)
    def test_curve_parts_as_each_threshold_does(self, examples):
        confidence, correct = split(examples)
        curve = threshold_curve(confidence, correct)
        assert curve.threshold.tolist() == sorted({*confidence, math.inf})
        rows = [oracle.around(confidence, correct, t) for t in curve.threshold]
        assert curve.below.tolist() == [row[0] for row in rows]
        assert curve.accuracy_below == pytest.approx([row[1] for row in rows], nan_ok=True)
        assert curve.accuracy_above == pytest.approx([row[2] for row in rows], nan_ok=True)

    def test_assumed_perfect_calibration(self):
        curve = threshold_curve([0.2, 0.6, 1.0], [0.2, 0.6, 1.0])
        assert curve.accuracy_above[:-1] == pytest.approx([0.6, 0.8, 1.0])
        assert curve.accuracy_below[1:] == pytest.approx([0.2, 0.4, 0.6])

    @given(EXAMPLES)
    def test_risk_is_the_error_of_the_answered(self, examples):
        confidence, correct = split(examples)
        curve = risk_coverage(confidence, correct)
        levels = sorted(set(confidence), reverse=True)
        rows = [oracle.around(confidence, correct, t) for t in levels]
        assert curve.coverage == pytest.approx([1 - row[0] / len(examples) for row in rows])
        assert curve.risk == pytest.approx([1 - row[2] for row in rows], abs=1e-12)

    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
    def test_area_is_the_mean_over_orders_of_ties(self, examples):
        confidence, correct = split(examples)
        assert risk_coverage(confidence, correct).area == pytest.approx(
            oracle.area_over_orders(confidence, correct)
        )

    def test_area_of_nothing(self):
        assert risk_coverage([], []).area is None
        assert len(risk_coverage([], []).coverage) == 0


class TestWhoIsWrong:
    def test_agreement_by_hand(self):
        found = agreement([0, 1, 2, 1, 1, 0], [0, 1, 0, 2, 1, 2], [0, 1, 2, 2, 2, 1])
        assert found == Agreement(2, 1, 1, 2, 1)

    @given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=20))
    def test_agreement_counts_everyone_once(self, rows):
        first, second, labels = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        found, turned = agreement(first, second, labels), agreement(second, first, labels)
        assert found.both_right + found.only_first + found.only_second + found.both_wrong == len(
            rows
        )
        assert (found.only_first, found.only_second) == (turned.only_second, turned.only_first)
        assert found.same_wrong == turned.same_wrong == sum(a == b != y for a, b, y in rows)
        assert found.both_right == sum(a == b == y for a, b, y in rows)

    @given(
        st.lists(
            st.tuples(*[st.integers(0, 2)] * 3, st.integers(0, 3), st.integers(0, 3)), max_size=25
        )
    )
    def test_exits(self, rows):
        first, second, labels, low, high = np.array(rows, dtype=np.int64).reshape(-1, 5).T
        table = StageTable(
            ("a", "b", "c"),
            tuple(
                Stage(c.astype(np.float64), p, (p == labels).astype(np.int64)[:, None])
                for c, p in ((low, first), (high, second), (high, labels[::-1].copy()))
            ),
            np.array([1.0, 2.0, 3.0]),
        )
        outcome = table.run([3.0, 2.0])
        rates = exit_rates_by_class(outcome, labels, 4)
        lost = wrong_exits(outcome, labels[::-1], labels)
        for stage in range(3):
            there = outcome.exit_stage == stage
            wrong = there & (outcome.prediction != labels)
            assert lost.left[stage] == np.sum(there)
            assert lost.wrong[stage] == np.sum(wrong)
            assert lost.wrong_at_last_too[stage] == np.sum(wrong & (labels[::-1] != labels))
            for label in range(4):
                of_class = labels == label
                expected = np.mean(there[of_class]) if of_class.any() else math.nan
                assert rates[label, stage] == pytest.approx(expected, nan_ok=True)
        assert lost.wrong[2] == lost.wrong_at_last_too[2]
