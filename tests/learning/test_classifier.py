"""The classifier under Lightning: what it adds to the trainer's own behaviour."""

import pytest
import torch
from torch.utils.data import DataLoader

from cascade_exp.cascade.reliability import dis
from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.fit import make_trainer
from tests.learning.settings import optimizer, trainer

EXAMPLES = [{"inputs": torch.ones(3), "label": torch.tensor(1), "id": torch.tensor(0)}]


def trainer_of(folder, precision, clip=None):
    settings = trainer(
        1,
        precision=precision,
        gradient_clip_val=clip,
        options={"enable_progress_bar": False, "enable_checkpointing": False},
    )
    return make_trainer(settings, folder=folder)


def fitted(folder, clip, precision, fused):
    """Weights before and after one step of SGD with learning rate 1."""
    network = torch.nn.Linear(3, 2)
    before = network.weight.detach().clone()
    settings = optimizer(
        "torch.optim.SGD",
        1.0,
        weight_decay=0.0,
        warmup_share=0.0,
        decay="constant",
        options={"fused": fused},
    )
    trainer_of(folder, precision, clip).fit(Classifier(network, 2, settings), DataLoader(EXAMPLES))
    return before, network


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_whatever_the_optimiser(tmp_path, precision, fused):
    torch.manual_seed(0)
    _, free = fitted(tmp_path, None, precision, fused)
    gradients = torch.cat([p.grad.ravel() for p in free.parameters()])
    assert gradients.norm() > 0.5
    before, clipped = fitted(tmp_path, 0.01, precision, fused)
    gradients = torch.cat([p.grad.ravel() for p in clipped.parameters()])
    assert gradients.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert torch.allclose(before - clipped.weight, clipped.weight.grad)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_dis_of_an_epoch_is_that_of_the_logits_in_full_precision(tmp_path, precision):
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 3, generator=rng) / 50  # confidences too close for bfloat16
    labels = torch.randint(0, 2, (200,), generator=rng)
    selection = [
        {"inputs": x, "label": label, "id": torch.tensor(i)}
        for i, (x, label) in enumerate(zip(inputs, labels, strict=True))
    ]
    module = Classifier(torch.nn.Linear(3, 2), 2, optimizer("torch.optim.SGD", 1.0))
    trainer = trainer_of(tmp_path, precision)
    trainer.validate(
        module, [DataLoader(EXAMPLES), DataLoader(selection, batch_size=50)], verbose=False
    )
    with torch.no_grad():
        p = module(inputs).softmax(dim=1).double().numpy()
    right = p.argmax(axis=1) == labels.numpy()
    logged = float(trainer.callback_metrics["selection/dis"])
    assert logged == pytest.approx(dis(p.max(axis=1), right), abs=1e-3)
    rounded = torch.tensor(p.max(axis=1)).bfloat16().double().numpy()
    assert abs(dis(rounded, right) - logged) > 0.05
