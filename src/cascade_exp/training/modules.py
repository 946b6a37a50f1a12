"""With which LightningModules a member of a training job is fitted."""

from __future__ import annotations

from dataclasses import replace

from cascade_exp.errors import CascadeError
from cascade_exp.learning.classifier import Classifier
from cascade_exp.learning.dar import DifficultyAwareRegularization
from cascade_exp.learning.exits import ExitClassifier
from cascade_exp.learning.gatekeeper import GatekeeperLoss
from cascade_exp.learning.regularizers import LabelSmoothingTerm, Regularizer
from cascade_exp.models.complete import CompleteModel
from cascade_exp.models.exit_methods import METHODS
from cascade_exp.models.exit_network import ExitNetwork
from cascade_exp.schema.training import Dar, Gatekeeper, LabelSmoothing, MemberTraining, TrainConfig
from cascade_exp.training.fit import Fit, optimizer_of
from cascade_exp.training.labelling import difficulty_labels
from cascade_exp.training.pool import TrainingPool
from cascade_exp.training.teaching import task_loss_for


def fits_for(
    pool: TrainingPool,
    model: CompleteModel,
    *,
    fits: bool,
    unregularised: bool,
    teacher: CompleteModel | None = None,
) -> list[Fit]:
    """The fits of ``model``, in order; one for a complete model. Arguments as ``module_for``'s."""
    own = pool.members[model.name].training
    if not isinstance(model.network, ExitNetwork):
        module = module_for(pool, model, fits=fits, unregularised=unregularised, teacher=teacher)
        tuning = pool.settings.regularizer
        if not isinstance(tuning, Gatekeeper) or unregularised or not fits:
            return [Fit(module, own)]
        return [Fit(module, own), _gatekeeper_fit(pool, model, own, tuning)]
    phases = []
    for phase in METHODS[model.description["method"]].phases:
        training = own.of_heads() if phase.name else own
        optimizer = optimizer_of(pool.settings, training)
        module = ExitClassifier(model.network, len(model.classes), optimizer, phase)
        phases.append(Fit(module, training, phase.name))
    return phases


def module_for(
    pool: TrainingPool,
    model: CompleteModel,
    *,
    fits: bool,
    unregularised: bool,
    teacher: CompleteModel | None = None,
) -> Classifier:
    """The module that fits a complete ``model`` as the job's settings say.

    Args:
        fits: whether it will be fitted, or only asked for its answers.
        unregularised: whether no regulariser is for it: the pool's last stage, or a member whose
            training says so.
        teacher: the trained last stage, where it teaches this one.
    """
    own = pool.members[model.name].training
    optimizer = optimizer_of(pool.settings, own)
    regularizer = _regularizer(pool, model.name) if fits and not unregularised else None
    task_loss = task_loss_for(pool, model, teacher) if fits and teacher is not None else None
    return Classifier(model.network, len(model.classes), optimizer, task_loss, regularizer)


def _regularizer(pool: TrainingPool, name: str) -> Regularizer | None:
    """The term of the job's regulariser for the member ``name``; None of one without a term."""
    wanted = pool.settings.regularizer
    if isinstance(wanted, Dar):
        return DifficultyAwareRegularization(difficulty_labels(pool, name, wanted), wanted)
    if isinstance(wanted, LabelSmoothing):
        return LabelSmoothingTerm(wanted)
    return None


def _gatekeeper_fit(
    pool: TrainingPool, model: CompleteModel, own: MemberTraining, wanted: Gatekeeper
) -> Fit:
    """The second phase, whose last weights count: validation accuracy would undo what it is for."""
    training = replace(
        own,
        learning_rate=wanted.learning_rate or own.learning_rate,
        max_epochs=wanted.max_epochs,
    )
    optimizer = optimizer_of(pool.settings, training)
    module = Classifier(model.network, len(model.classes), optimizer, GatekeeperLoss(wanted))
    return Fit(module, training, wanted.name, keeps="last")


def check_training(settings: TrainConfig, complete: int) -> None:
    """Refuse settings of the training that cannot go together, before any compute is spent.

    Args:
        complete: how many of the members are complete models.

    Raises:
        CascadeError: naming the key.
    """
    for group in ("regularizer", "distillation"):
        chosen = getattr(settings, group).name
        if chosen != "none" and complete < 2:
            raise CascadeError(
                f"{group}={chosen}: it is for every stage but the last, and the pool has "
                f"{complete or 'no'} complete model"
            )
