"""Batches of images: decoded, resized, normalised, whole batches at a time.

What fits in a gigabyte once resized is kept in memory, so that an epoch costs no work per example.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cascade_exp.data.batching import FixedBatches, ShuffledBatches, batch_loader
from cascade_exp.data.examples import Examples, Ints, fingerprint
from cascade_exp.data.image_transform import ImageTransform, Interpolation
from cascade_exp.data.splitting import Splits
from cascade_exp.errors import choice

Augment = Literal["none", "crop", "crop_flip"]
KEPT_BYTES = 2**30
RESIZE_CHUNK = 4096


class ImageDataModule(pl.LightningDataModule):
    """Batches of one size for one model: ``{"inputs", "label", "id"}``.

    ``inputs`` float32 [B, channels, size, size], ``label`` and ``id`` int64 [B]. The shorter side
    is resized to ``size / crop_pct`` (antialiased) and the centre cropped; grey becomes colour by
    repetition, colour grey by luminance.

    Args:
        splits: the four splits; inputs are uint8 arrays or image files.
        size: height and width in pixels.
        channels: 1 or 3.
        mean: per channel, or one for all, of values in 0..1.
        std: as ``mean``.
        interpolation: of the resizing.
        batch_size: the most examples in a batch.
        augment: of training batches: ``crop`` shifts each image by up to an eighth of its size over
            black, ``crop_flip`` also mirrors half of them.
        workers: loader processes; 0 loads in this one.
        seed: of the order of training batches; augmentation draws from torch's own generator.
        crop_pct: share of the resized image's side that the crop keeps, in (0, 1].

    Raises:
        CascadeError: if an argument is out of its range.
    """

    def __init__(
        self,
        splits: Splits,
        *,
        size: int,
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        interpolation: Interpolation,
        batch_size: int,
        augment: Augment,
        workers: int,
        seed: int,
        crop_pct: float = 1.0,
    ) -> None:
        super().__init__()
        choice(augment, ("none", "crop", "crop_flip"), "data.augment")
        self.transform = ImageTransform(
            size, channels, tuple(mean), tuple(std), interpolation, crop_pct
        )
        self.splits = splits
        self.batch_size = batch_size
        self.augment = augment
        self.workers = workers
        self.seed = seed
        self._kept: dict[str, Tensor | None] = {}

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Shuffled batches of the train split, augmented."""
        sampler = ShuffledBatches(len(self.splits.train), self.batch_size, self.seed)
        return batch_loader(self._batches("train", self.augment), sampler, self.workers)

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The validation split, in order."""
        return self.loader("validation")

    def loader(self, split: str) -> DataLoader[dict[str, Any]]:
        """Any split in its own order, without augmentation: for recording.

        Raises:
            CascadeError: if there is no such split, or an image file cannot be decoded.
        """
        sampler = FixedBatches(len(self.splits.named(split)), self.batch_size)
        return batch_loader(self._batches(split, "none"), sampler, self.workers)

    def content_key(self, split: str) -> str:
        """A digest of all that the model sees of a split: the examples and how they are prepared.

        Raises:
            CascadeError: if there is no such split, or an image file cannot be read.
        """
        it = self.transform
        prepared = (
            it.size,
            it.channels,
            list(it.mean),
            list(it.std),
            it.interpolation,
            it.crop_pct,
        )
        text = f"{fingerprint(self.splits.named(split))} {prepared}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _batches(self, split: str, augment: Augment) -> _ImageBatches:
        examples = self.splits.named(split)
        if split not in self._kept:
            fits = len(examples) * self.transform.channels * self.transform.size**2 <= KEPT_BYTES
            self._kept[split] = self._resize_all(examples) if fits else None
        return _ImageBatches(self, examples, self._kept[split], augment)

    def _resize_all(self, examples: Examples) -> Tensor:
        chunks = range(0, len(examples), RESIZE_CHUNK)
        every = np.arange(len(examples))
        return torch.cat([self.images_at(examples, every[i : i + RESIZE_CHUNK]) for i in chunks])

    def images_at(self, examples: Examples, indices: Ints) -> Tensor:
        """The images at these positions: uint8 [B, channels, size, size].

        Raises:
            CascadeError: if an image file cannot be decoded.
        """
        if isinstance(examples.inputs, np.ndarray):
            chosen = torch.from_numpy(examples.inputs[indices]).movedim(-1, -3)
            return self.transform.resize(chosen).contiguous()
        paths = [cast(Path, examples.inputs[i]) for i in indices]
        with ThreadPoolExecutor() as threads:
            return torch.stack(list(threads.map(self.transform.open, paths)))


class _ImageBatches(Dataset[dict[str, Any]]):
    """Item ``indices`` (positions in the split) is the whole batch of them."""

    def __init__(
        self, module: ImageDataModule, examples: Examples, kept: Tensor | None, augment: Augment
    ) -> None:
        self.module = module
        self.examples = examples
        self.kept = kept
        self.augment = augment

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, indices: Ints) -> dict[str, Tensor]:
        if self.kept is None:
            images = self.module.images_at(self.examples, indices)
        else:
            images = self.kept[torch.from_numpy(indices)]
        if self.augment != "none":
            images = shifted(images, images.shape[-1] // 8)
        if self.augment == "crop_flip":
            mirrored = torch.rand(len(images)) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        return {
            "inputs": self.module.transform.normalise(images),
            "label": torch.from_numpy(self.examples.labels[indices]),
            "id": torch.from_numpy(self.examples.ids[indices]),
        }


def shifted(images: Tensor, most: int) -> Tensor:
    """Each image of [B, C, H, W] shifted on its own by -most..most pixels a side, over zeros."""
    batch, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (most, most, most, most))
    top, left = torch.randint(0, 2 * most + 1, (2, batch))
    rows = top[:, None] + torch.arange(height)
    columns = left[:, None] + torch.arange(width)
    picked = padded.permute(0, 2, 3, 1)[
        torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]
    ]
    return picked.permute(0, 3, 1, 2).contiguous()
