"""How the last stage of a training job teaches the others: the task loss of ``distillation``."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from cascade_exp.data.tokenizing import tokenise_alike
from cascade_exp.errors import CascadeError
from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.distillation import (
    PatientDistillation,
    VanillaDistillation,
    matched_layers,
)
from cascade_exp.learning.task_loss import TaskLoss
from cascade_exp.learning.theseus import ModuleReplacing
from cascade_exp.models.complete import CompleteModel, weights_key
from cascade_exp.models.transformers_models import TokenClassifier
from cascade_exp.recordings.write import ContentKey
from cascade_exp.schema.evaluating import Named
from cascade_exp.schema.training import Patient, Theseus, TrainConfig, Vanilla
from cascade_exp.training.fit import optimizer_of
from cascade_exp.training.pool import TrainingPool


def teaches(settings: TrainConfig) -> bool:
    """Whether the last stage teaches the others, and so has to be trained first."""
    return isinstance(settings.distillation, Vanilla | Theseus)


def task_loss_for(pool: TrainingPool, student: CompleteModel, teacher: CompleteModel) -> TaskLoss:
    """The task loss under which ``teacher``, trained, teaches ``student``.

    Raises:
        CascadeError: if the two do not fit the way of teaching.
    """
    wanted = pool.settings.distillation
    inner = inner_task_loss(wanted, student, teacher)
    if inner is not None:
        return inner
    assert isinstance(wanted, Vanilla)
    return VanillaDistillation(pool.splits.train.ids, _soft_targets(pool, teacher), wanted)


def inner_task_loss(
    wanted: Named, student: CompleteModel, teacher: CompleteModel
) -> TaskLoss | None:
    """The task loss of a way of teaching that looks inside the teacher; None of another way.

    Raises:
        CascadeError: if the two do not fit it; whether they do needs no trained teacher.
    """
    if isinstance(wanted, Theseus):
        _check_same_input("theseus", student, teacher)
        return ModuleReplacing(student, teacher, wanted)
    if isinstance(wanted, Patient):
        _check_same_input("patient", student, teacher)
        widths = [_width(model) for model in (teacher, student)]
        if widths[0] != widths[1]:
            raise CascadeError(
                f"distillation=patient: {student.name} has states of {widths[1]} numbers, its "
                f"teacher {teacher.name} of {widths[0]}; expected the same"
            )
        layers = matched_layers(teacher.layers, student.layers, wanted.layers)
        return PatientDistillation(teacher.network, layers, wanted)
    return None


def _soft_targets(pool: TrainingPool, teacher: CompleteModel) -> NDArray[np.float32]:
    """The teacher's logits on the train split [N, K], recorded once for its weights."""
    data = pool.feed(teacher)
    key = ContentKey(weights_key(teacher), data.content_key("train"), pool.code)
    if not pool.store.holds(key):
        own = pool.members[teacher.name].training
        module = Classifier(teacher.network, len(teacher.classes), optimizer_of(pool.settings, own))
        where = f"{teacher.name} on train"
        pool.store.put(key, pool.logits(module, data, "train", where=where))
    return pool.store.get(key)


def _check_same_input(way: str, student: CompleteModel, teacher: CompleteModel) -> None:
    if not all(isinstance(m.network, TokenClassifier) for m in (student, teacher)):
        raise CascadeError(f"distillation={way}: expected text models out of transformers")
    ours, theirs = asdict(student.input), asdict(teacher.input)
    for key in ours:
        alike = ours[key] == theirs[key]
        if key == "tokenizer" and None not in (ours[key], theirs[key]):
            alike = tokenise_alike(ours[key], theirs[key])  # a saved model has a copy of its own
        if not alike:
            raise CascadeError(
                f"distillation={way}: {student.name} and its teacher {teacher.name} read the same "
                f"batches, but differ in {key}: {ours[key]} and {theirs[key]}"
            )


def _width(model: CompleteModel) -> int:
    assert isinstance(model.network, TokenClassifier)
    return int(model.network.transformer.config.hidden_size)
