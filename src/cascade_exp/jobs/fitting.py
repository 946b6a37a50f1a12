"""Fitting one member of a training job, with the job's settings or its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl

from cascade_exp.jobs.training_pool import TrainingPool
from cascade_exp.learning.classifier import OptimizerSettings
from cascade_exp.learning.feeding import Feed
from cascade_exp.learning.fit import (
    CallbackSettings,
    TrainerSettings,
    checkpoint_to_resume,
    fit,
    resolve_precision,
)
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.inputs import TextInput
from cascade_exp.schema.training import MemberTraining, TrainConfig


def fit_member(
    pool: TrainingPool, model: CompleteModel, module: pl.LightningModule, data: Feed
) -> None:
    """Fit ``module`` on ``data`` with the job's callbacks and loggers; resume where asked to.

    Checkpoints go to ``<job>/checkpoints/<name>``.
    """
    settings, name = pool.settings, model.name
    # what was done between building and fitting must not change what dropout draws
    pl.seed_everything(pool.seed_of(name), workers=True, verbose=False)
    resume = _checkpoint(pool, name)
    if resume:
        pool.say(f"  resuming from {resume}")
    fit(
        module,
        data,
        trainer_settings(settings, pool.members[name].training, model),
        {n: CallbackSettings(c.builds, c.options) for n, c in settings.callbacks.items()},
        folder=pool.job.folder / "checkpoints" / name,
        loggers=pool.job.loggers.for_lightning(name),
        resume=resume,
    )


def _checkpoint(pool: TrainingPool, name: str) -> Path | None:
    """The checkpoint that ``ckpt_path`` names, or the last one of an interrupted job."""
    named, job = pool.settings.ckpt_path, pool.job
    if named:
        return checkpoint_to_resume(named, job.folder, name)
    last = job.folder / "checkpoints" / name / "last.ckpt"
    return last if job.resumed and last.is_file() else None


def optimizer_settings(settings: TrainConfig, own: MemberTraining) -> OptimizerSettings:
    """The job's optimiser with what the member sets of its own."""
    job = settings.optimizer
    return OptimizerSettings(
        builds=job.builds,
        learning_rate=own.learning_rate or job.learning_rate,
        weight_decay=job.weight_decay,
        warmup_share=job.warmup_share,
        decay=job.decay,
        options=job.options,
    )


def trainer_settings(
    settings: TrainConfig, own: MemberTraining, model: CompleteModel
) -> TrainerSettings:
    """The job's trainer with what the member sets of its own, its precision resolved."""
    job = settings.trainer
    wanted = TrainerSettings(
        max_epochs=own.max_epochs or job.max_epochs,
        accelerator=job.accelerator,
        devices=job.devices,
        precision=job.precision,
        gradient_clip_val=job.gradient_clip_val,
        options=job.options,
    )
    return replace(wanted, precision=resolve_precision(wanted, isinstance(model.input, TextInput)))
