"""The LightningModule that fine-tunes one classifier, whatever network it wraps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryF1Score, MulticlassAccuracy, MulticlassF1Score
from transformers import get_scheduler

from cascade_exp.errors import CascadeError, choice
from cascade_exp.learning.building import build

Batch = Mapping[str, Any]
DECAYS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


@dataclass(frozen=True)
class OptimizerSettings:
    """A torch optimiser by its import path, with linear warm-up and then ``decay`` to zero.

    ``warmup_share`` is the share of all steps that warm up; biases and normalisation weights are
    not decayed.
    """

    builds: str
    learning_rate: float
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    decay: str = "linear"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        choice(self.decay, DECAYS, "optimizer.decay")
        if not 0 <= self.warmup_share < 1:
            raise CascadeError(
                f"optimizer.warmup_share={self.warmup_share}: expected a share from 0 to below 1"
            )


class Classifier(pl.LightningModule):
    """Cross-entropy on one network; logs ``train/loss`` and ``val/{loss,accuracy,f1}``.

    Batches are ``{"inputs", "label" int64 [B], "id" int64 [B]}``; the network maps inputs to logits
    [B, K].
    """

    def __init__(self, network: nn.Module, classes: int, optimizer: OptimizerSettings) -> None:
        super().__init__()
        self.network = network
        self.optimizer_settings = optimizer
        self.metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(num_classes=classes, average="micro"),
                "f1": BinaryF1Score()
                if classes == 2
                else MulticlassF1Score(num_classes=classes, average="macro"),
            },
            prefix="val/",
        )

    def forward(self, inputs: Any) -> Tensor:
        """Logits [B, K]."""
        logits: Tensor = self.network(inputs)
        return logits

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The batch's mean cross-entropy."""
        logits = self(batch["inputs"])
        loss = nn.functional.cross_entropy(logits.float(), batch["label"])
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["label"]))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Add the batch to the epoch's loss and metrics."""
        logits = self(batch["inputs"]).float()
        size = len(batch["label"])
        loss = nn.functional.cross_entropy(logits, batch["label"])
        self.log("val/loss", loss, on_epoch=True, batch_size=size)
        self.metrics.update(logits.argmax(dim=1), batch["label"])

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's metrics."""
        scores = self.metrics.compute()
        self.log("val/accuracy", scores["val/accuracy"], prog_bar=True)
        self.log("val/f1", scores["val/f1"])
        self.metrics.reset()

    def predict_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """The batch's ids and logits, for recording."""
        return {"id": batch["id"], "logits": self(batch["inputs"])}

    def configure_optimizers(self) -> Any:
        """The optimiser, with its schedule stepped every batch."""
        settings = self.optimizer_settings
        decayed = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        plain = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        optimizer = build(
            settings.builds,
            settings.options,
            key="optimizer",
            params=[
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
        )
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = get_scheduler(
            DECAYS[settings.decay],
            optimizer,
            num_warmup_steps=round(settings.warmup_share * steps),
            num_training_steps=steps,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
