"""The network with an exit after every layer: one encoder under many heads, whole or cut short.

Building one is in ``exits``, its heads in ``exit_heads``; when to leave is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cascade_exp.errors import CascadeError
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

    def embed(self, inputs: Mapping[str, Tensor], layers: int) -> Tensor:
        """The hidden states [B, T, H] after the first ``layers`` layers; no other layer runs."""
        read = {k: v for k, v in inputs.items() if self.segments or k != "token_type_ids"}
        with self._layers_of(0, layers):
            states: Tensor = self.transformer(**read).last_hidden_state
        return states

    def advance(self, states: Tensor, mask: Tensor, done: int, layers: int) -> Tensor:
        """The hidden states [B, T, H] after ``layers`` layers, given those after ``done``.

        Only the layers between run. The encoder's own forward is used, from behind its embeddings,
        as it alone knows what its layers are called with.

        Args:
            mask: [B, T], 0 at padding.

        Raises:
            CascadeError: if the encoder has no embeddings that can be left out.
        """
        with self._layers_of(done, layers), self._without_embeddings(states):
            found = self.transformer(inputs_embeds=states, attention_mask=mask)
        after: Tensor = found.last_hidden_state
        return after

    @contextmanager
    def first_exits(self, exits: int) -> Iterator[None]:
        """In the block the network ends with its first ``exits``: logits [B, exits, K].

        The layers and heads after them do not run. Not for several threads at once.
        """
        with self._layers_of(0, exits):
            yield

    @contextmanager
    def _layers_of(self, first: int, last: int) -> Iterator[None]:
        """In the block the encoder has its layers ``first`` to ``last`` - 1 only."""
        parent, _, name = self.layers.rpartition(".")
        holder, whole = self.transformer.get_submodule(parent), self.all_layers()
        setattr(holder, name, whole[first:last])
        try:
            yield
        finally:
            setattr(holder, name, whole)

    @contextmanager
    def _without_embeddings(self, states: Tensor) -> Iterator[None]:
        """In the block the encoder's embeddings give ``states``, whatever they are given."""
        parts = ("embeddings", "embeddings_project")  # ELECTRA's are projected to its width
        own = {part: getattr(self.transformer, part) for part in parts if self._has(part)}
        if "embeddings" not in own:
            kind = self.transformer.config.model_type
            raise CascadeError(
                f"a {kind} cannot be run exit by exit, as it has no embeddings to leave out; "
                "expected a BERT-like encoder (BERT, RoBERTa, ELECTRA, MiniLM)"
            )
        for part in own:
            setattr(self.transformer, part, _Given(states))
        try:
            yield
        finally:
            for part, module in own.items():
                setattr(self.transformer, part, module)

    def _has(self, part: str) -> bool:
        return isinstance(getattr(self.transformer, part, None), nn.Module)

    def all_layers(self) -> nn.ModuleList:
        """The encoder's layers."""
        layers = self.transformer.get_submodule(self.layers)
        assert isinstance(layers, nn.ModuleList)
        return layers


class _Given(nn.Module):
    """Gives ``states`` whatever it is called with."""

    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = states

    def forward(self, *_: object, **__: object) -> Tensor:
        return self.states
