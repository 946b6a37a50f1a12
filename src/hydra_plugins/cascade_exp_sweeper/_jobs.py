"""The jobs of one start of a sweep, under any sweeper: placed, launched unless done, and reported.

Where jobs go, and which are done, is settled in ``cascade_exp.jobs.sweeps``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from cascade_exp.errors import CascadeError, Refused
from cascade_exp.jobs import sweep_end, sweeps
from cascade_exp.jobs.entry import one_line
from cascade_exp.jobs.sweeps import Places, SweepJob
from cascade_exp.report.results.status import (
    FAILED,
    FINISHED,
    PRUNED,
    REFUSED,
    RUNNING,
    read_status,
)

log = logging.getLogger(__name__)
DONE = (FINISHED, PRUNED)


class SweepJobs:
    """The jobs of a sweep in ``folder`` that this start has come to, by their place."""

    def __init__(
        self, folder: Path, config: DictConfig, context: HydraContext, launcher: Launcher
    ) -> None:
        self.folder = folder
        self.config = config
        self.context = context
        self.launcher = launcher
        self.places = Places(folder)
        self.jobs: list[SweepJob] = []
        self.pins: dict[int, list[str]] = {}

    def recall(self) -> None:
        """Count in the jobs that earlier starts in this folder have done."""
        found = [(folder, s) for folder, s in self.places.known.values() if s.state in DONE]
        self.jobs += [
            SweepJob(tuple(s.overrides), folder, s.state, s.reason, before=True)
            for folder, s in sorted(found, key=lambda one: one[1].started)
        ]

    def add(self, overrides: Sequence[str], pins: Sequence[str] = ()) -> int:
        """Place a further job; returns its place. One that cannot be composed has failed.

        Args:
            pins: overrides that do not distinguish it from others.
        """
        place = len(self.jobs)
        job = SweepJob(tuple(overrides), None)
        self.jobs.append(job)
        try:
            composed = self.context.config_loader.load_sweep_config(
                master_config=self.config, sweep_overrides=list(overrides)
            )
            folder, status = self.places.place(composed, place)
        except Exception as error:
            self.fail(place, error)
            return place
        self.pins[place] = [*pins, *self.places.pinned(folder)]
        job = replace(job, folder=folder)
        if status is not None and status.state in DONE:
            job = replace(job, state=status.state, reason=status.reason, before=True)
        self.jobs[place] = job
        return place

    def again(self, place: int) -> None:
        """Have the job at ``place`` run although it was done before."""
        self.jobs[place] = replace(self.jobs[place], state=RUNNING, reason=None, before=False)

    def to_run(self, places: Sequence[int]) -> list[int]:
        """Those of ``places`` whose jobs are neither done nor refused."""
        return [place for place in places if self.jobs[place].state == RUNNING]

    def overrides(self, place: int) -> list[str]:
        """With what the job at ``place`` is launched."""
        return [*self.jobs[place].overrides, *self.pins[place]]

    def launch(self, places: Sequence[int], first: int) -> list[JobReturn]:
        """Run the jobs at ``places`` side by side; gives back those that did not fail.

        Args:
            first: the number that Hydra counts their first as.
        """
        if not places:
            return []
        try:
            batch = [self.overrides(place) for place in places]
            results = self.launcher.launch(batch, first)
        except (
            Exception
        ) as error:  # a worker died, or the cluster refused: their job.json states the reason
            self._launcher_failed(places, error)
            return []
        done = []
        for place, result in zip(places, results, strict=True):
            if result.status is JobStatus.FAILED:
                self.fail(place, result._return_value)
            else:
                self._done(place)
                done.append(result)
        return done

    def end(self) -> None:
        """Report all jobs in the sweep's folder, each once.

        Raises:
            CascadeError: listing those that failed.
        """
        refused = [job for job in self.jobs if job.state == REFUSED]
        failed = [job for job in self.jobs if job.state not in (*DONE, REFUSED)]
        if len(refused) == len(self.jobs):  # nothing was done: that is no sweep
            failed, refused = refused, []
        sweeps.end(self.folder, bool(failed))
        each = {job.folder or job.name: job for job in self.jobs}
        sweep_end.report(self.folder, list(each.values()))
        if refused:
            log.warning(
                f"{len(refused)} of {len(self.jobs)} jobs were refused: their options do not go "
                "together (reasons above)"
            )
        if failed:
            others = "the others are done or refused" if refused else "the others are done"
            raise CascadeError(
                f"{len(failed)} of {len(self.jobs)} jobs failed; {others}:\n"
                + "\n".join(f"  {job.name}: {job.reason}" for job in failed)
            )

    def _done(self, place: int) -> bool:
        job = self.jobs[place]
        status = read_status(job.folder) if job.folder is not None else None
        if job.folder is None or status is None or status.state not in DONE:
            return False
        self.places.done(job.folder, status)
        self.jobs[place] = replace(job, state=status.state, reason=status.reason)
        return True

    def fail(self, place: int, error: Any, state: str | None = None) -> None:
        """Say and keep that the job at ``place`` failed, or was refused."""
        reason = error if isinstance(error, str) else one_line(error)
        if state is None:
            state = REFUSED if isinstance(error, Refused) else FAILED
        job = replace(self.jobs[place], state=state, reason=reason)
        if state == REFUSED:
            log.warning(f"Refused: {job.name}: {job.reason}")
        else:
            log.error(f"Failed: {job.name}: {job.reason}")
        self.jobs[place] = job

    def _launcher_failed(self, places: Sequence[int], error: Exception) -> None:
        """Keep what the jobs of this batch say of themselves, as the launcher cannot."""
        for place in places:
            if self._done(place):
                continue
            folder = self.jobs[place].folder
            status = read_status(folder) if folder is not None else None
            reason = status.reason if status is not None else None
            state = REFUSED if status is not None and status.state == REFUSED else FAILED
            self.fail(place, reason or f"did not finish (launcher: {one_line(error)})", state)
