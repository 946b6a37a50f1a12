"""Difficulty labels for the stages of a training job: made once, shared, resumable.

Jobs that need the same labels at the same time divide the folds between them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from cascade_exp.jobs.fold_jobs import has_launcher, run_fold_jobs
from cascade_exp.jobs.progress import labelling_progress
from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.difficulty import (
    LabelQuality,
    Labels,
    LabelStore,
    Task,
    assign_folds,
    label_quality,
)
from cascade_exp.learning.feeding import feed
from cascade_exp.learning.folds import fit_fold
from cascade_exp.models.complete import weights_key
from cascade_exp.schema.training import Dar, ImageData, TextData, TrainerOptions
from cascade_exp.training.fit import optimizer_of, trainer_of
from cascade_exp.training.pool import TrainingPool

VERSION = 1  # of how labels are made; another one, and those that are kept are not used again
INERT = (
    *("strategy", "log_every_n_steps", "enable_progress_bar", "enable_model_summary"),
    *("enable_checkpointing", "profiler", "num_sanity_val_steps", "check_val_every_n_epoch"),
    *("val_check_interval", "limit_val_batches", "limit_test_batches", "limit_predict_batches"),
    *("num_nodes", "sync_batchnorm", "use_distributed_sampler", "inference_mode", "barebones"),
)
"""Lightning's options that a fold has no use for, or sets itself: no label depends on them."""
LOOK_AGAIN = 1.0  # seconds, while other processes have all that is left


def difficulty_labels(pool: TrainingPool, name: str, dar: Dar) -> Labels:
    """The labels of the training examples for the member ``name``; made where none are kept.

    Raises:
        CascadeError: if the number of folds or seeds does not fit, or a kept file is damaged.
    """
    store = _store(pool, name, dar)
    if store.file.is_file():
        pool.say(f"  difficulty labels for {name} taken from {store.file}")
    else:
        _make(pool, {name: store}, wait=True)
    labels = store.finish()
    quality = label_quality(labels, pool.splits.train.labels, store.fold_of, pool.source.classes)
    store.keep_quality(quality)
    for line in describe_quality(name, quality, int(labels.difficult.sum())):
        pool.say(f"  {line}")
    return labels


def describe_quality(name: str, quality: LabelQuality, difficult: int) -> list[str]:
    """What is printed of the labels of ``name``: counts, and a warning where folds learnt nothing.

    Args:
        difficult: how many examples are.
    """
    by_class = ", ".join(f"{100 * share:.1f} % of {it}" for it, share in quality.difficult.items())
    lines = [
        f"{difficult:,} of {quality.examples:,} training examples are difficult for {name} "
        f"({by_class}); held-out accuracy {100 * quality.held_out:.1f} %, largest class "
        f"{100 * quality.majority:.1f} %"
    ]
    if not quality.informative:
        lines.append(
            f"Warning: the fold models of {name} are hardly better than always answering the "
            "largest class, so these labels say little about difficulty; expected more epochs, "
            "more data or a higher learning rate"
        )
    return lines


def label_stages(pool: TrainingPool, names: Sequence[str], dar: Dar) -> bool:
    """Make what is missing of the labels of the stages ``names``, before any of them is trained.

    By a multirun over the folds where a launcher other than Hydra's basic one is chosen. Returns
    whether that was all: with ``regularizer.fold``, which asks for that fold's share alone.

    Raises:
        CascadeError: if a kept file is damaged, or a job of that multirun failed.
    """
    if dar.fold is not None:
        label_fold(pool, names, dar, dar.fold)
        return True
    if not pool.settings.train:
        return False
    kept = pool.job.folder / "models"
    wanted = [it for it in names if not (pool.job.resumed and (kept / it).is_dir())]
    stores = {name: _store(pool, name, dar) for name in wanted}
    missing = {name: store for name, store in stores.items() if not store.file.is_file()}
    if missing and has_launcher():
        with _count_done(pool, missing) as update:
            run_fold_jobs(pool.job.folder / "labelling", dar.folds, update)
    if missing:
        _make(pool, missing, wait=True)
    for store in missing.values():
        store.finish()
    return False


def label_fold(pool: TrainingPool, names: Sequence[str], dar: Dar, fold: int) -> None:
    """Do one fold's share of the labels of each of ``names``, under all seeds."""
    stores = {name: _store(pool, name, dar) for name in names}
    _make(pool, stores, fold, wait=False)
    for name, store in stores.items():
        left = sum(not store.done(task) for task in store.tasks)
        if left == 0:
            store.finish()
        pool.say(f"  fold {fold} of {name} is done; {left} of {len(store.tasks)} fits are left")


