"""Fitting one model of a pool: Lightning's trainer, its callbacks, precision, and resuming."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, ProgressBar
from pytorch_lightning.profilers import AdvancedProfiler, SimpleProfiler

from cascade_exp.errors import CascadeError, one_line
from cascade_exp.learning.building import build
from cascade_exp.learning.checkpoints import CheckedCheckpointIO, check_checkpoint
from cascade_exp.learning.feeding import Feed
from cascade_exp.learning.watching import EpochLines, WatchedValidation
from cascade_exp.schema.training import Callback, TrainerOptions

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

TRAINER = "pytorch_lightning.Trainer"
PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
"""Lightning's names; by itself it would print what they found where nobody listens."""
LOG_EVERY = 50
"""Steps between two logged ones where no option says: Lightning's own default."""
VALIDATED = ("validation", "selection")


def resolve_precision(settings: TrainerOptions, texts: bool) -> str:
    """The precision, or for "auto" bfloat16 where the device at hand is faster with it.

    On a CPU that is so for the matrix products of transformers, while small convolutions get
    several times slower; hence ``texts``, whether the model reads texts.
    """
    if settings.precision != "auto":
        return settings.precision
    if torch.cuda.is_available() and settings.accelerator != "cpu":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = texts and torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if fast else "32-true"


def make_trainer(
    settings: TrainerOptions,
    *,
    folder: Path,
    callbacks: Sequence[pl.Callback] = (),
    loggers: Sequence[Logger] = (),
    **fixed: Any,
) -> pl.Trainer:
    """A Lightning trainer that writes only below ``folder``; a profile is ``fit-profile.txt``."""
    arguments = {
        "max_epochs": settings.max_epochs,
        "accelerator": settings.accelerator,
        "devices": settings.devices,
        "precision": settings.precision,
        "gradient_clip_val": settings.gradient_clip_val,
        "default_root_dir": str(folder),
        "callbacks": list(callbacks),
        "logger": list(loggers) or False,
        "enable_model_summary": False,
        **fixed,
    }
    options = {"plugins": [CheckedCheckpointIO()], **settings.options}
    if options.get("profiler") in PROFILERS:
        kind = PROFILERS[options["profiler"]]
        options["profiler"] = kind(dirpath=str(folder), filename="profile")
    with quiet_lightning():
        try:
            trainer: pl.Trainer = build(TRAINER, options, key="trainer", **arguments)
        except MisconfigurationException as error:
            raise CascadeError(f"trainer, callbacks: {one_line(error)}") from None
    return trainer


def fit(
    module: pl.LightningModule,
    data: Feed,
    settings: TrainerOptions,
    callbacks: Mapping[str, Callback],
    *,
    folder: Path,
    watch: WatchedValidation,
    loggers: Sequence[Logger] = (),
    resume: Path | None = None,
    keeps: Literal["best", "last"] = "best",
) -> dict[str, float]:
    """Fit ``module`` and leave it with its best weights by the monitored validation metric.

    With ``keeps="last"`` it is fitted for all epochs and left with its last weights.

    Returns the best of the metrics that ``watch`` watches, over all epochs.

    Args:
        data: trained on is its train split; after each epoch its validation and its selection split
            go through ``validation_step``, as the first and the second loader.
        folder: where checkpoints go: ``best`` and ``last``, in a place that a resume finds again.
        resume: the checkpoint to continue from, if any.
    """
    built = [build(c.builds, c.options, key=f"callbacks.{n}") for n, c in callbacks.items()]
    if not sys.stdout.isatty() and any(isinstance(c, ProgressBar) for c in built):
        built = [c for c in built if not isinstance(c, ProgressBar)] + [EpochLines(watch.best)]
    if keeps == "last":
        built = [c for c in built if not isinstance(c, EarlyStopping)]
    checkpoints = [c for c in built if isinstance(c, ModelCheckpoint)]
    for checkpoint in checkpoints:
        checkpoint.dirpath = str(folder)
    batches = data.train_dataloader()
    # an epoch shorter than that would log nothing of its losses
    every = min(int(settings.options.get("log_every_n_steps", LOG_EVERY)), len(batches))
    settings = replace(settings, options={**settings.options, "log_every_n_steps": every})
    trainer = make_trainer(settings, folder=folder, callbacks=[*built, watch], loggers=loggers)
    with quiet_lightning():
        trainer.fit(
            module,
            train_dataloaders=batches,
            val_dataloaders=[data.loader(split) for split in VALIDATED],
            ckpt_path=None if resume is None else str(resume),
        )
    if trainer.interrupted:
        raise KeyboardInterrupt
    best = next((c.best_model_path for c in checkpoints if c.best_model_path), None)
    if best and keeps == "best":
        check_checkpoint(Path(best))
        module.load_state_dict(torch.load(best, weights_only=True)["state_dict"])
    names = [f"{metric}.{kind}" for metric, kind in watch.best.items()]
    found = trainer.callback_metrics
    return {name: float(found[name]) for name in names if name in found}


def checkpoint_to_resume(ckpt_path: str, job: Path, model: str) -> Path:
    """The ``last.ckpt`` of ``model`` in this job's folder ("last") or in the job ``ckpt_path``.

    Raises:
        CascadeError: if there is none, or one that cannot be loaded.
    """
    origin = job if ckpt_path == "last" else Path(ckpt_path)
    if origin.is_file():
        check_checkpoint(origin)
        return origin
    found = origin / "checkpoints" / model / "last.ckpt"
    if not found.is_file():
        raise CascadeError(
            f"ckpt_path={ckpt_path}: no checkpoint {found}; give the folder of a training job "
            "(with hydra.run.dir the same folder again, and ckpt_path=last); a finished job keeps "
            "them only with callbacks.checkpoint.keep=true"
        )
    check_checkpoint(found)
    return found


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's hints about workers, devices and tips off the terminal."""
    loggers = [logging.getLogger(f"pytorch_lightning{n}") for n in ("", ".utilities.rank_zero")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*number of training batches.*")
            warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
            warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
            warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
            warnings.filterwarnings("ignore", message=".*treespec.*")
            warnings.filterwarnings("ignore", message="predict returned None.*")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
