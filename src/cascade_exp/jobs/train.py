"""The body of ``train.py``: fine-tune the models of a pool, record them, evaluate cascades."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from cascade_exp.jobs.evaluate import report
from cascade_exp.jobs.evaluation import check_settings
from cascade_exp.jobs.fitting import fit_member
from cascade_exp.jobs.job import open_job
from cascade_exp.jobs.labelling import label_fold
from cascade_exp.jobs.methods import check_methods
from cascade_exp.jobs.modules import check_training, module_for
from cascade_exp.jobs.training_pool import TrainingPool
from cascade_exp.models.complete import load_model, save_model
from cascade_exp.models.meter import Measured, measure
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.write import write_models
from cascade_exp.report.numbers import cost
from cascade_exp.schema.checks import check_members
from cascade_exp.schema.training import Dar, TrainConfig


def train(config: DictConfig) -> Path:
    """Train, record and evaluate one pool; returns the job's folder."""
    with open_job(config, "train") as job:
        settings = job.settings
        assert isinstance(settings, TrainConfig)
        members = check_members(config.models)
        check_settings(settings)
        check_methods(settings)
        check_training(settings, len(members))
        pool = TrainingPool(job, settings, members)
        measured = {name: measure(pool.build(name, pool.seed_of(name))) for name in members}
        last = max(reversed(members), key=lambda name: measured[name].macs)
        dar = settings.regularizer
        if isinstance(dar, Dar) and dar.fold is not None:
            label_fold(pool, [name for name in members if name != last], dar, dar.fold)
            return job.folder
        for name in members:
            _train_and_record(pool, name, measured[name], last=name == last)
        folder = job.folder / "recordings"
        write_models(folder, {name: _costs(found) for name, found in measured.items()})
        if settings.evaluate:
            report(job, open_recordings(folder, settings.pool.include, settings.pool.exclude))
        return job.folder


def _train_and_record(pool: TrainingPool, name: str, measured: Measured, *, last: bool) -> None:
    """Build, fit, save and record one member of the pool; a resumed job fits none twice."""
    settings, kept = pool.settings, pool.job.folder / "models" / name
    trained = pool.job.resumed and kept.is_dir()
    fits = settings.train and not trained
    model = load_model(kept) if trained else pool.build(name, pool.seed_of(name))
    pool.say(
        f"[bold]{name}[/]: {cost(measured.macs, 'macs')} at {measured.input}, "
        f"{cost(measured.params, 'params')}, {measured.layers} layers"
    )
    data = pool.feed(model)
    module = module_for(pool, model, fits=fits, last=last)
    if fits:
        fit_member(pool, model, module, data)
    if trained:
        pool.say(f"  trained before this job was interrupted, taken from {kept}")
    else:
        save_model(model, kept)
    pool.record(model, module, data, measured)


def _costs(measured: Measured) -> dict[str, float]:
    return {"macs": measured.macs, "params": measured.params, "layers": measured.layers}
