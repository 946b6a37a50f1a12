"""The search of ``searching_sweeper``: an Optuna study proposes trials and learns how they ended.

How settings become a search space and trials become overrides is Hydra's Optuna sweeper's. Its own
loop knows no trial that was pruned and no job that is done, and stops at the first batch that
fails, hence this one.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import optuna
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, Trial, TrialState

from cascade_exp.errors import CascadeError
from cascade_exp.jobs import sweeps
from cascade_exp.jobs.trials import check_search, make_pruner, open_storage, quiet_optuna
from cascade_exp.report.results.headline import reported_number
from cascade_exp.report.results.status import FAILED, FINISHED, PRUNED

from ._jobs import SweepJobs

log = logging.getLogger(__name__)
START = "cascade_exp_start"
"""A trial's attribute: which start of which sweep it belongs to (``sweeps.start_of``)."""
RESULTS = "optimization_results.yaml"


class Search(OptunaSweeperImpl):  # type: ignore[misc]
    """Hydra's Optuna sweeper with a pruner and a loop of our own."""

    def __init__(self, pruner: DictConfig, sampler: DictConfig, **settings: Any) -> None:
        quiet_optuna()
        super().__init__(sampler=instantiate(sampler), **settings)
        self.pruner = pruner

    def sweep(self, arguments: list[str]) -> None:
        """Ask for ``n_trials`` trials, less those that an earlier start came to the end of.

        Raises:
            CascadeError: if the search cannot work, or jobs failed, after all others are done.
        """
        assert self.config is not None and self.launcher is not None
        assert self.hydra_context is not None
        self._process_searchspace_config()
        given = [*self._parse_sweeper_params_config(), *arguments]
        space, fixed = self._space(given)
        check_search(self.config, space)
        if isinstance(self.sampler, functools.partial):  # which it stays without its space
            raise CascadeError(
                "hydra/sweeper/sampler=grid: a multirun without hparams_search runs a grid"
            )
        study = optuna.create_study(
            study_name=self.study_name,
            storage=open_storage(self.storage),
            sampler=self.sampler,
            pruner=make_pruner(self.pruner) or optuna.pruners.NopPruner(),
            direction=self._get_directions()[0],  # type: ignore[arg-type]  # checked above
            load_if_exists=True,
        )
        self._draw_anew(study)
        with sweeps.open_sweep(self.config, given) as folder:
            self.optimize = str(self.config.optimize)
            self.start = sweeps.start_of(folder)
            self.jobs = SweepJobs(folder, self.config, self.hydra_context, self.launcher)
            self._search(study, space, fixed)

    def _search(self, study: optuna.Study, space: dict[str, Any], fixed: dict[str, Any]) -> None:
        """Run what is left of the trials, and report how all of them ended."""
        self.jobs.recall()
        left, to_go = self._left(study)
        while to_go > 0:
            size = min(to_go, self.n_jobs)
            trials, left = left[:size], left[size:]
            trials += [self._ask(study) for _ in range(size - len(trials))]
            self._run(study, trials, self._configure_trials(trials, space, fixed))
            to_go -= size
        self._report_best(study)
        self.jobs.end()

    def _draw_anew(self, study: optuna.Study) -> None:
        """Have a resumed study draw with another seed, or it would draw the same again."""
        settings = self.config.hydra.sweeper.sampler  # type: ignore[union-attr]
        before = len(study.get_trials(deepcopy=False))
        if before and settings.get("seed") is not None:
            study.sampler = instantiate(settings, seed=settings.seed + before)

    def _space(self, given: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is searched, by key, and what is fixed."""
        space, fixed = create_params_from_overrides(list(given))
        configured = self.search_space_distributions or {}
        return {n: d for n, d in {**configured, **space}.items() if n not in fixed}, fixed

    def _ask(self, study: optuna.Study) -> Trial:
        trial = study.ask()
        trial.set_user_attr(START, self.start)
        return trial

    def _left(self, study: optuna.Study) -> tuple[list[Trial], int]:
        """The trials that this sweep was in when it was stopped, and how many are to go with them.

        Those of its trials that failed are put first in the queue of the next.
        """
        everything = study.get_trials(deepcopy=False)
        mine = [trial for trial in everything if trial.user_attrs.get(START) == self.start]
        latest = {str(trial.params): trial for trial in everything}
        for trial in latest.values():
            if trial.state is TrialState.FAIL and trial in mine:
                study.enqueue_trial(trial.params)
        done = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in mine)
        if done:
            log.info(f"{done} trials of this search were finished before")
        running = [Trial(study, t._trial_id) for t in mine if t.state is TrialState.RUNNING]
        return running, self.n_trials - done

    def _run(
        self, study: optuna.Study, trials: Sequence[Trial], overrides: Sequence[Sequence[str]]
    ) -> None:
        """Run the jobs of ``trials`` and inform the study how each ended.

        Raises:
            CascadeError: if more of them failed than ``max_failure_rate``.
        """
        first = len(self.jobs.jobs)
        places = [
            self.jobs.add(given, [f"hydra.sweeper.trial={trial.number}"])
            for trial, given in zip(trials, overrides, strict=True)
        ]
        known = {
            place: self._pruned_before(study, trial)
            for place, trial in zip(places, trials, strict=True)
            if self.jobs.jobs[place].state == PRUNED
        }
        for place, before in known.items():
            if before is None:  # pruned by another study
                self.jobs.again(place)
        self.jobs.launch(self.jobs.to_run(places), first)
        for place, trial in zip(places, trials, strict=True):
            self._report(study, trial, place, known.get(place))
        failed = sum(self.jobs.jobs[place].state == FAILED for place in places)
        if failed > self.max_failure_rate * len(places):
            self.jobs.end()

    def _report(
        self, study: optuna.Study, trial: Trial, place: int, before: FrozenTrial | None
    ) -> None:
        """Inform the study how the job at ``place`` ended; ``before``: an equal trial."""
        job = self.jobs.jobs[place]
        value, state = None, TrialState.FAIL
        if job.state == PRUNED:
            state = TrialState.PRUNED
            if before is not None and before.number != trial.number:
                for step, said in before.intermediate_values.items():
                    trial.report(said, step)
        elif job.state == FINISHED and job.folder is not None:
            try:
                value = reported_number(job.folder, self.optimize)
                state = TrialState.COMPLETE
            except CascadeError as error:
                self.jobs.fail(place, error)
        study.tell(trial, value, state)

    def _pruned_before(self, study: optuna.Study, trial: Trial) -> FrozenTrial | None:
        """A trial of the study that asked for the same and was pruned."""
        for other in study.get_trials(deepcopy=False):
            pruned = other.state is TrialState.PRUNED or other.number == trial.number
            if other.params == trial.params and pruned and other.intermediate_values:
                return other
        return None

    def _report_best(self, study: optuna.Study) -> None:
        """Write the best trial so far into the sweep's folder."""
        if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            log.error("No trial was finished, so there is no best one")
            return
        best = study.best_trial
        best_trial = {"name": "optuna", "best_params": best.params, "best_value": best.value}
        OmegaConf.save(OmegaConf.create(best_trial), self.jobs.folder / RESULTS)
        log.info(f"Best parameters: {best.params}")
        log.info(f"Best value: {best.value}")