def _store(pool: TrainingPool, name: str, dar: Dar) -> LabelStore:
    """Where the labels of ``name`` are kept: keyed by all that they depend on."""
    settings, own = pool.settings, pool.members[name].training
    train = pool.splits.train
    fold_of = assign_folds(train.labels, dar.folds, settings.data.seed)
    model = pool.build(name, 0)
    data = pool.feed(model)
    trainer = _of_folds(trainer_of(settings, own, model))
    made_from = {
        "version": VERSION,
        "data": data.content_key("train"),
        "batches": _batches(settings.data),
        "model": weights_key(model),
        "optimizer": _unnamed(asdict(optimizer_of(settings, own))),
        "trainer": _without_places(_unnamed(asdict(trainer))),
        "folds": dar.folds,
        "folds_seed": settings.data.seed,
        "seeds": dar.seeds,
    }
    about = {
        "data": settings.data.name,
        "examples": len(train),
        "model": pool.members[name].model,
        "layers": model.layers,
        "epochs": trainer.max_epochs,
    }
    root = Path(settings.paths.cache_dir) / "difficulty"
    return LabelStore(root, made_from, train.ids, fold_of, dar.seeds, about)


@contextmanager
def _without_notes() -> Iterator[None]:
    """Leave out what building a model notes: it was said once, and folds are many."""
    notes = logging.getLogger("cascade_exp.models")
    before = notes.level
    notes.setLevel(logging.WARNING)
    try:
        yield
    finally:
        notes.setLevel(before)


def _batches(data: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"batch_size": data.batch_size}
    if isinstance(data, ImageData):
        made["augment"] = data.augment
    if isinstance(data, TextData):
        made["bucketed"] = data.bucketed
    return made


def _of_folds(settings: TrainerOptions) -> TrainerOptions:
    """How a fold is fitted: on one device, whatever serves the stage, without loggers."""
    kept = {key: value for key, value in settings.options.items() if key not in INERT}
    return replace(settings, devices=1, options=kept)


def _unnamed(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "name"}


def _without_places(trainer: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in trainer.items() if k not in ("accelerator", "devices")}


def _make(
    pool: TrainingPool,
    stores: Mapping[str, LabelStore],
    fold: int | None = None,
    *,
    wait: bool,
) -> None:
    """Do the fits of the stages that nobody else does: of ``fold``, else of all folds.

    Args:
        wait: until those that others do are done too.
    """
    fits = [
        (name, task)
        for name, store in stores.items()
        for task in store.tasks
        if fold in (None, task.fold)
    ]

    def left() -> list[tuple[str, Task]]:
        return [(name, task) for name, task in fits if not stores[name].done(task)]

    def fit(name: str, task: Task) -> None:
        before = len(fits) - len(left())
        _fit(pool, name, stores[name], task, lambda part: show(before + part))
        if not pool.job.console.is_terminal:
            pool.say(f"  {name}: {task} is done, {before + 1} of {len(fits)}")

    with labelling_progress(pool.job.console, _named(stores), len(fits)) as show:
        while pending := left():
            show(len(fits) - len(pending))
            worked = False
            for name, task in pending:
                with stores[name].claim(task) as mine:
                    if mine:
                        fit(name, task)
                        worked = True
            if not (worked or wait):
                return
            if not worked:
                time.sleep(LOOK_AGAIN)


@contextmanager
def _count_done(
    pool: TrainingPool, stores: Mapping[str, LabelStore]
) -> Iterator[Callable[[], None]]:
    """Yield what shows how many fits are done by now, whoever does them."""
    total = sum(len(store.tasks) for store in stores.values())
    said = 0
    with labelling_progress(pool.job.console, _named(stores), total) as show:

        def update() -> None:
            nonlocal said
            done = sum(store.done(task) for store in stores.values() for task in store.tasks)
            show(done)
            if done > said and not pool.job.console.is_terminal:
                pool.say(f"  {done} of {total} fits are done")
            said = done

        yield update


def _named(stores: Mapping[str, LabelStore]) -> str:
    return next(iter(stores)) if len(stores) == 1 else f"{len(stores)} stages"


def _fit(
    pool: TrainingPool,
    name: str,
    store: LabelStore,
    task: Task,
    progress: Callable[[float], None],
) -> None:
    """Fit one fold's model, and keep which of the held-out examples it gets right."""
    settings, own = pool.settings, pool.members[name].training
    held_out = store.fold_of == task.fold
    splits = replace(
        pool.splits,
        train=pool.splits.train.take(np.flatnonzero(~held_out)),
        validation=pool.splits.train.take(np.flatnonzero(held_out)),
    )
    with _without_notes():
        model = pool.build(name, task.seed)
    # these splits are read this once: no use in keeping them tokenised
    data = feed(model.input, splits, settings.data, seed=task.seed, cache_dir=None)
    module = Classifier(model.network, len(model.classes), optimizer_of(settings, own))
    fit_fold(
        module,
        data,
        _of_folds(trainer_of(settings, own, model)),
        seed=task.seed,
        folder=store.work(task),
        progress=progress,
    )
    logits = pool.logits(module, data, "validation", where=f"{name}, {task}", show=False)
    store.put(task, logits.argmax(axis=1) == splits.validation.labels)
