"""Gatekeeper: a second phase of training that sharpens right answers and flattens wrong ones."""

from __future__ import annotations

import math

from torch import Tensor, nn

from cascade_exp.learning.task_loss import Batch, Taught
from cascade_exp.schema.training import Gatekeeper


def gatekeeper_loss(
    logits: Tensor, labels: Tensor, alpha: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """α·L_right + (1-α)·L_wrong, and the two parts, scalars.

        L_right = (1/B) Σ_i [argmax p_i = y_i] · CE(p_i, y_i)
        L_wrong = (1/B) Σ_i [argmax p_i ≠ y_i] · KL(p_i ‖ uniform),  KL = log K - H(p_i)

    A small α leads to low confidence in wrong answers at the price of accuracy, a large α keeps the
    accuracy. Source: Rabanser et al. 2025 (arXiv 2502.19335), §3.

    Args:
        logits: float [B, K].
        labels: int64 [B].
        alpha: α in (0, 1).
    """
    logs = logits.float().log_softmax(dim=1)
    right = logits.argmax(dim=1) == labels  # probabilities may round together
    sharpened = -logs.gather(1, labels[:, None])[:, 0]
    flattened = math.log(logs.shape[1]) + (logs.exp() * logs).sum(dim=1)
    of_right = sharpened.where(right, sharpened.new_zeros(())).mean()
    of_wrong = flattened.where(~right, flattened.new_zeros(())).mean()
    loss = alpha * of_right + (1 - alpha) * of_wrong
    return loss, {"right": of_right, "wrong": of_wrong}


class GatekeeperLoss:
    """The task loss of the second phase."""

    def __init__(self, settings: Gatekeeper) -> None:
        self.alpha = settings.alpha

    def __call__(self, network: nn.Module, batch: Batch, done: float) -> Taught:
        """The network's answers to a training batch, and what they cost."""
        logits = network(batch["inputs"])
        return Taught(logits, *gatekeeper_loss(logits, batch["label"], self.alpha))
