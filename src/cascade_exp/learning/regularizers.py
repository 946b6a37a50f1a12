"""Terms that join a task loss: the seam between ``Classifier`` and ``regularizer=…``.

Difficulty-aware regularisation is in ``dar``. A regulariser that replaces the task loss, in a phase
of its own, is a task loss: ``gatekeeper``.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from cascade_exp.learning.task_loss import Batch
from cascade_exp.schema.training import LabelSmoothing


class Regularizer(Protocol):
    """A term: the loss of a batch is the task loss + ``weight`` times it.

    ``name`` is what the unweighted term is logged as, ``train/<name>``.
    """

    name: str
    weight: float

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """The unweighted term of a batch of training examples, a scalar: logits [B, K]."""
        ...


def smoothing_term(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of ``log p_y - (1/K) Σ_k log p_k``; a scalar.

    Cross-entropy + ε times this term is the cross-entropy with targets (1-ε)·onehot(y) + ε/K.
    Source: Szegedy et al. 2016, §7.

    Args:
        logits: float [B, K].
        labels: int64 [B].
    """
    logs = logits.float().log_softmax(dim=1)
    return (logs.gather(1, labels[:, None])[:, 0] - logs.mean(dim=1)).mean()


class LabelSmoothingTerm:
    """Label smoothing as a term, so that it goes with any way of teaching."""

    name = "label_smoothing"

    def __init__(self, settings: LabelSmoothing) -> None:
        self.weight = settings.epsilon

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """The unweighted term of a batch of training examples, a scalar: logits [B, K]."""
        return smoothing_term(logits, batch["label"])
