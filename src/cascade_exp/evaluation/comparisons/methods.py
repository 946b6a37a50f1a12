"""Several cascading methods in one job: each evaluated as the job's own, then compared.

The job's own metric, ensemble and calibration are evaluated in ``evaluate``. What a method may be
is checked here, before any compute; how the comparison looks lives in ``report.methods``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from cascade_exp.cascade.calibration import check_calibration
from cascade_exp.cascade.pools.learned import LEARNED
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.evaluation import evaluate_recordings
from cascade_exp.evaluation.kinds.registry import kind_of
from cascade_exp.evaluation.learned import learned_from, unlearned
from cascade_exp.jobs.job import Job
from cascade_exp.jobs.progress import methods_progress
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.results.schema import Results
from cascade_exp.schema.evaluating import CommonConfig, Method, Named
from cascade_exp.schema.metrics import metric_option

Progress = Callable[[int, int], None]


def check_methods(settings: CommonConfig) -> None:
    """Refuse methods that the kind of cascade cannot run, before any is evaluated.

    Raises:
        CascadeError: naming the method.
    """
    kind, base = kind_of(unlearned(settings)), learned_from(settings).base
    for name, method in settings.methods.items():
        try:
            kind.check(method if method.metric != LEARNED else replace(method, metric=base))
            check_calibration(method.calibration)
        except CascadeError as error:
            raise CascadeError(f"methods.{name}: {error}") from None


def compare_methods(job: Job, recordings: Recordings, own: Results) -> dict[str, Results]:
    """Evaluate the job's ``methods``; their results by name.

    Each one's results go into ``results/methods/<name>/`` as soon as they are there.

    Args:
        own: what the job's own method gave.

    Raises:
        CascadeError: if the recordings do not fit a method, which is named.
    """
    from cascade_exp.report.results.files import write_results

    found: dict[str, Results] = {}
    with methods_progress(job.console, list(job.settings.methods)) as progress_of:
        for name, results in evaluate_methods(recordings, job.settings, own, progress_of):
            write_results(results, job.folder / "results" / "methods" / name)
            found[name] = results
    return found


def report_methods(job: Job, found: Mapping[str, Results]) -> None:
    """Write ``results/methods.csv``, log and print the comparison of methods."""
    from cascade_exp.report.comparison.methods import write_methods
    from cascade_exp.report.comparison.methods_table import print_methods

    folder = job.folder / "results"
    write_methods(found, folder)
    if job.loggers.wandb is not None:
        from cascade_exp.report.tracking.board import log_methods

        log_methods(job.loggers.wandb, found)
    print_methods(found, folder, job.console)


def evaluate_methods(
    recordings: Recordings,
    settings: CommonConfig,
    own: Results,
    progress_of: Callable[[str], Progress],
) -> Iterator[tuple[str, Results]]:
    """Yield name and results of each method of ``settings``, in order.

    Temperatures are fitted once for each calibration; the job's ``own`` method, if it is among
    them, is not evaluated again.

    Raises:
        CascadeError: if the recordings do not fit a method, which is named.
    """
    fitted = {settings.calibration.name: own.temperatures}
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
                recordings, its, own.environment, progress, fitted.get(its.calibration.name)
            ).results
        except CascadeError as error:
            raise CascadeError(f"methods.{name}: {error}") from None
        fitted.setdefault(its.calibration.name, found.temperatures)
        yield name, found


def _metric(method: Method, settings: CommonConfig) -> Named:
    if method.metric == LEARNED:
        return learned_from(settings)
    return metric_option(method.metric, **({} if method.k is None else {"k": method.k}))


def settings_of(method: Method, settings: CommonConfig) -> CommonConfig:
    """The ``settings`` of a job whose own method is ``method``."""
    return replace(
        settings,
        metric=_metric(method, settings),
        ensemble=Named(method.ensemble),
        calibration=Named(method.calibration),
        methods={},
    )
