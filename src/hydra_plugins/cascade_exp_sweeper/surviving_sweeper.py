"""Hydra's basic sweeper, but one refused or failed job never stops the others.

The basic sweeper composes all jobs before it starts the first, and stops at the first that cannot
be composed; afterwards it names only the first that failed. This one leaves the refused jobs out,
runs all others, says each failure in one line, and then fails.
"""

# No postponed annotations here: Hydra runs plug-ins before they are in sys.modules, where
# dataclasses would look string annotations up.
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.entry import one_line

log = logging.getLogger(__name__)


@dataclass
class SurvivingSweeperConf(BasicSweeperConf):
    """The basic sweeper's settings under this sweeper's name."""

    _target_: str = "hydra_plugins.cascade_exp_sweeper.surviving_sweeper.SurvivingSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="surviving", node=SurvivingSweeperConf, provider="cascade_exp"
)


class _WithoutFailures(Launcher):
    """A launcher that tells its sweeper of failed jobs and gives back the others."""

    def __init__(self, sweeper: "SurvivingSweeper", launcher: Launcher) -> None:
        self.sweeper = sweeper
        self.launcher = launcher

    def setup(self, **_: Any) -> None:
        """Nothing: the wrapped launcher is set up."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs of one batch."""
        self.sweeper.jobs += len(job_overrides)
        results = self.launcher.launch(job_overrides, initial_job_idx) if job_overrides else []
        for result, overrides in zip(results, job_overrides, strict=True):
            if result.status is JobStatus.FAILED:
                self.sweeper.failed(overrides, result._return_value)
        return [result for result in results if result.status is not JobStatus.FAILED]


class SurvivingSweeper(BasicSweeper):
    """Runs every job of a multirun that can be composed, and reports all failures at the end."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid of ``arguments``; raise a CascadeError that lists what failed."""
        self.failures: list[str] = []
        self.jobs = 0
        launcher = self.launcher
        assert launcher is not None
        self.launcher = _WithoutFailures(self, launcher)
        try:
            returns = super().sweep(arguments)
        finally:
            self.launcher = launcher
        if self.failures:
            raise CascadeError(
                f"{len(self.failures)} of {self.jobs} jobs failed; the others are done:\n"
                + "\n".join(self.failures)
            )
        return returns

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The next jobs, without those that cannot be composed."""
        assert self.hydra_context is not None and self.config is not None
        composable = []
        for overrides in super().get_job_batch():
            try:
                self.hydra_context.config_loader.load_sweep_config(
                    master_config=self.config, sweep_overrides=list(overrides)
                )
            except Exception as error:
                self.jobs += 1
                self.failed(overrides, error)
            else:
                composable.append(overrides)
        return composable

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing is left to refuse: get_job_batch gave only jobs that compose."""

    def failed(self, overrides: Sequence[str], error: Any) -> None:
        """Say and keep that the job of ``overrides`` failed."""
        line = f"{' '.join(overrides)}: {one_line(error)}"
        log.error(f"Failed: {line}")
        self.failures.append(f"  {line}")
