"""Several cascading methods in one job: each evaluated as the job's own, then compared.

The job's own metric, ensemble and calibration are evaluated in ``evaluate``. What a method may be
is checked here, before any compute; how the comparison looks lives in ``report.methods``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from cascade_exp.cascade.ensembling import RECORDED, check_combination
from cascade_exp.errors import CascadeError, choice
from cascade_exp.jobs.evaluation import evaluate_recordings
from cascade_exp.jobs.job import Job
from cascade_exp.jobs.progress import methods_progress
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.schema import Results
from cascade_exp.schema import EvaluateConfig, Method, Named, TopK

Progress = Callable[[int, int], None]


def check_methods(settings: EvaluateConfig) -> None:
    """Refuse methods that no evaluation could follow, before any compute is spent.

    Raises:
        CascadeError: naming the method.
    """
    for name, method in settings.methods.items():
        where = f"methods.{name}"
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise CascadeError(
                f"{where}: {name!r} cannot name a method, as its results are put into a folder of "
                "that name; expected letters, digits, _ . and -"
            )
        try:
            check_combination(method.metric, method.ensemble)
            choice(method.calibration, ("none", "temperature"), "calibration")
        except CascadeError as error:
            raise CascadeError(f"{where}: {error}") from None
        if method.metric == RECORDED and method.calibration != "none":
            raise CascadeError(
                f"{where}: metric={RECORDED} with calibration={method.calibration}: recorded "
                "answers have no logits to scale, expected calibration=none"
            )
        if (method.metric == "topk_sum") != (method.k is not None):
            raise CascadeError(
                f"{where}: metric={method.metric} with k={method.k}: topk_sum, and only it, needs k"
            )


def compare_methods(job: Job, recordings: Recordings, own: Results) -> None:
    """Evaluate the job's ``methods``; write, log and print their comparison.

    Each one's results go into ``results/methods/<name>/`` as soon as they are there, the comparison
    into ``results/methods.csv`` and ``results/plots/methods.png``.

    Args:
        own: what the job's own method gave.

    Raises:
        CascadeError: if the recordings do not fit a method, which is named.
    """
    from cascade_exp.report.files import write_results
    from cascade_exp.report.methods import write_methods
    from cascade_exp.report.methods_figure import write_methods_figure
    from cascade_exp.report.methods_table import print_methods

    folder = job.folder / "results"
    methods: dict[str, Results] = {}
    with methods_progress(job.console, list(job.settings.methods)) as progress_of:
        for name, results in evaluate_methods(recordings, job.settings, own, progress_of):
            write_results(results, folder / "methods" / name)
            methods[name] = results
    write_methods(methods, folder)
    plot = write_methods_figure(methods, folder)
    if job.loggers.wandb is not None:
        from cascade_exp.report.board import log_methods

        log_methods(job.loggers.wandb, methods, plot)
    print_methods(methods, folder, job.console)


def evaluate_methods(
    recordings: Recordings,
    settings: EvaluateConfig,
    own: Results,
    progress_of: Callable[[str], Progress],
) -> Iterator[tuple[str, Results]]:
    """Yield name and results of each method of ``settings``, in order.

    Temperatures are fitted once for all; the job's ``own`` method, if it is among them, is not
    evaluated again.

    Raises:
        CascadeError: if the recordings do not fit a method, which is named.
    """
    temperatures = own.temperatures
    for name, method in settings.methods.items():
        progress, its = progress_of(name), settings_of(method, settings)
        if (its.metric, its.ensemble, its.calibration) == (
            settings.metric,
            settings.ensemble,
            settings.calibration,
        ):
            yield name, own
            continue
        try:
            found = evaluate_recordings(
                recordings, its, own.environment, progress, temperatures
            ).results
        except CascadeError as error:
            raise CascadeError(f"methods.{name}: {error}") from None
        temperatures = temperatures or found.temperatures
        yield name, found


def settings_of(method: Method, settings: EvaluateConfig) -> EvaluateConfig:
    """The ``settings`` of a job whose own method is ``method``."""
    return replace(
        settings,
        metric=Named(method.metric) if method.k is None else TopK(method.metric, method.k),
        ensemble=Named(method.ensemble),
        calibration=Named(method.calibration),
        methods={},
    )
