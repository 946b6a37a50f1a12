"""The classifier under Lightning: what it adds to the trainer's own behaviour."""

import pytest
import torch
from torch.utils.data import DataLoader

from cascade_exp.learning.classifier import Classifier, OptimizerSettings
from cascade_exp.learning.fit import TrainerSettings, make_trainer

EXAMPLES = [{"inputs": torch.ones(3), "label": torch.tensor(1), "id": torch.tensor(0)}]


def fitted(folder, clip, precision, fused):
    """Weights before and after one step of plain SGD with learning rate 1."""
    network = torch.nn.Linear(3, 2)
    before = network.weight.detach().clone()
    settings = OptimizerSettings(
        builds="torch.optim.SGD",
        learning_rate=1.0,
        weight_decay=0.0,
        warmup_share=0.0,
        decay="constant",
        options={"fused": fused},
    )
    trainer = make_trainer(
        TrainerSettings(
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            precision=precision,
            gradient_clip_val=clip,
            options={"enable_progress_bar": False, "enable_checkpointing": False},
        ),
        folder=folder,
    )
    trainer.fit(Classifier(network, 2, settings), DataLoader(EXAMPLES))
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
