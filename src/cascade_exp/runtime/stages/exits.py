"""The exits of one network as stages: layers after an exit run only on what is deferred to them.

The hidden states of inputs that are still there are kept from exit to exit and put together to full
batches; those of inputs that have left are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from cascade_exp.cascade.stages import Ints
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.recordings.exits import exit_of
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.readers import Reader
from cascade_exp.runtime.stages.base import Outputs, RunningStage, finite
from cascade_exp.runtime.stages.model import on


@dataclass(frozen=True)
class _Part:
    """Some inputs between two exits: their rows, hidden states [B, T, H] and token mask [B, T]."""

    rows: Ints
    states: Tensor
    mask: Tensor

    def only(self, rows: Ints) -> _Part:
        """Of these inputs those that are among ``rows``."""
        kept = np.isin(self.rows, rows)
        if kept.all():
            return self
        at = torch.from_numpy(np.flatnonzero(kept)).to(self.states.device)
        return _Part(self.rows[kept], self.states[at], self.mask[at])


class ExitStage(RunningStage):
    """One exit of a network whose exits are the cascade; ``after`` is the exit before it, or 0."""

    falls_back = False

    def __init__(
        self, name: str, model: CompleteModel, reader: Reader, device: torch.device, after: int
    ) -> None:
        assert isinstance(model.network, ExitNetwork)
        self.name = name
        self.exit = exit_of(name)
        self.classes = model.classes
        self.reader = reader
        self.device = device
        self.network = model.network.to(device).eval()
        self.after = after

    def run(self, chunk: Chunk, rows: Ints) -> Outputs:
        """The exit's logits of ``rows``."""
        if self.after == 0:
            rows = chunk.readable(self.reader, rows)
        place = np.full(len(chunk.items), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        logits = np.zeros((len(rows), len(self.classes)), dtype=np.float32)
        after: list[_Part] = []
        with torch.inference_mode():
            for part in self._parts(chunk, rows):
                found = self.network.heads(self.exit - 1, part.states, part.mask)
                logits[place[part.rows]] = found.float().cpu().numpy()
                after.append(part)
        chunk.states[self.network] = after
        return finite(self.name, rows, logits)

    def _parts(self, chunk: Chunk, rows: Ints) -> Iterator[_Part]:
        """``rows`` after the layers of this exit, batch by batch."""
        if self.after == 0:
            for at, inputs in chunk.batches(self.reader, rows):
                batch = on(inputs, self.device)
                assert isinstance(batch, Mapping)
                states = self.network.embed(batch, self.exit)
                yield _Part(rows[at], states, batch["attention_mask"])
            return
        held = chunk.states[self.network]
        assert isinstance(held, list)
        kept = [part.only(rows) for part in held]
        chunk.states[self.network] = held = None
        for part in _filled([part for part in kept if len(part.rows)], chunk.batch_size):
            states = self.network.advance(part.states, part.mask, self.after, self.exit)
            yield _Part(part.rows, states, part.mask)


def _filled(parts: list[_Part], batch_size: int) -> Iterator[_Part]:
    """``parts`` put together, neighbours first, as far as they fit into batches."""
    held: list[_Part] = []
    for part in parts:
        if held and sum(len(it.rows) for it in held) + len(part.rows) > batch_size:
            yield _joined(held)
            held = []
        held.append(part)
    if held:
        yield _joined(held)


def _joined(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    longest = max(part.mask.shape[1] for part in parts)
    more = [longest - part.mask.shape[1] for part in parts]
    return _Part(
        np.concatenate([part.rows for part in parts]),
        torch.cat([pad(p.states, (0, 0, 0, m)) for p, m in zip(parts, more, strict=True)]),
        torch.cat([pad(p.mask, (0, m)) for p, m in zip(parts, more, strict=True)]),
    )
