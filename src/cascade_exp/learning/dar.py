"""Difficulty-aware regularisation: difficult examples are to be answered with less confidence.

Which examples are difficult is decided in ``difficulty``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cascade_exp.learning.difficulty import Labels
from cascade_exp.learning.task_loss import Batch
from cascade_exp.schema.training import Dar


def dar_loss(logits: Tensor, difficult: Tensor, margin: float, pairs: str = "all") -> Tensor:
    """Mean over pairs (easy e, difficult h) of ``max(0, margin - (c(e) - c(h)))``; a scalar.

    c is the greatest softmax probability. 0 for a batch without pairs. Source: Li et al. 2021
    (CascadeBERT), Eqs. 5 and 6, with the sign of Eq. 6 turned round as the text around it says; the
    paper's pairs of equal difficulty add nothing and are left out of the mean.

    Args:
        logits: float [B, K].
        difficult: bool [B].
        pairs: ``all``, or ``sampled``: one difficult partner for each easy example, drawn from
            torch's own generator.
    """
    confidence = logits.float().softmax(dim=1).amax(dim=1)
    easy, hard = confidence[~difficult], confidence[difficult]
    if len(easy) == 0 or len(hard) == 0:
        return confidence.new_zeros(())
    if pairs == "sampled":
        partners = torch.randint(len(hard), (len(easy),)).to(hard.device)
        gaps = easy - hard[partners]
    else:
        gaps = easy[:, None] - hard[None, :]
    return (margin - gaps).clamp(min=0).mean()


class DifficultyAwareRegularization(nn.Module):
    """The term of one stage: which of its training examples are difficult, and the settings.

    It has no weights and adds nothing to a checkpoint.
    """

    name = "dar"
    ids: Tensor
    difficult: Tensor

    def __init__(self, labels: Labels, settings: Dar) -> None:
        super().__init__()
        order = labels.ids.argsort()
        self.settings = settings
        self.weight = settings.weight
        self.register_buffer("ids", torch.from_numpy(labels.ids[order]), persistent=False)
        self.register_buffer(
            "difficult", torch.from_numpy(labels.difficult[order]), persistent=False
        )

    def forward(self, logits: Tensor, batch: Batch) -> Tensor:
        """The unweighted term of a batch of training examples, a scalar: logits [B, K].

        Raises:
            ValueError: if an example has no label.
        """
        ids = batch["id"]
        place = torch.searchsorted(self.ids, ids).clamp(max=len(self.ids) - 1)
        if not torch.equal(self.ids[place], ids):
            raise ValueError("a training example without a difficulty label")
        return dar_loss(logits, self.difficult[place], self.settings.margin, self.settings.pairs)
