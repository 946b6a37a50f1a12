"""How networks with exits learn: DeeBERT's two phases, PABEE's one, FastBERT's self-distillation.

A phase is one fit by Lightning, which goes on with the weights of the phase before. The networks
are in ``models.exits``; fitting complete models in ``classifier``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.task_loss import Batch
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.schema.training import Optimizer

Part = Literal["all", "last", "earlier"]


def loss_of_last(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the last exit alone; ``logits`` [B, exits, K], ``labels`` [B]."""
    return functional.cross_entropy(logits[:, -1], labels)


def sum_of_earlier(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over all exits but the last of their mean cross-entropies (Xin et al. 2020, §3.2)."""
    return torch.stack(
        [functional.cross_entropy(logits[:, i], labels) for i in range(logits.shape[1] - 1)]
    ).sum()


def weighted_by_depth(logits: Tensor, labels: Tensor) -> Tensor:
    """Σ j·L_j / Σ j over exits j = 1, 2, … and their mean cross-entropies L_j.

    Zhou et al. 2020, Eq. 6. The weight is the number of layers run, which is what the exit costs.
    """
    losses = torch.stack(
        [functional.cross_entropy(logits[:, i], labels) for i in range(logits.shape[1])]
    )
    weights = torch.arange(1, logits.shape[1] + 1, dtype=losses.dtype, device=losses.device)
    return (weights * losses).sum() / weights.sum()


def divergence_from_last(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over all exits but the last of the mean KL(last ‖ exit) (Liu et al. 2020, Eq. 7 and 8).

    Printed there as KL(exit ‖ last); the authors' code takes it this way round. No label is read.
    """
    teacher = torch.softmax(logits[:, -1].detach(), dim=-1)
    students = torch.log_softmax(logits[:, :-1], dim=-1)
    return functional.kl_div(students, teacher[:, None].expand_as(students), reduction="sum") / len(
        logits
    )


@dataclass(frozen=True)
class Phase:
    """One fit.

    Attributes:
        name: of the phase; "" where a method has one only, and of the first of two.
        trains: which exits learn, ``all`` or ``last`` (the encoder with them), or ``earlier``,
            while the encoder and the last head stay as they are and drop nothing.
        loss: of logits [B, exits, K] and labels [B].
    """

    name: str
    trains: Part
    loss: Callable[[Tensor, Tensor], Tensor]


PHASES: dict[str, tuple[Phase, ...]] = {
    "deebert": (Phase("", "last", loss_of_last), Phase("heads", "earlier", sum_of_earlier)),
    "pabee": (Phase("", "all", weighted_by_depth),),
    "fastbert": (Phase("", "last", loss_of_last), Phase("heads", "earlier", divergence_from_last)),
}
"""Method -> its phases, in order."""


class ExitClassifier(Classifier):
    """One phase of a network with exits.

    Logs what :class:`Classifier` does; each metric pools the answers of the exits that learn in
    this phase.
    """

    network: ExitNetwork

    def __init__(
        self, network: ExitNetwork, classes: int, optimizer: Optimizer, phase: Phase
    ) -> None:
        super().__init__(network, classes, optimizer)
        self.phase = phase

    def setup(self, stage: str) -> None:
        """Freeze what does not learn."""
        if stage != "fit":
            return
        if self.phase.trains == "earlier":
            self.network.heads.prepare_heads()
        self.network.requires_grad_(self.phase.trains != "earlier")
        if self.phase.trains != "all":
            for head in self.network.heads.exits[:-1]:
                head.requires_grad_(self.phase.trains == "earlier")

    def teardown(self, stage: str) -> None:
        """Leave nothing frozen."""
        if stage == "fit":
            self.network.requires_grad_(True)

    def on_train_epoch_start(self) -> None:
        """Keep dropout out of what is frozen."""
        self.network.train()
        if self.phase.trains == "earlier":
            self.network.transformer.eval()
            self.network.heads.exits[-1].eval()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The phase's loss on the batch."""
        loss = self.phase.loss(self(batch["inputs"]).float(), batch["label"])
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["label"]))
        return loss

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Add the batch to the epoch's metrics: of validation first, of selection second."""
        logits, labels = self.validated(batch["inputs"], dataloader_idx), batch["label"]
        learning = logits[:, _EXITS[self.phase.trains]]
        pooled, repeated = learning.flatten(0, 1), labels.repeat_interleave(learning.shape[1])
        if dataloader_idx == 1:
            self.reliability.update(pooled, repeated)
            return
        loss = self.phase.loss(logits, labels)
        self.log("val/loss", loss, on_epoch=True, batch_size=len(labels), add_dataloader_idx=False)
        self.metrics.update(pooled.argmax(dim=1), repeated)


_EXITS: dict[Part, slice] = {
    "all": slice(None),
    "last": slice(-1, None),
    "earlier": slice(None, -1),
}
