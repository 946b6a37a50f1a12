"""A saved model as a stage: only the inputs that reach it are fed to its network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from cascade_exp.cascade.stages import Ints
from cascade_exp.models.complete import CompleteModel
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.readers import Batch, Reader
from cascade_exp.runtime.stages.base import Outputs, RunningStage, finite


class ModelStage(RunningStage):
    """One model on one device."""

    falls_back = False

    def __init__(
        self, name: str, model: CompleteModel, reader: Reader, device: torch.device
    ) -> None:
        self.name = name
        self.classes = model.classes
        self.reader = reader
        self.device = device
        self.network = model.network.to(device).eval()

    def run(self, chunk: Chunk, rows: Ints) -> Outputs:
        """The model's logits of ``rows``."""
        rows = chunk.readable(self.reader, rows)
        return finite(self.name, rows, self.logits(chunk, rows))

    def logits(self, chunk: Chunk, rows: Ints) -> NDArray[np.float32]:
        """float32 [m, K] of readable rows."""
        found = np.zeros((len(rows), len(self.classes)), dtype=np.float32)
        with torch.inference_mode():
            for at, batch in chunk.batches(self.reader, rows):
                found[at] = self.network(on(batch, self.device)).float().cpu().numpy()
        return found


def on(batch: Batch, device: torch.device) -> Batch:
    """``batch`` on ``device``."""
    if isinstance(batch, Mapping):
        return {key: value.to(device, non_blocking=True) for key, value in batch.items()}
    return batch.to(device, non_blocking=True)
