"""The LightningModule of a network that is fitted already and only predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn


class Predicting(pl.LightningModule):
    """Ids and logits of every batch, as :func:`recordings.record.record` reads them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def predict_step(self, batch: Mapping[str, Any], _: int) -> dict[str, Tensor]:
        """The batch's ids int64 [B] and logits [B, K]."""
        return {"id": batch["id"], "logits": self.network(batch["inputs"])}
