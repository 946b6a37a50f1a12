"""What a training batch costs a network: the seam between ``Classifier`` and ways to teach it.

Distillation is in ``distillation`` and ``theseus``; a regulariser joins in ``Classifier``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Taught:
    """A batch's logits [B, K] and its task loss (a scalar), with the parts worth logging."""

    logits: Tensor
    loss: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class TaskLoss(Protocol):
    """A way to teach: ``loss(network, batch, done)``, where ``done`` is the share of the steps."""

    def __call__(self, network: nn.Module, batch: Batch, done: float) -> Taught:
        """The network's answers to a training batch, and what they cost."""
        ...


class CrossEntropy:
    """Mean cross-entropy with the labels."""

    def __call__(self, network: nn.Module, batch: Batch, done: float) -> Taught:
        """The network's answers to a training batch, and what they cost."""
        logits = network(batch["inputs"])
        return Taught(logits, nn.functional.cross_entropy(logits.float(), batch["label"]))
