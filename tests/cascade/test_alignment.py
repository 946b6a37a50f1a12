"""Whether rows are of the same examples, and what would repair a recording."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.alignment import agreement, misaligned, repair
from tests.oracles import alignment as oracle


@given(st.data())
def test_agreement_is_that_of_every_pair_of_examples(data):
    size = data.draw(st.integers(0, 30))
    classes = data.draw(st.integers(1, 4))
    column = st.lists(st.integers(0, classes), min_size=size, max_size=size)
    labels = np.array(
        data.draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)), dtype=int
    )
    models = [np.array(data.draw(column), dtype=int) for _ in range(data.draw(st.integers(1, 3)))]
    found = agreement(models, labels).value
    for i, one in enumerate(models):
        for j, other in enumerate(models):
            expected = oracle.agreement(one, other, labels)
            np.testing.assert_allclose(found[i, j], expected, atol=1e-9)


def models_of(rng, labels, classes, accuracies):
    """Models that find the same examples hard."""
    hardness = rng.random(len(labels))
    wrong = (labels + rng.integers(1, classes, len(labels))) % classes
    noise = [rng.normal(0, 0.1, len(labels)) for _ in accuracies]
    return [
        np.where(hardness + n < a, labels, wrong) for a, n in zip(accuracies, noise, strict=True)
    ]


def shuffled_within_classes(rng, prediction, labels):
    moved = prediction.copy()
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        moved[rows] = prediction[rng.permutation(rows)]
    return moved


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("size", [300, 3000])
def test_only_misaligned_models_are_found(classes, size):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = rng.integers(classes, size=size)
        one, two, three = models_of(rng, labels, classes, (0.7, 0.75, 0.85))
        assert misaligned([one, two, three], labels) == []
        moved = shuffled_within_classes(rng, two, labels)
        assert np.mean(moved == labels) == np.mean(two == labels)
        if size == 3000:
            found = misaligned([one, moved, three], labels)
            assert [pair[:2] for pair in found] == [(0, 1), (1, 2)]


def test_models_at_chance_and_few_examples_are_not_judged():
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=2000)
    guesses = [rng.integers(5, size=2000) for _ in range(3)]
    assert misaligned(guesses, labels) == [] == misaligned([labels[:0]] * 2, labels[:0])
    few = rng.integers(2, size=12)
    assert misaligned(models_of(rng, few, 2, (0.9, 0.9)), few) == []


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_each_kind_of_mistake_is_recognised(classes):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        labels = rng.integers(classes, size=1000)
        (right,) = models_of(rng, labels, classes, (0.8,))
        score = float(np.mean(right == labels))
        assert repair(right, labels) is None
        order = np.roll(np.arange(classes), 1)
        found = repair(order[right], labels)
        assert found is not None and found.kind in ("classes", "values")
        assert found.score == pytest.approx(score, abs=0.05)
        later = repair(right + 1, labels)
        assert later is not None and later.score == pytest.approx(score, abs=0.05)
        if classes > 2:
            assert (later.kind, later.by) == ("values", -1) or later.kind == "classes"
        for by in (-1, 1):
            moved = repair(np.roll(right, -by), labels)
            assert moved is not None and (moved.kind, moved.by) == ("rows", by)


def test_noise_is_not_repaired():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        for classes, size in ((2, 12), (10, 40), (200, 200)):
            labels = rng.integers(classes, size=size)
            assert repair(rng.integers(classes, size=size), labels) is None or size == 12
