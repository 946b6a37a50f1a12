"""Hydra's basic sweeper, but no job stops the others, and a sweep that was stopped is resumed.

The basic sweeper composes all jobs before it starts the first, and stops at the first that cannot
be composed; afterwards it names only the first that failed. This one leaves the refused jobs out
and those that an earlier start has finished, runs all others, logs each failure in one line, writes
``sweep_summary.csv``, and then fails. Its jobs are kept in ``_jobs``.
"""

# No postponed annotations here: Hydra runs plug-ins before they are in sys.modules, where
# dataclasses would look string annotations up.
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

log = logging.getLogger(__name__)


@dataclass
class SurvivingSweeperConf(BasicSweeperConf):
    """The basic sweeper's settings under this sweeper's name."""

    _target_: str = "hydra_plugins.cascade_exp_sweeper.surviving_sweeper.SurvivingSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="surviving", node=SurvivingSweeperConf, provider="cascade_exp"
)


class _WithoutFailures(Launcher):
    """A launcher that reports to its sweeper how jobs ended, and returns those that are done."""

    def __init__(self, sweeper: "SurvivingSweeper") -> None:
        self.sweeper = sweeper

    def setup(self, **_: Any) -> None:
        """Nothing: the launcher of the jobs is set up."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs of one batch."""
        return self.sweeper.jobs.launch(self.sweeper.launched, initial_job_idx)


class SurvivingSweeper(BasicSweeper):
    """Runs every job of a multirun that is not done and can be, and reports failures at the end."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid of ``arguments``; raise a CascadeError that lists what failed."""
        from cascade_exp.jobs import sweeps

        from ._jobs import SweepJobs

        assert self.launcher is not None and self.config is not None
        assert self.hydra_context is not None
        with sweeps.open_sweep(self.config, [*self._parse_config(), *arguments]) as folder:
            self.jobs = SweepJobs(folder, self.config, self.hydra_context, self.launcher)
            launcher, self.launcher = self.launcher, _WithoutFailures(self)
            try:
                returns = super().sweep(arguments)
            finally:
                self.launcher = launcher
            self.jobs.end()
        return returns

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The next jobs, without those that are done and those that cannot be composed."""
        places = [self.jobs.add(overrides) for overrides in super().get_job_batch()]
        self.launched = self.jobs.to_run(places)
        done = sum(job.before for job in self.jobs.jobs)
        if done:
            log.info(f"{done} of {len(self.jobs.jobs)} jobs were finished before")
        return [self.jobs.overrides(place) for place in self.launched]

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing is left to refuse: get_job_batch gave only jobs that compose."""
