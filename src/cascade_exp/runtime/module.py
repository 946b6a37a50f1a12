"""The chosen cascade as a LightningModule: ``Trainer.predict`` runs it on one device or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.data.examples import Choice, Examples
from cascade_exp.errors import CascadeError
from cascade_exp.runtime.cascade import CHUNK_BATCHES, Cascade

if TYPE_CHECKING:
    from cascade_exp.runtime.prediction import Prediction

Item = tuple[int, object]
"""The id of an example and its raw input."""


class RawExamples(Dataset[Item]):
    """Examples as a cascade takes them: arrays, paths, texts, pairs of texts, questions."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    @override
    def __getitem__(self, place: int) -> Item:
        return int(self.examples.ids[place]), raw_input(self.examples.inputs[place])


def raw_input(stored: object) -> object:
    """One of ``Examples.inputs`` as ``Cascade.predict`` takes it: a lone text is no pair."""
    if isinstance(stored, tuple) and not isinstance(stored, Choice) and stored[1] is None:
        return stored[0]
    return stored


class CascadeModule(pl.LightningModule):
    """Runs the cascade of an evaluated job on raw examples, and keeps what it answered.

    Each process loads the cascade on its own device, and leaves its answers in ``folder`` as
    ``rank_<r>.npz``; :func:`gathered` puts them together. Lightning returns no predictions of
    processes that it has spawned.

    Args:
        place: as ``Cascade.load`` takes it. batch_size: the most inputs a network is given at once.
    """

    cascade: Cascade

    def __init__(self, place: Path, batch_size: int, folder: Path) -> None:
        super().__init__()
        self.place = place
        self.batch_size = batch_size
        self.folder = folder
        self._found: list[tuple[list[int], Prediction]] = []

    @override
    def on_predict_start(self) -> None:
        self.cascade = Cascade.load(self.place, device=self.device)
        self._found = []

    @override
    def predict_step(self, batch: Sequence[Item], _: int) -> None:
        """Answer a batch of (id, raw input)."""
        ids, inputs = [item[0] for item in batch], [item[1] for item in batch]
        found = self.cascade.predict(inputs, batch_size=self.batch_size, chunk_size=len(inputs))
        self._found.append((ids, found))

    @override
    def on_predict_end(self) -> None:
        arrays: dict[str, NDArray[np.generic]] = {
            "id": np.array([it for ids, _ in self._found for it in ids], dtype=np.int64)
        }
        for name in ("answer", "confidence", "exit", "cost"):
            parts = [getattr(found, name) for _, found in self._found]
            arrays[name] = np.concatenate(parts) if parts else np.zeros(0)
        np.savez(self.folder / f"rank_{self.global_rank}.npz", allow_pickle=False, **arrays)


@dataclass(frozen=True)
class Executions:
    """What a cascade answered to N examples: as in ``Prediction``, in the order of their ids."""

    answer: Ints
    confidence: Floats
    exit: Ints
    cost: Floats


def gathered(folder: Path, ids: Ints) -> Executions:
    """The answers that the processes left in ``folder``, in the order of ``ids`` int64 [N].

    Examples that a distributed sampler repeats count once.

    Raises:
        CascadeError: if examples are missing.
    """
    parts = []
    for path in sorted(folder.glob("rank_*.npz")):
        with np.load(path, allow_pickle=False) as archive:
            parts.append({name: archive[name] for name in archive.files})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    unique, first = np.unique(joined["id"], return_index=True)
    place = np.searchsorted(unique, ids)
    if len(unique) != len(ids) or not np.array_equal(
        unique[np.minimum(place, len(unique) - 1)], ids
    ):
        raise CascadeError(f"execute=true: {len(unique)} examples were run, expected {len(ids)}")
    rows = first[place]
    return Executions(
        answer=joined["answer"][rows].astype(np.int64),
        confidence=joined["confidence"][rows],
        exit=joined["exit"][rows].astype(np.int64),
        cost=joined["cost"][rows],
    )


def raw_loader(examples: Examples, batch_size: int) -> DataLoader[Item]:
    """Batches of raw examples that fill the cascade's first stage ``CHUNK_BATCHES`` times each.

    So deferred examples fill the batches of later stages.
    """
    return DataLoader(RawExamples(examples), batch_size=CHUNK_BATCHES * batch_size, collate_fn=list)
