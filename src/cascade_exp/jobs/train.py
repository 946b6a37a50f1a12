"""The body of ``train.py``: fine-tune the models of a pool, record them, evaluate cascades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from cascade_exp.atomic import replacing_folder
from cascade_exp.data import load_source
from cascade_exp.data.splitting import carve
from cascade_exp.data.synthetic_text import vocabulary
from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.jobs.evaluate import report
from cascade_exp.jobs.evaluation import check_settings
from cascade_exp.jobs.job import Job, open_job
from cascade_exp.jobs.methods import check_methods
from cascade_exp.learning.classifier import Classifier, OptimizerSettings
from cascade_exp.learning.feeding import Feed, feed
from cascade_exp.learning.fit import (
    CallbackSettings,
    TrainerSettings,
    checkpoint_to_resume,
    fit,
    make_trainer,
    quiet_lightning,
    resolve_precision,
)
from cascade_exp.models.complete import CompleteModel, build_model, save_model, weights_key
from cascade_exp.models.inputs import TextInput
from cascade_exp.models.meter import Measured, measure
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.recordings.record import record
from cascade_exp.recordings.write import (
    ContentKey,
    RecordingStore,
    code_revision,
    write_labels,
    write_models,
)
from cascade_exp.report.numbers import cost
from cascade_exp.schema.checks import check_members
from cascade_exp.schema.training import MemberTraining, SyntheticTextData, TrainConfig

RECORDED = ("selection", "report")


def train(config: DictConfig) -> Path:
    """Train, record and evaluate one pool; returns the job's folder."""
    with open_job(config, "train") as job:
        settings = job.settings
        assert isinstance(settings, TrainConfig)
        members = check_members(config.models)
        check_settings(settings)
        check_methods(settings)
        pool = _Pool(job, settings)
        measured = {name: pool.model(name, *member) for name, member in members.items()}
        folder = job.folder / "recordings"
        write_models(folder, {name: _costs(found) for name, found in measured.items()})
        if settings.evaluate:
            report(job, open_recordings(folder, settings.pool.include, settings.pool.exclude))
        return job.folder


class _Pool:
    """The models of one job: what they share is the source, its splits and the store."""

    def __init__(self, job: Job, settings: TrainConfig) -> None:
        self.job = job
        self.settings = settings
        self.cache = Path(settings.paths.cache_dir)
        self.store = RecordingStore(self.cache / "recordings")
        self.code = code_revision()
        data = settings.data
        self.source = load_source(vars(data))
        self.splits = carve(
            self.source,
            selection=data.selection,  # type: ignore[arg-type]  # checked there
            validation_share=data.validation_share,
            selection_share=data.selection_share,
            limit_train=data.limit_train,
            seed=data.seed,
        )
        sizes = {s: len(self.splits.named(s)) for s in ("train", "validation", *RECORDED)}  # type: ignore[arg-type]
        self.say(f"Data {data.name}: " + ", ".join(f"{s} {n:,}" for s, n in sizes.items()))
        for split in RECORDED:
            examples = self.splits.named(split)
            write_labels(job.folder / "recordings" / split, examples.labels, examples.ids)

    def say(self, line: str) -> None:
        """One line for whoever watches."""
        self.job.console.print(line, highlight=False, soft_wrap=True)

    def model(self, name: str, member: Mapping[str, Any], own: MemberTraining) -> Measured:
        """Build, fit, save and record one model; returns what it costs."""
        settings = self.settings
        pl.seed_everything(settings.seed, workers=True, verbose=False)
        model = build_model(name, self._with_tokenizer(member), self.source.classes)
        measured = measure(model)
        self.say(
            f"[bold]{name}[/]: {cost(measured.macs, 'macs')} at {measured.input}, "
            f"{cost(measured.params, 'params')}, {measured.layers} layers"
        )
        data = feed(
            model.input, self.splits, settings.data, seed=settings.seed, cache_dir=self.cache
        )
        module = Classifier(model.network, len(model.classes), _optimizer(settings, own))
        if settings.train:
            trainer = _trainer(settings, own)
            texts = isinstance(model.input, TextInput)
            resume = settings.ckpt_path and checkpoint_to_resume(
                settings.ckpt_path, self.job.folder, name
            )
            if resume:
                self.say(f"  resuming from {resume}")
            fit(
                module,
                data,
                replace(trainer, precision=resolve_precision(trainer, texts)),
                {n: CallbackSettings(c.builds, c.options) for n, c in settings.callbacks.items()},
                folder=self.job.folder / "checkpoints" / name,
                loggers=self.job.loggers.for_lightning(name),
                resume=resume or None,
            )
        save_model(model, self.job.folder / "models" / name)
        self._record(model, module, data, measured)
        return measured

    def _with_tokenizer(self, member: Mapping[str, Any]) -> Mapping[str, Any]:
        """``member`` with the tokenizer of generated text, where it names none of its own."""
        wanted = member.get("config") is not None and member.get("tokenizer") is None
        if not (wanted and isinstance(self.settings.data, SyntheticTextData)):
            return member
        folder = self.cache / "tokenizers" / self.settings.data.name
        if not folder.is_dir():
            with replacing_folder(folder) as partial:
                build_tokenizer(vocabulary()).save_pretrained(str(partial))
        return {**member, "tokenizer": str(folder)}

    def _record(
        self, model: CompleteModel, module: Classifier, data: Feed, measured: Measured
    ) -> None:
        """Put the model's recordings of both splits in place, made anew only where none is kept."""
        settings = self.settings
        trainer = make_trainer(
            TrainerSettings(
                max_epochs=1,
                accelerator=settings.trainer.accelerator,
                devices=1,
                precision="32-true",
            ),
            folder=self.job.folder,
        )
        weights = weights_key(model)
        for split in RECORDED:
            examples = self.splits.named(split)
            key = ContentKey(weights, data.content_key(split), self.code)
            if self.store.holds(key):
                self.say(
                    f"  {split}: recorded before with these weights and data, taken from there"
                )
            else:
                module.eval()
                with quiet_lightning():
                    logits = record(
                        module,
                        data.loader(split),
                        examples.ids,
                        trainer,
                        f"{model.name} on {split}",
                    )
                self.store.put(key, logits)
            self.store.place(
                key,
                self.job.folder / "recordings" / split / f"{model.name}.npy",
                {
                    "macs": {"counter": measured.counter, "input": measured.input},
                    "model": {
                        "weights": str((self.job.folder / "models" / model.name).resolve()),
                        "input": {"kind": type(model.input).__name__, **asdict(model.input)},
                        "classes": list(model.classes),
                    },
                },
            )


def _costs(measured: Measured) -> dict[str, float]:
    return {"macs": measured.macs, "params": measured.params, "layers": measured.layers}


def _optimizer(settings: TrainConfig, own: MemberTraining) -> OptimizerSettings:
    job = settings.optimizer
    return OptimizerSettings(
        builds=job.builds,
        learning_rate=own.learning_rate or job.learning_rate,
        weight_decay=job.weight_decay,
        warmup_share=job.warmup_share,
        decay=job.decay,
        options=job.options,
    )


def _trainer(settings: TrainConfig, own: MemberTraining) -> TrainerSettings:
    job = settings.trainer
    return TrainerSettings(
        max_epochs=own.max_epochs or job.max_epochs,
        accelerator=job.accelerator,
        devices=job.devices,
        precision=job.precision,
        gradient_clip_val=job.gradient_clip_val,
        options=job.options,
    )
