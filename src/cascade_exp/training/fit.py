"""Fitting one member of a training job, with the job's settings or its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl

from cascade_exp.learning.checkpoints import usable
from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.feeding import Feed
from cascade_exp.learning.fit import checkpoint_to_resume, fit, resolve_precision
from cascade_exp.learning.watching import WatchedValidation
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.inputs import TextInput
from cascade_exp.report.results.headline import keep_validation
from cascade_exp.report.tracking.lightning_loggers import BEST
from cascade_exp.schema.training import MemberTraining, Optimizer, TrainConfig, TrainerOptions
from cascade_exp.training.devices import with_devices
from cascade_exp.training.pool import TrainingPool


@dataclass(frozen=True)
class Fit:
    """One fit of a member.

    Attributes:
        module: what is fitted; of several fits each starts from the weights of the one before.
        training: what the member trains with instead of the job's own settings.
        phase: names the fits after the first.
        keeps: the weights that count: the ``best`` by validation, or the ``last``.
    """

    module: Classifier
    training: MemberTraining
    phase: str = ""
    keeps: Literal["best", "last"] = "best"


def fit_member(pool: TrainingPool, model: CompleteModel, fits: Sequence[Fit], data: Feed) -> None:
    """Fit ``model`` in these ``fits``, one after another, with the job's callbacks and loggers.

    Checkpoints go to ``<job>/checkpoints/<name>``, of a later phase one folder deeper; where asked
    to resume, the last phase that has one continues and those before it are over. The best of each
    validation metric goes into ``<job>/validation.json``.

    Raises:
        Pruned: after an epoch, if the search that this job is a trial of says so.
    """
    settings, name = pool.settings, model.name
    # what was done between building and fitting must not change what dropout draws
    pl.seed_everything(pool.seed_of(name), workers=True, verbose=False)
    found = [_checkpoint(pool, name, each.phase) for each in fits]
    first = max((i for i, resume in enumerate(found) if resume is not None), default=0)
    for this, resume in list(zip(fits, found, strict=True))[first:]:
        if resume:
            pool.say(f"  resuming from {resume}")
        named = f"{name}/{this.phase}".rstrip("/")
        goes_on = pool.trial.watching(named) if pool.trial is not None else None
        best = fit(
            this.module,
            data,
            trainer_of(settings, this.training, model),
            settings.callbacks,
            folder=pool.job.folder / "checkpoints" / name / this.phase,
            watch=WatchedValidation(BEST, goes_on),
            loggers=pool.job.loggers.for_lightning(named),
            resume=resume,
            keeps=this.keeps,
        )
        keep_validation(pool.job.folder, {f"{named}/{n}": value for n, value in best.items()})
        if pool.trial is not None:
            pool.trial.end_if_pruned()


def _checkpoint(pool: TrainingPool, name: str, phase: str) -> Path | None:
    """The checkpoint that ``ckpt_path`` names, or the last one of an interrupted job.

    Only the first phase must have one where ``ckpt_path`` is given.
    """
    named, job = pool.settings.ckpt_path, pool.job
    if named and not phase:
        return checkpoint_to_resume(named, job.folder, name)
    origin = Path(named) if named and named != "last" else job.folder
    last = origin / "checkpoints" / name / phase / "last.ckpt"
    if not (named or job.resumed) or not last.is_file():
        return None
    if not usable(last):
        pool.say(f"  {last} is damaged or was cut short, and is not used")
        return None
    return last


def optimizer_of(settings: TrainConfig, own: MemberTraining) -> Optimizer:
    """The job's optimiser with what the member sets of its own."""
    job = settings.optimizer
    return replace(job, learning_rate=own.learning_rate or job.learning_rate)


def trainer_of(settings: TrainConfig, own: MemberTraining, model: CompleteModel) -> TrainerOptions:
    """The job's trainer with what the member sets of its own, precision and devices resolved."""
    job = settings.trainer
    wanted = replace(job, max_epochs=own.max_epochs or job.max_epochs)
    precision = resolve_precision(wanted, isinstance(model.input, TextInput))
    return with_devices(replace(wanted, precision=precision))
