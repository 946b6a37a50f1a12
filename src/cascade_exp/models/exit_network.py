"""The network with an exit after every layer: one encoder under many heads, whole or cut short.

Building one is in ``exits``, its heads in ``exit_heads``; when to leave is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cascade_exp.models.exit_heads import ExitHeads


class ExitNetwork(nn.Module):
    """An encoder with a head after each of its layers, as a function to logits [B, exits, K].

    Attributes:
        transformer: the encoder, without a pooler of its own.
        heads: one head per layer.
        layers: name of the encoder's list of layers.
        segments: whether the encoder reads ``token_type_ids``.
    """

    def __init__(self, transformer: Any, heads: ExitHeads, layers: str, segments: bool) -> None:
        super().__init__()
        self.transformer = transformer
        self.heads = heads
        self.layers = layers
        self.segments = segments

    @property
    def exits(self) -> int:
        """Number of exits, one per layer."""
        return len(self.heads.exits)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits float [B, exits, K] for int64 token tensors [B, T]; exit i reads layer i + 1."""
        return self.head_logits(self.states(inputs), inputs["attention_mask"])

    def states(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The hidden states [B, T, H] after each layer."""
        read = {k: v for k, v in inputs.items() if self.segments or k != "token_type_ids"}
        states = self.transformer(**read, output_hidden_states=True).hidden_states
        return tuple(states[1:])  # the first are the embeddings

    def head_logits(self, states: tuple[Tensor, ...], mask: Tensor) -> Tensor:
        """Logits float [B, exits, K] of the heads on the ``states`` after their layers."""
        return torch.stack([self.heads(i, state, mask) for i, state in enumerate(states)], dim=1)

    @contextmanager
    def first_exits(self, exits: int) -> Iterator[None]:
        """In the block the network ends with its first ``exits``: logits [B, exits, K].

        The layers and heads after them do not run. Not for several threads at once.
        """
        parent, _, name = self.layers.rpartition(".")
        holder, whole = self.transformer.get_submodule(parent), self.all_layers()
        setattr(holder, name, whole[:exits])
        try:
            yield
        finally:
            setattr(holder, name, whole)

    def all_layers(self) -> nn.ModuleList:
        """The encoder's layers."""
        layers = self.transformer.get_submodule(self.layers)
        assert isinstance(layers, nn.ModuleList)
        return layers
