"""Recording the models of a training job: whole, or a share of it that other jobs divide.

Shares go into the store that jobs have in common (``recordings.write``); a job without a share puts
them together and records only what none of them has. A share is made of whole batches, so that the
logits are those of one machine, to the last bit where machines and threads are alike.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray

from cascade_exp.learning.feeding import Feed
from cascade_exp.models.complete import CompleteModel, weights_key
from cascade_exp.models.meter import Measured
from cascade_exp.recordings.write import ContentKey
from cascade_exp.schema.training import Recording
from cascade_exp.training.pool import TrainingPool


def record_share(
    pool: TrainingPool,
    model: CompleteModel,
    module: pl.LightningModule,
    data: Feed,
    wanted: Recording,
) -> None:
    """Record this job's share of what is recorded, and keep it for the run that wants it all."""
    assert wanted.share is not None
    name = f"{wanted.share}-of-{wanted.shares}"
    weights = weights_key(model)
    for split in pool.splits.recorded:
        key = ContentKey(weights, data.content_key(split), pool.code)
        if pool.store.holds(key) or pool.store.holds_part(key, name):
            pool.say(f"  {split}: share {name} of {model.name} was recorded before")
            continue
        batches = list(data.loader(split).sampler)[wanted.share :: wanted.shares]
        if not batches:
            pool.say(f"  {split}: no batch is left for share {name} of {model.name}")
            continue
        rows = np.concatenate(batches)
        where = f"{model.name} on {split}, share {name}"
        logits = pool.logits(module, data, split, where=where, batches=batches)
        pool.store.put_part(key, name, pool.splits.named(split).ids[rows], logits)
        pool.say(f"  {split}: share {name} of {model.name} is recorded, {len(rows):,} examples")


def record(
    pool: TrainingPool,
    model: CompleteModel,
    module: pl.LightningModule,
    data: Feed,
    measured: Measured,
) -> None:
    """Put the model's recordings in place, made anew only where none is kept."""
    weights = weights_key(model)
    for split in pool.splits.recorded:
        key = ContentKey(weights, data.content_key(split), pool.code)
        if pool.store.holds(key):
            pool.say(f"  {split}: recorded before with these weights and data, taken from there")
        else:
            pool.store.put(key, _together(pool, key, model, module, data, split))
        pool.store.place(
            key,
            pool.job.folder / "recordings" / split / f"{model.name}.npy",
            {
                "macs": {"counter": measured.counter, "input": measured.input},
                "model": {
                    "weights": str((pool.job.folder / "models" / model.name).resolve()),
                    "input": {"kind": type(model.input).__name__, **asdict(model.input)},
                    "classes": list(model.classes),
                },
            },
        )


def _together(
    pool: TrainingPool,
    key: ContentKey,
    model: CompleteModel,
    module: pl.LightningModule,
    data: Feed,
    split: str,
) -> NDArray[np.float32]:
    """Logits of the whole split: of the shares that are kept, and recorded now for the rest."""
    ids, where = pool.splits.named(split).ids, f"{model.name} on {split}"
    parts = pool.store.parts(key)
    found = [np.isin(ids, part_ids) for part_ids, _ in parts]
    there = np.logical_or.reduce(found) if found else np.zeros(len(ids), dtype=bool)
    if not there.any():
        return pool.logits(module, data, split, where=where)
    left = [rows for rows in data.loader(split).sampler if not there[rows].all()]
    pool.say(
        f"  {split}: {int(there.sum()):,} of {len(ids):,} examples of {model.name} out of "
        f"{len(parts)} shares{'' if left else ', none recorded again'}"
    )
    if left:
        more = pool.logits(module, data, split, where=where, batches=left)
        parts = [*parts, (ids[np.concatenate(left)], more)]
    seen = np.concatenate([part_ids for part_ids, _ in parts])
    logits: NDArray[np.float32] = np.concatenate([part_logits for _, part_logits in parts])
    _, first = np.unique(seen, return_index=True)
    of_ids = first[np.searchsorted(seen[first], ids)]
    return logits[of_ids]
