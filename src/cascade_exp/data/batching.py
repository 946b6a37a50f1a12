"""Which examples share a batch, in which order: shuffled, length-bucketed, or fixed for recording.

A sampler here yields whole batches of positions, and the DataLoader runs with ``batch_size=None``:
the dataset builds a batch in one vectorised step, Lightning finds ``set_epoch`` on the sampler, and
under DDP and ``Trainer.predict`` it hands whole batches to the ranks without re-creating anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from cascade_exp.data.examples import Ints
from cascade_exp.errors import CascadeError

POOL = 16


class FixedBatches(Sampler[Ints]):
    """The same batches in the same order each time: for validation and recording.

    With ``lengths`` (int64 [N]) the examples are in order of length, so that a batch holds texts of
    similar length and padding is least; without, in order of position.
    """

    def __init__(self, size: int, batch_size: int, lengths: Ints | None = None) -> None:
        _check(batch_size)
        order = np.arange(size) if lengths is None else np.argsort(lengths, kind="stable")
        self.batches = _cut(order, batch_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Ints]:
        return iter(self.batches)


class GivenBatches(Sampler[Ints]):
    """These batches in this order: for recording some of a split's."""

    def __init__(self, batches: Sequence[Ints]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Ints]:
        return iter(self.batches)


class ShuffledBatches(Sampler[Ints]):
    """Each epoch another order, drawn from ``seed + epoch``; each example once an epoch.

    With ``lengths`` (int64 [N]), batches hold texts of similar length: the shuffled examples are
    sorted by length within pools of 16 batches, and the batches are shuffled. Batch sizes differ
    by at most one, so no epoch ends in a batch of one, which batch normalisation refuses. An
    iteration advances to the next epoch by itself where nothing calls ``set_epoch``.
    """

    def __init__(self, size: int, batch_size: int, seed: int, lengths: Ints | None = None) -> None:
        _check(batch_size)
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.lengths = lengths
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[Ints]:
        # drawn with the first batch, not before: Lightning resumes by making the iterator first
        # and setting the epoch then
        rng = np.random.default_rng(self.seed + self.epoch)
        self.epoch += 1
        batches = _cut(rng.permutation(self.size), self.batch_size)
        if self.lengths is not None:
            batches = self._bucketed(batches)
            batches = [batches[i] for i in rng.permutation(len(batches))]
        yield from batches

    def _bucketed(self, batches: Sequence[Ints]) -> list[Ints]:
        assert self.lengths is not None
        bucketed: list[Ints] = []
        for first in range(0, len(batches), POOL):
            pool = batches[first : first + POOL]
            together = np.concatenate(pool)
            together = together[np.argsort(self.lengths[together], kind="stable")]
            bucketed += np.split(together, np.cumsum([len(batch) for batch in pool])[:-1])
        return bucketed


def _check(batch_size: int) -> None:
    if batch_size < 1:
        raise CascadeError(f"data.batch_size={batch_size}: expected at least 1")


def _cut(order: Ints, batch_size: int) -> list[Ints]:
    """Cut into the fewest batches of at most ``batch_size``, as equal as they can be."""
    if len(order) == 0:
        return []
    return np.array_split(order, -(-len(order) // batch_size))


def batch_loader(
    dataset: Dataset[dict[str, Any]], sampler: Sampler[Ints], workers: int
) -> DataLoader[dict[str, Any]]:
    """A DataLoader that asks ``dataset`` for one batch of ``sampler`` at a time."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
