"""How networks with exits learn: DeeBERT's two phases, PABEE's one, FastBERT's self-distillation.

A phase is one fit by Lightning, which starts from the weights of the phase before. The networks
are in ``models.exits``; fitting complete models in ``classifier``.
"""

from __future__ import annotations

from torch import Tensor

from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.task_loss import Batch
from cascade_exp.models.exit_methods import Part, Phase
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.schema.training import Optimizer


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
