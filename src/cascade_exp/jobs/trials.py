"""A job as a trial of a search: the numbers it can be searched by, and how its study prunes it.

The search itself, which asks its study for trials and reports how they ended, is the sweeper in
``hydra_plugins``; a job finds the study again by its storage and its name.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cascade_exp.errors import CascadeError, Pruned, choice
from cascade_exp.learning.building import build
from cascade_exp.schema.checks import Member, check_members

if TYPE_CHECKING:
    import optuna

    from cascade_exp.learning.watching import GoesOn

EPOCHS = "/val/"
"""In the names of numbers that a training job has after every epoch, and in no others."""


def reported_after_epochs(members: Mapping[str, Member]) -> list[str]:
    """The numbers that a job has after every epoch: ``<model>/val/accuracy.max`` and the like."""
    from cascade_exp.models.exit_methods import METHODS
    from cascade_exp.report.tracking.lightning_loggers import BEST

    fits = []
    for name, member in members.items():
        method = METHODS.get(str(member.model.get("method")))
        fits += [f"{name}/{p.name}".rstrip("/") for p in method.phases] if method else [name]
    return [f"{fit}/{metric}.{best}" for fit in fits for metric, best in BEST.items()]


def check_optimize(optimize: str | None, members: Mapping[str, Member]) -> None:
    """Refuse a number of epochs that no fit of ``members`` will have, before one is trained.

    Raises:
        CascadeError: naming ``optimize``.
    """
    if optimize is not None and EPOCHS in optimize:
        choice(optimize, reported_after_epochs(members), "optimize")


def check_search(config: DictConfig, swept: Collection[str]) -> None:
    """Refuse, before its first trial, a search that cannot work.

    Args:
        config: Hydra's own settings included, without those that the search chooses.
        swept: the keys that the search chooses.

    Raises:
        CascadeError: naming the key.
    """
    sweeper, name = config.hydra.sweeper, config.get("optimize")
    if name is None:
        raise CascadeError("optimize=null: a search needs the name of a number (docs/sweeps.md)")
    direction = getattr(sweeper.direction, "name", sweeper.direction)
    if direction not in ("maximize", "minimize"):
        raise CascadeError(
            f"hydra.sweeper.direction={direction}: optimize names one number; expected maximize "
            "or minimize"
        )
    best = name.rpartition(".")[2]
    if EPOCHS in name and f"{best}imize" != direction:
        raise CascadeError(
            f"hydra.sweeper.direction={direction}: optimize={name} is the {best}imum over the "
            f"epochs; expected {best}imize"
        )
    if sweeper.pruner.builds is None:
        return
    pruner = f"hydra.sweeper.pruner={sweeper.pruner.builds.rpartition('.')[2]}"
    if config.hydra.job.name != "train":
        raise CascadeError(f"{pruner}: only train.py has epochs after which a job can be pruned")
    if not config.train:
        raise CascadeError(f"{pruner}: train=false has no epochs after which a job can be pruned")
    if OmegaConf.select(config, "regularizer.fold") is not None:
        raise CascadeError(f"{pruner}: regularizer.fold only makes labels; leave it out")
    if not isinstance(sweeper.storage, str):
        raise CascadeError(
            f"{pruner}: jobs report to their study through its storage; give "
            "hydra.sweeper.storage=sqlite:///study.db, or study.journal on a network's disk"
        )
    if EPOCHS not in name:
        raise CascadeError(
            f"{pruner}: optimize={name} is known at a job's end alone; expected a number of every "
            "epoch, such as optimize=MODEL/val/accuracy.max"
        )
    if not any(key.partition(".")[0] == "models" for key in swept):
        choice(name, reported_after_epochs(check_members(config.models)), "optimize")


def quiet_optuna() -> None:
    """Keep Optuna's notes on old names off the terminal: Hydra's sweeper uses those of Optuna 2."""
    warnings.filterwarnings("ignore", message=".* has been deprecated in v", category=FutureWarning)


def open_storage(storage: str | None) -> Any:
    """Optuna's storage: a database by its URL, or a file of its journal by its path.

    Raises:
        CascadeError: if it cannot be opened.
    """
    quiet_optuna()
    if storage is None:
        return None
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        if "://" in storage:
            return RDBStorage(storage)
        return JournalStorage(JournalFileBackend(storage))
    except Exception as error:  # SQLAlchemy's, the system's and Optuna's own
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CascadeError(f"hydra.sweeper.storage={storage}: {first}") from None


def make_pruner(pruner: DictConfig) -> optuna.pruners.BasePruner | None:
    """The pruner of ``hydra.sweeper.pruner``; None of ``none``.

    Raises:
        CascadeError: if it has no such arguments.
    """
    if pruner.builds is None:
        return None
    made: optuna.pruners.BasePruner = build(
        pruner.builds, dict(pruner.options), key="hydra.sweeper.pruner"
    )
    return made


class Trial:
    """This job as a trial that its study may prune.

    Args:
        trial: reports to the study. watched: what is optimised, as ``optimize`` names it.
    """

    def __init__(self, trial: optuna.Trial, watched: str) -> None:
        self.trial = trial
        self.fit, _, metric = watched.partition(EPOCHS)
        self.metric = f"{EPOCHS[1:]}{metric.rpartition('.')[0]}"
        self.pruned: str | None = None

    def watching(self, fit: str) -> GoesOn | None:
        """What the fit ``<model>`` or ``<model>/<phase>`` asks after each epoch."""
        return self._goes_on if fit == self.fit else None

    def end_if_pruned(self) -> None:
        """Raise :class:`Pruned`, with epoch and value, if the study has pruned the trial."""
        if self.pruned is not None:
            raise Pruned(self.pruned)

    def _goes_on(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        value = metrics[self.metric]
        self.trial.report(value, epoch)
        if self.trial.should_prune():
            self.pruned = f"epoch {epoch + 1} of {self.fit}: {self.metric} {value:.4g}"
        return self.pruned is None


def trial_of(optimize: str | None) -> Trial | None:
    """The trial that Hydra's sweeper started this job as; None where nothing prunes."""
    sweeper = HydraConfig.get().sweeper
    number = OmegaConf.select(sweeper, "trial")
    pruner = None if number is None else make_pruner(sweeper.pruner)
    if pruner is None or optimize is None:
        return None
    import optuna

    study = optuna.load_study(
        study_name=sweeper.study_name,
        storage=open_storage(sweeper.storage),
        pruner=pruner,
    )
    return Trial(optuna.Trial(study, study.trials[number]._trial_id), optimize)
