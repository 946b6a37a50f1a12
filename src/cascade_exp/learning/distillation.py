"""Learning from a teacher's answers and hidden states: vanilla distillation and BERT-PKD.

The third way, taking the teacher's place layer by layer, is in ``theseus``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cascade_exp.errors import CascadeError
from cascade_exp.learning.task_loss import Batch, Taught
from cascade_exp.schema.training import Patient, Vanilla


def soft_target_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, settings: Vanilla
) -> tuple[Tensor, dict[str, Tensor]]:
    """(1-α)·CE + α·T²·KL(teacher_T ‖ student_T), means over the batch; and its two parts.

    p_T is softmax(z / T). Source: Hinton, Vinyals and Dean 2015, §2; T² keeps the gradients of the
    soft targets at the scale of those of the labels.

    Args:
        student, teacher: logits [B, K].
        labels: int64 [B].
    """
    heat = settings.temperature
    hard = nn.functional.cross_entropy(student.float(), labels)
    soft = heat**2 * nn.functional.kl_div(
        (student.float() / heat).log_softmax(dim=1),
        (teacher.float() / heat).log_softmax(dim=1),
        reduction="batchmean",
        log_target=True,
    )
    loss = (1 - settings.alpha) * hard + settings.alpha * soft
    return loss, {"cross_entropy": hard, "soft_targets": soft}


class VanillaDistillation(nn.Module):
    """Soft targets that the teacher gave once for every training example, found by id.

    So teacher and student may read inputs prepared in different ways; augmentation is the student's
    alone. The targets are no weights and add nothing to a checkpoint.

    Args:
        ids: int64 [N] of the training examples. logits: the teacher's, float32 [N, K].
    """

    ids: Tensor
    logits: Tensor

    def __init__(
        self, ids: NDArray[np.int64], logits: NDArray[np.float32], settings: Vanilla
    ) -> None:
        super().__init__()
        order = ids.argsort()
        self.settings = settings
        self.register_buffer("ids", torch.from_numpy(ids[order]), persistent=False)
        self.register_buffer("logits", torch.from_numpy(logits[order]), persistent=False)

    def forward(self, network: nn.Module, batch: Batch, done: float) -> Taught:
        """The network's answers to a training batch, and what they cost.

        Raises:
            ValueError: if the teacher never saw an example.
        """
        place = torch.searchsorted(self.ids, batch["id"]).clamp(max=len(self.ids) - 1)
        if not torch.equal(self.ids[place], batch["id"]):
            raise ValueError("a training example without the teacher's answer")
        logits = network(batch["inputs"])
        targets = self.logits[place]
        return Taught(logits, *soft_target_loss(logits, targets, batch["label"], self.settings))


def matched_layers(teacher: int, student: int, how: str) -> list[int]:
    """Which of the teacher's layers (1..L) each of the student's layers 1..M-1 is matched with.

    ``skip``: every L/M-th, rounded down; ``last``: the M-1 before the last. The last layers of both
    are left out, as they feed the heads. Source: Sun et al. 2019 (BERT-PKD), §3.2.

    Raises:
        CascadeError: if the student has a single layer, or no fewer than the teacher.
    """
    if not 2 <= student < teacher:
        raise CascadeError(
            f"distillation=patient: a student of {student} layers under a teacher of {teacher}; "
            "expected 2 layers or more, and fewer than the teacher's"
        )
    if how == "last":
        return list(range(teacher - student + 1, teacher))
    return [layer * teacher // student for layer in range(1, student)]


def patient_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of hidden states [B, M-1, H], each first scaled to length 1.

    Source: Sun et al. 2019 (BERT-PKD), Eq. 7, as a mean over all numbers where the paper writes a
    sum (its code takes the mean too, which is what its range of β is for).
    """
    ours, theirs = (nn.functional.normalize(h.float(), dim=-1) for h in (student, teacher))
    return nn.functional.mse_loss(ours, theirs)


class PatientDistillation:
    """Soft targets, and β times the distance of the [CLS] states of matched layers.

    The teacher reads the student's batches, in evaluation mode and without gradients.

    Args:
        teacher: a network with ``with_states`` (``models.transformers_models.TokenClassifier``).
        layers: ``matched_layers``.
    """

    def __init__(self, teacher: Any, layers: list[int], settings: Patient) -> None:
        self.teacher = teacher.eval()
        self.layers = layers
        self.settings = settings

    def __call__(self, network: Any, batch: Batch, done: float) -> Taught:
        """The network's answers to a training batch, and what they cost."""
        logits, states = network.with_states(batch["inputs"])
        with torch.no_grad():
            targets, theirs = self.teacher.to(logits.device).with_states(batch["inputs"])
        loss, parts = soft_target_loss(logits, targets, batch["label"], self.settings)
        apart = patient_loss(states[:, : len(self.layers)], theirs[:, [i - 1 for i in self.layers]])
        return Taught(logits, loss + self.settings.beta * apart, {**parts, "hidden_states": apart})
