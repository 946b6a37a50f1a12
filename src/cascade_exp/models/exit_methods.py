"""The early-exit methods: each one's heads, and the phases in which it is trained.

A method is one entry of :data:`METHODS`. Its heads are a class of ``exit_heads``; a phase is one
fit, which starts from the weights that the phase before has left (``learning.exits``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from cascade_exp.models.exit_heads import (
    AttentionHeads,
    ExitHeads,
    PooledHeads,
    SharedPoolerHeads,
)

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


@dataclass(frozen=True)
class ExitMethod:
    """One early-exit method.

    Attributes:
        heads: built as ``heads(config of the encoder, exits, classes)``.
        phases: its fits, in order.
    """

    heads: type[ExitHeads]
    phases: tuple[Phase, ...]


METHODS: dict[str, ExitMethod] = {
    "deebert": ExitMethod(
        PooledHeads,
        (Phase("", "last", loss_of_last), Phase("heads", "earlier", sum_of_earlier)),
    ),
    "pabee": ExitMethod(SharedPoolerHeads, (Phase("", "all", weighted_by_depth),)),
    "fastbert": ExitMethod(
        AttentionHeads,
        (Phase("", "last", loss_of_last), Phase("heads", "earlier", divergence_from_last)),
    ),
}
"""``method`` of the family ``exits`` -> what it is made of and how it is trained."""
