"""Which LightningModule a member of a training job is fitted with."""

from __future__ import annotations

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.fitting import optimizer_settings
from cascade_exp.jobs.labelling import difficulty_labels
from cascade_exp.jobs.training_pool import TrainingPool
from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.dar import DarSettings, DifficultyAwareRegularization
from cascade_exp.models.complete import CompleteModel
from cascade_exp.schema.training import Dar, TrainConfig


def module_for(pool: TrainingPool, model: CompleteModel, *, fits: bool, last: bool) -> Classifier:
    """The module that fits ``model`` as the job's settings say.

    Args:
        fits: whether it will be fitted, or only asked for its answers.
        last: whether it is the pool's last stage, which no regulariser is for.
    """
    own = pool.members[model.name].training
    optimizer = optimizer_settings(pool.settings, own)
    dar = pool.settings.regularizer
    regularizer = None
    if isinstance(dar, Dar) and fits and not last:
        labels = difficulty_labels(pool, model.name, dar)
        regularizer = DifficultyAwareRegularization(labels, dar_settings(dar))
    return Classifier(model.network, len(model.classes), optimizer, regularizer)


def dar_settings(dar: Dar) -> DarSettings:
    """How the regulariser's term is computed.

    Raises:
        CascadeError: if a value is out of its range.
    """
    return DarSettings(weight=dar.weight, margin=dar.margin, pairs=dar.pairs)


def check_training(settings: TrainConfig, members: int) -> None:
    """Refuse settings of the training that cannot go together, before any compute is spent.

    Raises:
        CascadeError: naming the key.
    """
    dar = settings.regularizer
    if isinstance(dar, Dar):
        dar_settings(dar)
        if members < 2:
            raise CascadeError(
                "regularizer=dar: it is for every stage but the last, and the pool has one model"
            )
