"""Hydra's basic sweeper, but jobs stop nothing, and a sweep that was stopped goes on.

The basic sweeper composes all jobs before it starts the first, and stops at the first that cannot
be composed; afterwards it names only the first that failed. This one leaves the refused jobs out
and those that an earlier start has finished, runs all others, says each failure in one line, writes
``sweep_summary.csv``, and then fails. Where jobs go is settled in ``cascade_exp.jobs.sweeping``.
"""

# No postponed annotations here: Hydra runs plug-ins before they are in sys.modules, where
# dataclasses would look string annotations up.
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """A launcher that tells its sweeper what became of jobs and gives back those that are done."""

    def __init__(self, sweeper: "SurvivingSweeper", launcher: Launcher) -> None:
        self.sweeper = sweeper
        self.launcher = launcher

    def setup(self, **_: Any) -> None:
        """Nothing: the wrapped launcher is set up."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs of one batch."""
        if not job_overrides:
            return []
        try:
            results = self.launcher.launch(job_overrides, initial_job_idx)
        except Exception as error:  # a worker died, or the cluster refused: jobs tell themselves
            self.sweeper.launcher_failed(error)
            return []
        done = []
        for place, result in zip(self.sweeper.launched, results, strict=True):
            if result.status is JobStatus.FAILED:
                self.sweeper.failed(place, result._return_value)
            else:
                self.sweeper.jobs[place] = replace(self.sweeper.jobs[place], state="finished")
                done.append(result)
        return done


class SurvivingSweeper(BasicSweeper):
    """Runs every job of a multirun that is not done and can be, and reports failures at the end."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid of ``arguments``; raise a CascadeError that lists what failed."""
        from cascade_exp.jobs import sweep_end, sweeping

        assert self.launcher is not None and self.config is not None
        folder = sweeping.settle_folder(self.config, [*self._parse_config(), *arguments])
        self.jobs: list[sweeping.SweepJob] = []
        self.places = sweeping.Places(folder)
        launcher, self.launcher = self.launcher, _WithoutFailures(self, self.launcher)
        try:
            returns = super().sweep(arguments)
        finally:
            self.launcher = launcher
        failed = [job for job in self.jobs if job.state != "finished"]
        sweeping.end(folder, bool(failed))
        sweep_end.tell(folder, self.jobs)
        if failed:
            raise CascadeError(
                f"{len(failed)} of {len(self.jobs)} jobs failed; the others are done:\n"
                + "\n".join(f"  {job.name}: {job.reason}" for job in failed)
            )
        return returns

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The next jobs, without those that are done and those that cannot be composed."""
        from cascade_exp.jobs.sweeping import SweepJob

        assert self.hydra_context is not None and self.config is not None
        batch: list[list[str]] = []
        self.launched: list[int] = []
        for overrides in super().get_job_batch():
            place = len(self.jobs)
            job = SweepJob(tuple(overrides), None)
            self.jobs.append(job)
            try:
                composed = self.hydra_context.config_loader.load_sweep_config(
                    master_config=self.config, sweep_overrides=list(overrides)
                )
                folder, status = self.places.place(composed, place)
            except Exception as error:
                self.failed(place, error)
                continue
            if status is not None and status.state == "finished":
                self.jobs[place] = replace(job, folder=folder, state="finished", before=True)
                continue
            self.jobs[place] = replace(job, folder=folder)
            self.launched.append(place)
            batch.append([*overrides, *self.places.pinned(folder)])
        done = sum(job.before for job in self.jobs)
        if done:
            log.info(f"{done} of {len(self.jobs)} jobs were finished before")
        return batch

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing is left to refuse: get_job_batch gave only jobs that compose."""

    def failed(self, place: int, error: Any) -> None:
        """Say and keep that the job at ``place`` failed."""
        job = replace(self.jobs[place], state="failed", reason=one_line(error))
        log.error(f"Failed: {job.name}: {job.reason}")
        self.jobs[place] = job

    def launcher_failed(self, error: Exception) -> None:
        """Keep what the jobs of this batch say of themselves, as the launcher cannot."""
        from cascade_exp.report.status import read_status

        for place in self.launched:
            job = self.jobs[place]
            status = read_status(job.folder) if job.folder is not None else None
            if status is not None and status.state == "finished":
                self.jobs[place] = replace(job, state="finished")
            else:
                told = status.reason if status is not None else None
                reason = told or f"did not finish (launcher: {one_line(error)})"
                log.error(f"Failed: {job.name}: {reason}")
                self.jobs[place] = replace(job, state="failed", reason=reason)
