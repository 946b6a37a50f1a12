import inspect

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_f1_score

from cascade_exp.cascade.objective import OBJECTIVES, make_objective
from cascade_exp.errors import CascadeError


@st.composite
def answered(draw: st.DrawFn, most_classes: int = 5) -> tuple[np.ndarray, np.ndarray, int]:
    classes = draw(st.integers(1, most_classes))
    size = draw(st.integers(0, 25))
    picks = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    return np.array(draw(picks), np.int64), np.array(draw(picks), np.int64), classes


def score_of(objective, prediction, labels, classes, rank=None):
    statistics = objective.statistics(prediction, rank, labels, classes)
    assert statistics.dtype == np.int64 and len(statistics) == len(labels)
    return float(objective.score(statistics.sum(axis=0), len(labels)))


@given(answered())
def test_accuracy_is_the_share_of_right_answers(case):
    prediction, labels, _ = case
    expected = float(np.mean(prediction == labels)) if len(labels) else 0.0
    assert score_of(make_objective("accuracy"), *case) == expected


@given(answered(), st.integers(1, 6))
def test_topk_accuracy_counts_ranks_below_k(case, k):
    prediction, labels, classes = case
    rank = np.random.default_rng(k).integers(0, classes, len(labels))
    expected = sum(r < k for r in rank) / max(len(labels), 1)
    objective = make_objective("topk_accuracy", k=k)
    assert score_of(objective, prediction, labels, classes, rank) == expected
    assert objective.additive


@given(answered(most_classes=2))
@settings(deadline=None)
def test_binary_f1_is_scikit_learns(case):
    prediction, labels, classes = case
    expected = 0.0
    if len(labels):
        expected = sklearn.metrics.f1_score(labels, prediction, zero_division=0)
    found = score_of(make_objective("f1"), prediction, labels, classes)
    assert found == pytest.approx(expected, rel=1e-15)


@given(answered())
@settings(deadline=None)
def test_macro_f1_is_scikit_learns_and_torchmetrics(case):
    prediction, labels, classes = case
    found = score_of(make_objective("f1", average="macro"), prediction, labels, classes)
    if len(labels) == 0:
        assert found == 0.0
        return
    expected = sklearn.metrics.f1_score(labels, prediction, average="macro", zero_division=0)
    assert found == pytest.approx(expected, rel=1e-14)
    if classes > 1:
        theirs = multiclass_f1_score(
            torch.tensor(prediction), torch.tensor(labels), num_classes=classes, average="macro"
        )
        assert found == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "f1"])
def test_scores_of_many_totals_at_once_are_the_scores_of_each(name):
    objective = make_objective(name)
    rng = np.random.default_rng(0)
    statistics = objective.statistics(rng.integers(0, 2, 30), None, rng.integers(0, 2, 30), 2)
    totals = np.cumsum(statistics, axis=0)
    together = objective.score(totals, 30)
    assert together.shape == (30,)
    for i in range(30):
        assert together[i] == objective.score(totals[i], 30)


def test_a_prediction_that_no_label_uses_is_simply_wrong():
    prediction, labels = np.array([7, 1, 0]), np.array([0, 1, 0])
    assert score_of(make_objective("accuracy"), prediction, labels, 2) == pytest.approx(2 / 3)
    f1 = make_objective("f1", average="macro")
    assert f1.statistics(prediction, None, labels, 2).sum(axis=0).tolist() == [1, 0, 1, 1, 0, 0]


def test_settings_and_uses_that_make_no_sense_are_refused():
    for build, message in (
        (lambda: make_objective("acuracy"), r"objective=acuracy.*did you mean 'accuracy'"),
        (
            lambda: make_objective("f1", averge="macro"),
            r"objective\.averge.*did you mean 'average'",
        ),
        (lambda: make_objective("f1", average="micro"), r"objective\.average=micro"),
        (lambda: make_objective("topk_accuracy"), r"objective\.k: .*needs it"),
        (lambda: make_objective("topk_accuracy", k=0), r"objective\.k=0"),
    ):
        with pytest.raises(CascadeError, match=message):
            build()
    nothing = np.zeros(1, np.int64)
    with pytest.raises(CascadeError, match="topk_accuracy needs logits"):
        make_objective("topk_accuracy", k=2).statistics(nothing, None, nothing, 3)
    with pytest.raises(CascadeError, match="expected 2 classes, found 3"):
        make_objective("f1").statistics(nothing, nothing, nothing, 3)


SETTINGS = {"k": 2}  # by parameter; a new objective with a setting of its own adds a value here
EVERY = [
    make_objective(
        name,
        **{
            parameter.name: SETTINGS[parameter.name]
            for parameter in inspect.signature(build).parameters.values()
            if parameter.default is inspect.Parameter.empty
        },
    )
    for name, build in OBJECTIVES.items()
]
every_objective = pytest.mark.parametrize("objective", EVERY, ids=lambda one: one.name)


@every_objective
@given(answered(most_classes=2), st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_every_objective_is_what_it_declares(objective, case, seed):
    prediction, labels, classes = case
    rng = np.random.default_rng(seed)
    rank = rng.integers(0, classes, len(labels))
    statistics = objective.statistics(prediction, rank, labels, classes)
    assert statistics.dtype == np.int64 and statistics.shape[0] == len(labels)
    totals = np.cumsum(statistics, axis=0)
    scores = objective.score(totals, len(labels))
    assert scores.shape == (len(labels),) and np.all((scores >= 0) & (scores <= 1))
    if objective.additive:
        assert statistics.shape[1] == 1
        np.testing.assert_array_equal(scores, totals[:, 0] / max(len(labels), 1))
    if objective.needs_rank:
        other = rng.integers(0, classes, len(labels))
        again = objective.statistics(other, rank, labels, classes)
    else:
        again = objective.statistics(prediction, None, labels, classes)
    np.testing.assert_array_equal(again, statistics)
    order = rng.permutation(len(labels))
    permuted = objective.statistics(prediction[order], rank[order], labels[order], classes)
    np.testing.assert_array_equal(permuted, statistics[order])


@every_objective
def test_every_objective_is_called_by_its_own_name(objective):
    assert OBJECTIVES[objective.name] is type(objective)
    right = np.array([0, 1, 1, 0])
    statistics = objective.statistics(right, np.zeros(4, np.int64), right, 2)
    assert float(objective.score(statistics.sum(axis=0), 4)) == 1.0
