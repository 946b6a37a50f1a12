"""Hydra's Optuna sweeper with pruning, and with what all our sweeps do besides.

Only its settings are here, as Hydra imports this at every start; the search is in ``_search``.
"""

# No postponed annotations here: see ``surviving_sweeper``.
from dataclasses import dataclass, field
from typing import Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig

try:
    from hydra_plugins.hydra_optuna_sweeper import config as optuna_config
except ImportError:  # without the extra there is no such sweeper
    optuna_config = None  # type: ignore[assignment]
DEFAULTS = ({"sampler": "tpe"}, {"pruner": "none"})


class SearchingSweeper(Sweeper):
    """Asks an Optuna study for jobs, prunes them, and resumes a search that was stopped.

    Args:
        pruner: what ends trials early, by its import path and its arguments.
        trial: set for each job; the number that the study knows it by.
        optuna: the settings of Hydra's Optuna sweeper.
    """

    def __init__(self, pruner: DictConfig, trial: Optional[int], **optuna: Any) -> None:  # noqa: UP045
        from ._search import Search

        self.search = Search(pruner, **optuna)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra gives."""
        self.search.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Search over ``arguments``; raise a CascadeError that lists what failed."""
        self.search.sweep(arguments)


if optuna_config is not None:

    @dataclass
    class SearchingSweeperConf(optuna_config.OptunaSweeperConf):
        """The settings of Hydra's Optuna sweeper, and how trials are pruned."""

        defaults: list[Any] = field(default_factory=lambda: list(DEFAULTS))
        _target_: str = "hydra_plugins.cascade_exp_sweeper.searching_sweeper.SearchingSweeper"
        _recursive_: bool = False  # the search makes the sampler
        max_failure_rate: float = 1.0
        pruner: Any = MISSING
        trial: Optional[int] = None  # noqa: UP045

    ConfigStore.instance().store(
        group="hydra/sweeper", name="searching", node=SearchingSweeperConf, provider="cascade_exp"
    )
