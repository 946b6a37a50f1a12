"""A classifier's reliability as torchmetrics: shells around ``cascade.reliability``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from cascade_exp.cascade.reliability import dis, ece

Reliability = Callable[[NDArray[np.float64], NDArray[np.bool_]], float | None]


class _Reliability(Metric):
    """Keeps the max-softmax confidence (float64) and the correctness of every example."""

    full_state_update = False
    confidence: list[Tensor]
    correct: list[Tensor]

    def __init__(self, score: Reliability) -> None:
        super().__init__()
        self.score = score
        self.add_state("confidence", default=[], dist_reduce_fx="cat")
        self.add_state("correct", default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add examples: logits [B, K], labels int64 [B]."""
        highest = logits.double().softmax(dim=1).max(dim=1)
        self.confidence.append(highest.values)
        self.correct.append(highest.indices == labels)

    def compute(self) -> Tensor:
        """The score of all examples; NaN where it is not defined."""
        if len(self.confidence) == 0:
            return torch.tensor(float("nan"))
        found = self.score(
            dim_zero_cat(self.confidence).cpu().numpy(), dim_zero_cat(self.correct).cpu().numpy()
        )
        return torch.tensor(float("nan") if found is None else found)


class DifficultyInversionScore(_Reliability):
    """Share of (right, wrong) pairs in which the wrong answer is not the more confident.

    NaN when nothing or everything is wrong. See :func:`cascade_exp.cascade.reliability.dis`.
    """

    higher_is_better = True

    def __init__(self) -> None:
        super().__init__(dis)


class ExpectedCalibrationError(_Reliability):
    """ECE with 10 bins of equal width; NaN without examples.

    See :func:`cascade_exp.cascade.reliability.ece`.
    """

    higher_is_better = False

    def __init__(self) -> None:
        super().__init__(ece)
