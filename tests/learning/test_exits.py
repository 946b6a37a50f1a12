"""The losses of networks with exits against sums by hand, and what each phase leaves alone."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from cascade_exp.learning.exits import ExitClassifier
from cascade_exp.learning.fit import fit
from cascade_exp.learning.watching import WatchedValidation
from cascade_exp.models.complete import build_model
from cascade_exp.models.exit_methods import (
    METHODS,
    divergence_from_last,
    loss_of_last,
    sum_of_earlier,
    weighted_by_depth,
)
from tests.learning.settings import optimizer, trainer

SHAPE = {
    "model_type": "bert",
    "vocab_size": 20,
    "num_hidden_layers": 3,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 8,
}


def probabilities(logits):
    top = max(logits)
    powers = [math.exp(z - top) for z in logits]
    return [power / sum(powers) for power in powers]


def cross_entropy(logits, labels, exit):
    rows = zip(logits, labels, strict=True)
    return sum(-math.log(probabilities(row[exit])[label]) for row, label in rows) / len(labels)


@given(st.data())
def test_losses_are_the_papers_sums(data):
    size = data.draw(st.integers(1, 4))
    exits = data.draw(st.integers(2, 5))
    classes = data.draw(st.integers(2, 4))
    number = st.floats(-6, 6)
    logits = data.draw(
        st.lists(
            st.lists(
                st.lists(number, min_size=classes, max_size=classes), min_size=exits, max_size=exits
            ),
            min_size=size,
            max_size=size,
        )
    )
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size))
    tensors = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)
    each = [cross_entropy(logits, labels, exit) for exit in range(exits)]
    assert float(loss_of_last(*tensors)) == pytest.approx(each[-1])
    assert float(sum_of_earlier(*tensors)) == pytest.approx(sum(each[:-1]))
    weighted = sum(j * loss for j, loss in enumerate(each, start=1))
    assert float(weighted_by_depth(*tensors)) == pytest.approx(weighted / sum(range(1, exits + 1)))
    divergence = 0.0
    for row in logits:
        teacher = probabilities(row[-1])
        for exit in range(exits - 1):
            student = probabilities(row[exit])
            divergence += sum(t * math.log(t / s) for t, s in zip(teacher, student, strict=True))
    assert float(divergence_from_last(*tensors)) == pytest.approx(divergence / size, abs=1e-9)


def test_the_teacher_does_not_learn_from_its_students():
    logits = torch.randn(3, 4, 2, requires_grad=True)
    divergence_from_last(logits, torch.zeros(3, dtype=torch.int64)).backward()
    assert logits.grad is not None
    assert not logits.grad[:, -1].any() and logits.grad[:, :-1].all()


class Tokens(torch.utils.data.Dataset):
    """Sequences whose label is whether token 5 is in them."""

    def __len__(self):
        return 32

    def __getitem__(self, row):
        ids = torch.randint(6, 20, (8,), generator=torch.Generator().manual_seed(row))
        if row % 2:
            ids[row % 7 + 1] = 5
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return {"inputs": inputs, "label": row % 2, "id": row}


class Loaders:
    """The same small set for every split."""

    def train_dataloader(self):
        return DataLoader(Tokens(), batch_size=8, shuffle=True)

    def loader(self, split):
        return DataLoader(Tokens(), batch_size=8)


def fitted(method, folder: Path):
    """The states of a tiny network before and after each phase of ``method``."""
    torch.manual_seed(0)
    member = {"family": "exits", "method": method, "config": SHAPE, "max_length": 8}
    network = build_model("net", member, ("no", "yes")).network
    wanted = optimizer("torch.optim.AdamW", 1e-2, warmup_share=0.0)
    states = [{k: v.clone() for k, v in network.state_dict().items()}]
    losses = []
    for phase in METHODS[method].phases:
        module = ExitClassifier(network, 2, wanted, phase)
        before = loss_of(module)
        fit(
            module,
            Loaders(),
            trainer(3, options={"enable_progress_bar": False}),
            {},
            folder=folder / phase.name,
            watch=WatchedValidation({}),
        )
        states.append({k: v.clone() for k, v in network.state_dict().items()})
        losses.append((before, loss_of(module)))
        assert all(parameter.requires_grad for parameter in network.parameters())
    return states, losses


def loss_of(module):
    module.eval()
    batch = next(iter(DataLoader(Tokens(), batch_size=32)))
    with torch.no_grad():
        return float(module.phase.loss(module(batch["inputs"]), batch["label"]))


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("method", ["deebert", "fastbert"])
def test_two_phases_train_the_encoder_and_then_the_earlier_heads(method, tmp_path):
    (start, first, second), losses = fitted(method, tmp_path)
    earlier = {k for k in start if k.startswith("heads.exits") and "exits.2." not in k}
    assert not changed(start, first) & earlier
    assert any(k.startswith("transformer.encoder.layer.0.") for k in changed(start, first))
    assert any(k.startswith("heads.exits.2.") for k in changed(start, first))
    assert changed(first, second) <= earlier
    assert {k for k in earlier if "weight" in k} <= changed(first, second)
    assert all(after < before for before, after in losses)


def test_pabee_trains_everything_at_once(tmp_path):
    (start, end), ((before, after),) = fitted("pabee", tmp_path)
    assert {k for k in start if "weight" in k} <= changed(start, end)
    assert after < before


def test_frozen_parts_drop_nothing_and_logs_pool_the_exits_that_learn(tmp_path):
    member = {"family": "exits", "method": "fastbert", "config": SHAPE, "max_length": 8}
    network = build_model("net", member, ("no", "yes")).network
    wanted = optimizer("torch.optim.AdamW", 1e-2)
    module = ExitClassifier(network, 2, wanted, METHODS["fastbert"].phases[1])
    module.train()
    module.on_train_epoch_start()
    assert not network.transformer.training and not network.heads.exits[-1].training
    assert network.heads.exits[0].training and network.heads.exits[1].training
    module.log = lambda *_, **__: None
    batch = next(iter(DataLoader(Tokens(), batch_size=4)))
    module.eval()
    module.validation_step(batch, 0)
    answers = network(batch["inputs"]).argmax(dim=-1)[:, :-1]
    expected = (answers == batch["label"][:, None]).double().mean()
    assert float(module.metrics.compute()["val/accuracy"]) == pytest.approx(float(expected))
