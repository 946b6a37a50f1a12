"""Label smoothing and Gatekeeper's loss against loops, and what a step does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cascade_exp.errors import CascadeError
from cascade_exp.learning.gatekeeper import gatekeeper_loss
from cascade_exp.learning.regularizers import LabelSmoothingTerm, smoothing_term
from cascade_exp.schema.training import Gatekeeper, LabelSmoothing
from tests.oracles.regularizers import gatekeeper_by_hand, smoothed_by_hand


@st.composite
def batches(draw):
    size, classes = draw(st.integers(1, 8)), draw(st.integers(2, 4))
    row = st.lists(
        st.sampled_from([0.0, 1.0, -2.0]) | st.floats(-15, 15, width=32),
        min_size=classes,
        max_size=classes,
    )
    logits = draw(st.lists(row, min_size=size, max_size=size))
    return logits, draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size))


@given(batches(), st.floats(0.01, 0.99))
def test_cross_entropy_and_the_term_are_smoothed_targets(batch, epsilon):
    logits, labels = torch.tensor(batch[0]), torch.tensor(batch[1])
    found = nn.functional.cross_entropy(logits, labels) + epsilon * smoothing_term(logits, labels)
    assert found.item() == pytest.approx(smoothed_by_hand(*batch, epsilon), abs=1e-4)
    ours = nn.functional.cross_entropy(logits, labels, label_smoothing=epsilon)
    assert found.item() == pytest.approx(ours.item(), abs=1e-4)


@given(batches(), st.floats(0.01, 0.99))
def test_gatekeeper_is_the_loop(batch, alpha):
    loss, parts = gatekeeper_loss(torch.tensor(batch[0]), torch.tensor(batch[1]), alpha)
    assert loss.item() == pytest.approx(gatekeeper_by_hand(*batch, alpha), abs=1e-4)
    mixed = alpha * parts["right"] + (1 - alpha) * parts["wrong"]
    assert loss.item() == pytest.approx(mixed.item(), abs=1e-6)


def test_a_step_sharpens_right_answers_and_flattens_wrong_ones():
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0]], requires_grad=True)
    gatekeeper_loss(logits, torch.tensor([0, 1]), 0.5)[0].backward()
    right, wrong = logits.grad
    assert right[0] < 0 < right[1]  # descent raises the confidence of the right answer ...
    assert wrong[1] < 0 < wrong[0]  # ... and lowers that of the wrong one


def test_a_flat_wrong_answer_costs_nothing():
    loss, parts = gatekeeper_loss(torch.zeros(3, 4), torch.tensor([1, 2, 3]), 0.3)
    assert loss.item() == pytest.approx(0, abs=1e-6) and parts["right"] == 0


def test_the_term_reads_labels_alone():
    term = LabelSmoothingTerm(LabelSmoothing("label_smoothing", epsilon=0.2))
    logits, labels = torch.randn(5, 3), torch.arange(5) % 3
    assert term(logits, {"label": labels}) == smoothing_term(logits, labels)
    assert (term.name, term.weight) == ("label_smoothing", 0.2)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_refuses_what_makes_no_sense(alpha):
    with pytest.raises(CascadeError, match="alpha="):
        Gatekeeper("gatekeeper", alpha=alpha, max_epochs=1, learning_rate=None)
    with pytest.raises(CascadeError, match="epsilon="):
        LabelSmoothing("label_smoothing", epsilon=alpha)
