"""Difficulty-aware regularisation against a double loop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.errors import CascadeError
from cascade_exp.learning.dar import DifficultyAwareRegularization, dar_loss
from cascade_exp.learning.difficulty import Labels
from tests.learning.settings import dar
from tests.oracles.dar import dar_by_hand

LOGIT = st.sampled_from([-0.0, 0.0, 1.0, -2.0, 30.0, -1e4, 1e4]) | st.floats(-20, 20, width=32)


@st.composite
def batches(draw):
    size, classes = draw(st.integers(0, 9)), draw(st.integers(2, 4))
    row = st.lists(LOGIT, min_size=classes, max_size=classes)
    logits = draw(st.lists(row, min_size=size, max_size=size))
    difficult = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return logits, difficult, classes


@given(batches(), st.sampled_from([0.1, 0.5, 1.0]))
def test_is_the_double_loop(batch, margin):
    logits, difficult, classes = batch
    found = dar_loss(
        torch.tensor(logits).reshape(-1, classes), torch.tensor(difficult, dtype=torch.bool), margin
    )
    assert found.item() == pytest.approx(dar_by_hand(logits, difficult, margin), abs=1e-5)


@given(batches(), st.integers(0, 5))
def test_a_sampled_pair_is_one_of_the_pairs(batch, seed):
    logits, difficult, classes = batch
    values = torch.tensor(logits).reshape(-1, classes)
    hard = torch.tensor(difficult, dtype=torch.bool)
    torch.manual_seed(seed)
    found = dar_loss(values, hard, 0.5, "sampled").item()
    easy = [row for row, h in zip(logits, difficult, strict=True) if not h]
    partners = [row for row, h in zip(logits, difficult, strict=True) if h]
    each = [[dar_by_hand([e, h], [False, True], 0.5) for h in partners] for e in easy]
    if not easy or not any(difficult):
        assert found == 0
    else:
        low, high = (sum(map(bound, each)) / len(easy) for bound in (min, max))
        assert low - 1e-5 <= found <= high + 1e-5


def test_sampling_is_right_on_average():
    logits = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    hard = torch.arange(12) % 3 == 0
    torch.manual_seed(0)
    drawn = [dar_loss(logits, hard, 0.5, "sampled").item() for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(dar_loss(logits, hard, 0.5).item(), abs=0.01)


def test_a_step_parts_easy_from_difficult():
    logits = torch.tensor([[0.5, 0.0], [2.0, 0.0]], requires_grad=True)
    loss = dar_loss(logits, torch.tensor([False, True]), 0.5)
    loss.backward()
    assert logits.grad[0, 0] < 0 < logits.grad[1, 0]


def test_a_batch_without_pairs_leaves_the_gradient_alone():
    logits = torch.randn(4, 2, requires_grad=True)
    loss = logits.sum() + 0.5 * dar_loss(logits, torch.zeros(4, dtype=torch.bool), 0.5)
    loss.backward()
    assert (logits.grad == 1).all()


def test_labels_are_found_by_id():
    labels = Labels(np.array([7, 3, 5]), np.array([[True], [False], [True]]))
    term = DifficultyAwareRegularization(labels, dar(weight=0.5, margin=0.3))
    logits = torch.randn(3, 2)
    found = term(logits, {"id": torch.tensor([3, 5, 7])})
    assert found == dar_loss(logits, torch.tensor([True, False, False]), 0.3)
    assert not term.state_dict()
    with pytest.raises(ValueError, match="without a difficulty label"):
        term(logits, {"id": torch.tensor([3, 5, 8])})


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("margin", {"margin": 0.0}),
        ("margin", {"margin": 1.5}),
        ("weight", {"weight": 0.0}),
        ("pairs", {"pairs": "alle"}),
    ],
)
def test_refuses_what_makes_no_sense(key, values):
    with pytest.raises(CascadeError, match=key):
        dar(**{"weight": 0.5, "margin": 0.5, **values})
