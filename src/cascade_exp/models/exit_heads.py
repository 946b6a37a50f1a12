"""The heads of early-exit networks: what turns the hidden states after layer i into logits.

Three kinds, each as its paper describes it: DeeBERT (Xin et al. 2020), PABEE (Zhou et al. 2020) and
FastBERT (Liu et al. 2020). The encoder they sit on is in ``exits``;
which method has which heads, in ``exit_methods``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

ATTENTION_WIDTH = 128  # of FastBERT's heads, whatever the encoder's width
ATTENTION_HEADS = 2
_DROPOUTS = ("classifier_dropout", "hidden_dropout_prob", "dropout")


class ExitHeads(nn.Module):
    """One head per exit.

    Attributes:
        exits: what each exit has of its own, in the order of the exits; what they share lies
            outside of it.
    """

    exits: nn.ModuleList

    def forward(self, exit: int, states: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, K] of the exit (from 0) on hidden states [B, T, H] and token mask [B, T]."""
        raise NotImplementedError

    def take_pooler(self, pooler: nn.Module) -> None:
        """Start from the encoder's own pooler, where there is use for one."""

    def prepare_heads(self) -> None:
        """Make the earlier heads ready to be trained, once the last one is."""


class Pooler(nn.Module):
    """BERT's pooler: tanh of a linear map of the first token's state, [B, T, H] to [B, H]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """The pooled states [B, H]."""
        return torch.tanh(self.dense(states[:, 0]))


class PooledHeads(ExitHeads):
    """DeeBERT's off-ramps: a pooler and a classifier of its own after every layer (Xin et al., §3).

    The earlier poolers start from the fine-tuned last one, before the second phase. The authors'
    code copies the pre-trained pooler into all of them, once, before the first phase.
    """

    def __init__(self, config: Any, exits: int, classes: int) -> None:
        super().__init__()
        self.exits = nn.ModuleList(
            nn.Sequential(
                Pooler(config.hidden_size),
                nn.Dropout(dropout(config)),
                nn.Linear(config.hidden_size, classes),
            )
            for _ in range(exits)
        )

    def forward(self, exit: int, states: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, K]."""
        logits: Tensor = self.exits[exit](states)
        return logits

    def take_pooler(self, pooler: nn.Module) -> None:
        """Start every pooler from the encoder's."""
        for head in self.exits:
            _copy(pooler, head[0])  # type: ignore[index]

    def prepare_heads(self) -> None:
        """Start the earlier poolers from the last one."""
        self.take_pooler(self.exits[-1][0])  # type: ignore[index]


class SharedPoolerHeads(ExitHeads):
    """PABEE's internal classifiers: a linear map per layer over one pooler that all share."""

    def __init__(self, config: Any, exits: int, classes: int) -> None:
        super().__init__()
        self.pooler = Pooler(config.hidden_size)
        self.dropout = nn.Dropout(dropout(config))
        self.exits = nn.ModuleList(nn.Linear(config.hidden_size, classes) for _ in range(exits))

    def forward(self, exit: int, states: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, K]."""
        logits: Tensor = self.exits[exit](self.dropout(self.pooler(states)))
        return logits

    def take_pooler(self, pooler: nn.Module) -> None:
        """Start the shared pooler from the encoder's."""
        _copy(pooler, self.pooler)


class AttentionHeads(ExitHeads):
    """FastBERT's teacher (the last) and student classifiers, alike (Liu et al. 2020, §3.1).

    A linear map to 128 units, self-attention of two heads over all tokens, a tanh layer of the
    first token's state, and a linear classifier.
    """

    def __init__(self, config: Any, exits: int, classes: int) -> None:
        super().__init__()
        self.exits = nn.ModuleList(
            AttentionHead(config.hidden_size, classes, dropout(config)) for _ in range(exits)
        )

    def forward(self, exit: int, states: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, K]."""
        logits: Tensor = self.exits[exit](states, mask)
        return logits


class AttentionHead(nn.Module):
    """One of them."""

    def __init__(self, width: int, classes: int, dropped: float) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, ATTENTION_WIDTH)
        self.attention = nn.MultiheadAttention(
            ATTENTION_WIDTH, ATTENTION_HEADS, dropout=dropped, batch_first=True
        )
        self.dense = nn.Linear(ATTENTION_WIDTH, ATTENTION_WIDTH)
        self.classifier = nn.Linear(ATTENTION_WIDTH, classes)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, K] of hidden states [B, T, H]; ``mask`` [B, T] is 0 at padding."""
        narrow = torch.tanh(self.narrow(states))
        attended, _ = self.attention(
            narrow, narrow, narrow, key_padding_mask=mask == 0, need_weights=False
        )
        logits: Tensor = self.classifier(torch.tanh(self.dense(attended[:, 0])))
        return logits


def fresh_weights(heads: ExitHeads, deviation: float) -> None:
    """BERT's initialisation: matrices normal with this ``deviation``, biases zero."""
    for parameter in heads.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=deviation)
        else:
            nn.init.zeros_(parameter)


def dropout(config: Any) -> float:
    """The share that a head drops, as the encoder's own classifier would; 0 where it says none."""
    said = (getattr(config, key, None) for key in _DROPOUTS)
    return float(next((share for share in said if share is not None), 0.0))


def _copy(pooler: nn.Module, ours: nn.Module) -> None:
    given = {key.removeprefix("dense."): value for key, value in pooler.state_dict().items()}
    with torch.no_grad():
        for name, parameter in ours.dense.named_parameters():  # type: ignore[union-attr]
            parameter.copy_(given[name])
