"""Fitting the model of one fold so that an interruption changes nothing.

A fold trains for its full number of epochs and keeps the last weights: no split is looked at to
stop early. After every epoch a checkpoint is written, and every epoch draws from a generator seeded
with the fold's seed and the epoch, so that going on from the checkpoint gives what would have been.
Batches are made in this process: what worker processes draw cannot be drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import Sampler

from cascade_exp.data.batching import batch_loader
from cascade_exp.data.examples import Ints
from cascade_exp.learning.checkpoints import usable
from cascade_exp.learning.feeding import Feed
from cascade_exp.learning.fit import make_trainer, quiet_lightning
from cascade_exp.schema.training import TrainerOptions

CHECKPOINT = "last"
EPOCHS = 1_000_003  # between the generators of two seeds: more than any training has


def fit_fold(
    module: pl.LightningModule,
    data: Feed,
    settings: TrainerOptions,
    *,
    seed: int,
    folder: Path,
    progress: Callable[[float], None],
) -> None:
    """Fit ``module`` on the train split of ``data``, going on from a checkpoint in ``folder``.

    Args:
        seed: of dropout and augmentation; the order of the batches has its own in ``data``.
        progress: called with the share of the steps that are done.
    """
    loader = data.train_dataloader()
    trainer = make_trainer(
        settings,
        folder=folder,
        callbacks=[
            _Progress(progress),
            ModelCheckpoint(
                dirpath=str(folder),
                filename=CHECKPOINT,
                enable_version_counter=False,
                save_on_train_epoch_end=True,
            ),
        ],
        enable_progress_bar=False,
    )
    with quiet_lightning():
        trainer.fit(
            module,
            train_dataloaders=batch_loader(
                loader.dataset, _SeededEpochs(loader.sampler, seed), workers=0
            ),
            ckpt_path=_checkpoint(folder / f"{CHECKPOINT}.ckpt"),
        )
    if trainer.interrupted:
        raise KeyboardInterrupt


def _checkpoint(path: Path) -> str | None:
    """``path`` if a checkpoint is there that can be loaded."""
    return str(path) if usable(path) else None


class _SeededEpochs(Sampler[Ints]):
    """The batches of ``inner``; torch's own generator is seeded right before each epoch's first.

    Not a callback: on going on from a checkpoint Lightning leaves out the hook of the epoch's start
    and makes the iterator, which draws from the generator too, at another time.
    """

    def __init__(self, inner: Any, seed: int) -> None:
        self.inner = inner
        self.seed = seed

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order the next iteration gives."""
        self.inner.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.inner)

    def __iter__(self) -> Iterator[Ints]:
        torch.manual_seed(EPOCHS * self.seed + self.inner.epoch)
        yield from self.inner


class _Progress(pl.Callback):
    def __init__(self, progress: Callable[[float], None]) -> None:
        self.progress = progress

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.progress(trainer.global_step / max(trainer.estimated_stepping_batches, 1))
