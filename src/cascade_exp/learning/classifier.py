"""The LightningModule that fine-tunes one classifier, whatever network it wraps."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.utilities import GradClipAlgorithmType
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryF1Score, MulticlassAccuracy, MulticlassF1Score
from transformers import get_scheduler

from cascade_exp.learning.building import build
from cascade_exp.learning.metrics import DifficultyInversionScore, ExpectedCalibrationError
from cascade_exp.learning.regularizers import Regularizer
from cascade_exp.learning.task_loss import Batch, CrossEntropy, TaskLoss
from cascade_exp.schema.training import DECAYS, Optimizer


class Classifier(pl.LightningModule):
    """One network under a task loss, and a regulariser where one is given.

    Batches are ``{"inputs", "label" int64 [B], "id" int64 [B]}``; the network maps inputs to logits
    [B, K]. Logs ``train/loss`` and the parts of a task loss that has some (with a regulariser
    ``train/task_loss`` and ``train/<its name>``, unweighted), ``val/{loss,accuracy,f1}``, and of
    the split that is validated second ``selection/{dis,ece}``, where they are defined.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        optimizer: Optimizer,
        task_loss: TaskLoss | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer_settings = optimizer
        self.task_loss = task_loss or CrossEntropy()
        self.regularizer = regularizer
        self.metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(num_classes=classes, average="micro"),
                "f1": BinaryF1Score()
                if classes == 2
                else MulticlassF1Score(num_classes=classes, average="macro"),
            },
            prefix="val/",
        )
        self.reliability = MetricCollection(
            {"dis": DifficultyInversionScore(), "ece": ExpectedCalibrationError()},
            prefix="selection/",
            compute_groups=False,
        )

    def forward(self, inputs: Any) -> Tensor:
        """Logits [B, K]."""
        logits: Tensor = self.network(inputs)
        return logits

    def validated(self, inputs: Any, dataloader_idx: int) -> Tensor:
        """float32 logits [B, …, K]; those of selection, the second split, in full precision.

        Rounded to bfloat16 many confidences are equal, and DIS counts equal ones as in order.
        """
        if dataloader_idx == 0:
            return self(inputs).float()  # type: ignore[no-any-return]  # nn.Module's call
        with torch.autocast(self.device.type, enabled=False):
            return self(inputs).float()  # type: ignore[no-any-return]

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The batch's task loss, and the weighed regulariser."""
        done = self.trainer.global_step / max(self.trainer.estimated_stepping_batches, 1)
        taught = self.task_loss(self.network, batch, done)
        loss, size = taught.loss, len(batch["label"])
        for name, part in taught.parts.items():
            self.log(f"train/{name}", part, batch_size=size)
        if self.regularizer is not None:
            term = self.regularizer(taught.logits, batch)
            self.log("train/task_loss", loss, batch_size=size)
            self.log(f"train/{self.regularizer.name}", term, batch_size=size)
            loss = loss + self.regularizer.weight * term
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        return loss

    def validation_step(self, batch: Batch, _: int, dataloader_idx: int = 0) -> None:
        """Add the batch to the epoch's metrics: of validation first, of selection second."""
        logits = self.validated(batch["inputs"], dataloader_idx)
        labels = batch["label"]
        if dataloader_idx == 1:
            self.reliability.update(logits, labels)
            return
        loss = nn.functional.cross_entropy(logits, labels)
        self.log("val/loss", loss, on_epoch=True, batch_size=len(labels), add_dataloader_idx=False)
        self.metrics.update(logits.argmax(dim=1), labels)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's metrics."""
        scores = self.metrics.compute()
        self.log("val/accuracy", scores["val/accuracy"], prog_bar=True)
        self.log("val/f1", scores["val/f1"])
        self.metrics.reset()
        for name, value in self.reliability.compute().items():
            if value.isfinite():
                self.log(name, value)
        self.reliability.reset()

    def predict_step(self, batch: Batch, _: int) -> dict[str, Tensor]:
        """The batch's ids and logits, for recording."""
        return {"id": batch["id"], "logits": self(batch["inputs"])}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Lightning does, also for fused optimisers in bfloat16.

        Lightning refuses these for the sake of float16, whose scaled gradients a fused optimiser
        unscales only in its step (Lightning-AI/pytorch-lightning#21435).
        """
        plugin = self.trainer.precision_plugin
        if gradient_clip_val is None or getattr(plugin, "scaler", None) is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        algorithm = GradClipAlgorithmType(gradient_clip_algorithm or "norm")
        Precision.clip_gradients(plugin, optimizer, gradient_clip_val, algorithm)

    def configure_optimizers(self) -> Any:
        """The optimiser, with its schedule stepped every batch."""
        settings = self.optimizer_settings
        decayed = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        undecayed = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        optimizer = build(
            settings.builds,
            settings.options,
            key="optimizer",
            params=[
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": undecayed, "weight_decay": 0.0},
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
