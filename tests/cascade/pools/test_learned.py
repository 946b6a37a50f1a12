"""Learned deferral: the regression, its cross-fitting, and what it may never see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.learned import RARE, Deferral, DeferralModel, LearnedPool
from cascade_exp.cascade.pools.logits import Answers, LogitsPool
from cascade_exp.cascade.reliability import auroc
from cascade_exp.errors import CascadeError
from tests.oracles.deferral import log_odds, penalised_loss

WILD = st.floats(-1.7e308, 1.7e308, allow_subnormal=False)


def black_boxes(size=400, seed=0) -> LogitsPool:
    """Two services; the first is oversure of class 0, where it is mostly wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size)
    prediction = rng.integers(0, 3, size)
    odds = np.where(prediction == 0, 0.15, 0.8)
    right = rng.random(size) < odds
    prediction = np.where(right, labels, prediction)
    sure = np.where(prediction == 0, 0.9, 0.6) + rng.normal(0, 0.05, size)
    other = np.where(rng.random(size) < 0.95, labels, (labels + 1) % 3)
    return LogitsPool.build(
        {"first": Answers(prediction, sure), "second": Answers(other, np.ones(size))},
        {"first": 1.0, "second": 5.0},
        labels,
        metric=make_metric("recorded"),
        objective=make_objective("accuracy"),
    )


def deferral_over(pool, folds=4, rows=None) -> Deferral:
    kept = np.arange(pool.size) if rows is None else rows
    return Deferral(pool, lambda stage: stage.statistics[:, 0], kept, folds, seed=1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_the_regression_minimises_its_penalised_loss(seed):
    rng = np.random.default_rng(seed)
    confidence, prediction = rng.normal(0, 2, 120), rng.integers(0, 4, 120)
    right = (rng.random(120) < 0.6).astype(np.int64)
    model = DeferralModel.fit(confidence, prediction, right)
    data = (confidence, prediction, right)
    least = penalised_loss(model, *data)
    for change in ((0.02, 0.0), (-0.02, 0.0), (0.0, 0.02), (0.0, -0.02)):
        assert penalised_loss(model, *data, change) >= least - 1e-4
    scores = model.score(confidence, prediction)
    by_hand = [log_odds(model, c, p) for c, p in zip(confidence, prediction, strict=True)]
    assert scores == pytest.approx(by_hand)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(WILD, st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=30))
def test_any_confidences_give_finite_scores(examples):
    confidence, prediction, right = (np.array(column) for column in zip(*examples, strict=True))
    model = DeferralModel.fit(confidence, prediction, right)
    assert np.isfinite(model.score(confidence, prediction)).all()
    assert np.isfinite(model.score(-confidence, prediction + 50)).all()
    if right.all() or not right.any():
        assert np.unique(model.score(confidence, prediction)).size == 1


def test_rare_classes_have_no_term_of_their_own():
    prediction = np.repeat([3, 5], [RARE, RARE - 1])
    rng = np.random.default_rng(0)
    right = rng.integers(0, 2, len(prediction))
    model = DeferralModel.fit(rng.normal(size=len(prediction)), prediction, right)
    assert model.classes.tolist() == [3]


def test_an_example_is_scored_by_a_model_that_has_not_seen_it():
    pool = black_boxes()
    deferral = deferral_over(pool)
    fold = deferral.fold_of_rows()
    assert np.bincount(fold).tolist() == [100] * 4
    stage, plain = LearnedPool(pool, deferral, fold).stage((0,)), pool.stage((0,))
    right = plain.statistics[:, 0]
    for part in range(4):
        others = fold != part
        model = DeferralModel.fit(plain.confidence[others], plain.prediction[others], right[others])
        mine = ~others
        expected = model.score(plain.confidence[mine], plain.prediction[mine])
        assert stage.confidence[mine] == pytest.approx(expected)
    whole = DeferralModel.fit(plain.confidence, plain.prediction, right)
    unseen = LearnedPool(pool, deferral, np.full(pool.size, -1))
    expected = whole.score(plain.confidence, plain.prediction)
    assert unseen.stage((0,)).confidence == pytest.approx(expected)
    assert unseen.stage((0,)).prediction.tolist() == plain.prediction.tolist()


def test_only_the_given_rows_are_learned_from():
    pool = black_boxes()
    rows = np.arange(0, 400, 2)
    deferral = deferral_over(pool, rows=rows)
    assert (deferral.fold_of_rows()[1::2] == -1).all()
    plain = pool.stage((0,))
    expected = DeferralModel.fit(
        plain.confidence[rows], plain.prediction[rows], plain.statistics[rows, 0]
    )
    assert deferral.models((0,))[0].score(np.array([0.7]), np.array([1])) == expected.score(
        np.array([0.7]), np.array([1])
    )


def test_it_mends_a_service_that_is_oversure_of_one_class():
    pool, fresh = black_boxes(seed=1), black_boxes(seed=2)
    learned = LearnedPool(fresh, deferral_over(pool), np.full(fresh.size, -1))
    plain = fresh.stage((0,))
    right = plain.statistics[:, 0] > 0
    assert auroc(plain.confidence, right) < 0.4
    assert auroc(learned.stage((0,)).confidence, right) > 0.6


@pytest.mark.parametrize("folds", [1, 401])
def test_folds_that_cannot_be_are_refused(folds):
    with pytest.raises(CascadeError, match=f"metric.folds={folds}: expected 2 to 400"):
        deferral_over(black_boxes(), folds)
