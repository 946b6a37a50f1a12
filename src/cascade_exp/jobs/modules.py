"""Which LightningModule a member of a training job is fitted with."""

from __future__ import annotations

from cascade_exp.jobs.fitting import optimizer_settings
from cascade_exp.jobs.training_pool import TrainingPool
from cascade_exp.learning.classifier import Classifier
from cascade_exp.models.complete import CompleteModel


def module_for(pool: TrainingPool, model: CompleteModel) -> Classifier:
    """The module that fits ``model`` as the job's settings say."""
    own = pool.members[model.name].training
    return Classifier(model.network, len(model.classes), optimizer_settings(pool.settings, own))
