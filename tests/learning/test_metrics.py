"""The torchmetrics shells against the NumPy core, batched and on the edges."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cascade_exp.cascade.reliability import dis, ece
from cascade_exp.learning.metrics import DifficultyInversionScore, ExpectedCalibrationError


@given(st.integers(1, 40), st.integers(2, 4), st.integers(0, 1000), st.integers(1, 7))
def test_batches_give_what_the_whole_gives(size, classes, seed, step):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-3, 4, (size, classes)).astype(np.float32)
    labels = rng.integers(0, classes, size)
    exact = np.exp(logits.astype(np.float64))
    confidence = torch.from_numpy(logits).double().softmax(dim=1).amax(dim=1).numpy()
    np.testing.assert_allclose(confidence, (exact / exact.sum(1, keepdims=True)).max(1))
    correct = logits.argmax(1) == labels
    for metric, core in ((DifficultyInversionScore(), dis), (ExpectedCalibrationError(), ece)):
        for start in range(0, size, step):
            part = slice(start, start + step)
            metric.update(torch.from_numpy(logits[part]), torch.from_numpy(labels[part]))
        expected = core(confidence, correct)
        found = metric.compute().item()
        assert found == pytest.approx(np.nan if expected is None else expected, nan_ok=True)
        metric.reset()
        assert np.isnan(metric.compute().item())


def test_dis_is_the_auroc_of_correctness():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    metric = DifficultyInversionScore()
    metric.update(torch.from_numpy(logits), torch.from_numpy(labels))
    exact = np.exp(logits)
    confidence = (exact / exact.sum(1, keepdims=True)).max(1)
    expected = roc_auc_score(logits.argmax(1) == labels, confidence)
    assert metric.compute().item() == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_dis_is_empty_when_nothing_or_everything_is_wrong(labels):
    metric = DifficultyInversionScore()
    metric.update(torch.tensor([[2.0, 0.0], [3.0, 0.0]]), torch.tensor(labels))
    assert metric.compute().isnan()
