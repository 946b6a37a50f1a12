"""The body of ``evaluate.py``: recordings in, a results folder with tables, plots and W&B out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from cascade_exp.evaluation.analyses import analyse
from cascade_exp.evaluation.comparisons.jobs import COMPARISON, compare_jobs
from cascade_exp.evaluation.comparisons.methods import (
    check_methods,
    compare_methods,
    report_methods,
)
from cascade_exp.evaluation.comparisons.speed_ups import (
    check_speed_ups,
    compare_speed_ups,
    report_speed_ups,
)
from cascade_exp.evaluation.comparisons.tier_baselines import tier_baselines
from cascade_exp.evaluation.evaluation import check_settings, evaluate_recordings
from cascade_exp.evaluation.latency import latencies
from cascade_exp.evaluation.pricing import with_column
from cascade_exp.evaluation.tier_analyses import tier_analyses
from cascade_exp.jobs.finding import find_recordings
from cascade_exp.jobs.job import Job, environment, open_job
from cascade_exp.jobs.progress import search_progress
from cascade_exp.recordings.folder import Recordings, open_recordings
from cascade_exp.recordings.previews import read_previews
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages.executed_view import print_executed
from cascade_exp.report.pages.results_table import print_results
from cascade_exp.report.pages.view import chosen, unit
from cascade_exp.report.results.executed import Executed, executed_numbers, write_executed
from cascade_exp.report.results.headline import headline
from cascade_exp.report.results.operating_point import OPERATING_POINT, deployment
from cascade_exp.schema.evaluating import EvaluateConfig

if TYPE_CHECKING:
    from cascade_exp.data.examples import Examples

Preview = Callable[[int | str], str | bytes | None]


def evaluate(config: DictConfig) -> Path:
    """Evaluate the cascades of recorded outputs, or compare jobs; returns the results folder."""
    with open_job(config, COMPARISON if config.compare else "evaluate") as job:
        settings = job.settings
        assert isinstance(settings, EvaluateConfig)
        if settings.compare:
            return compare_jobs(job, settings.compare)
        check_settings(settings)
        check_methods(settings)
        check_speed_ups(settings)
        folder = find_recordings(settings)
        job.console.print(f"Recordings: {folder}", highlight=False, soft_wrap=True)
        pool, absent = settings.pool, settings.answers.absent
        recordings = open_recordings(folder, pool.include, pool.exclude, absent)
        shown = settings.splits.report
        raw = None
        if settings.execute:
            from cascade_exp.runtime.execution import examples_of  # needs torch

            raw = examples_of(recordings.path, shown)
        return report(job, recordings, read_previews(folder, shown), raw=raw)


def report(
    job: Job,
    recordings: Recordings,
    preview: Preview | None = None,
    further: Sequence[str] = (),
    raw: Examples | None = None,
) -> Path:
    """Evaluate ``recordings`` as the job's settings say, and write and show all of it.

    Args:
        preview: what the example of an id looks like, text or PNG; only who has the data knows.
        further: what ``speed_ups.also=null`` stands for: the further recorded splits of a training
            job's data.
        raw: with ``execute=true``, the raw examples of the report split, to run the cascade on.
    """
    job = replace(job, settings=with_column(job.settings, recordings))
    folder = job.folder / "results"
    found = _evaluate(job, recordings, further)
    _write(found, folder, deployment(found.results, recordings.path, job.settings, job.folder))
    if raw is not None:
        found = replace(found, executed=_execute(job, found, raw))
    write_executed(found.executed, folder)
    plots = _draw(job, found, folder, preview) if job.settings.plots else []
    _track(job, recordings, found, plots)
    print_results(found.results, folder, job.console)
    if found.executed is not None:
        print_executed(found.executed, unit(found.results), job.console)
    if found.methods:
        report_methods(job, found.methods)
    if found.speed_ups is not None:
        report_speed_ups(job, found.speed_ups)
    return folder


def _evaluate(job: Job, recordings: Recordings, further: Sequence[str]) -> Findings:
    """All that the job's settings ask for."""
    settings = job.settings
    with search_progress(job.console) as progress:
        evaluation = evaluate_recordings(
            recordings, settings, environment(settings.seed, job.key), progress
        )
        results, measuring = evaluation.results, evaluation.measuring
        for warning in results.warnings:
            job.console.print(
                f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True
            )
        point = chosen(results)
        used = measuring if point is None else measuring.of(point.rule)
        analyses = analyse(used, evaluation.searching, point) if settings.analyses else None
    return Findings(
        results,
        analyses,
        tiers=tier_analyses(used, point),
        tier_baselines=tier_baselines(used, results, point),
        latencies=latencies(measuring, results.operating_points),
        speed_ups=compare_speed_ups(recordings, settings, further)
        if settings.speed_ups.members
        else None,
        per_example=measuring.per_example(results.operating_points),
        methods=compare_methods(job, recordings, results) if settings.methods else {},
    )


def _execute(job: Job, found: Findings, raw: Examples) -> Executed:
    """Run the chosen cascade."""
    from cascade_exp.runtime.execution import execute  # needs torch

    wanted = job.settings.execution
    return execute(job.folder, found.results, found.per_example, raw, wanted, job.console)


def _write(found: Findings, folder: Path, deployed: Mapping[str, object]) -> None:
    """Write the tables and summaries below ``folder``."""
    from cascade_exp.report.results.analyses import write_analyses
    from cascade_exp.report.results.files import write_json, write_results
    from cascade_exp.report.results.per_example import write_per_example
    from cascade_exp.report.results.tier_baselines import write_tier_baselines
    from cascade_exp.report.results.tiers import write_latencies, write_tiers

    write_results(found.results, folder)
    write_json(folder / OPERATING_POINT, deployed)
    write_per_example(found.per_example, folder)
    write_analyses(found.analyses, folder)
    write_tiers(found.tiers, folder)
    write_tier_baselines(found.tier_baselines, folder)
    write_latencies(found.latencies, folder)


def _draw(job: Job, found: Findings, folder: Path, preview: Preview | None) -> list[Path]:
    """Draw the pictures and the page; returns the pictures' paths."""
    from cascade_exp.report.figures.registry import write_figures
    from cascade_exp.report.pages.html import write_html

    plots = write_figures(found, folder, job.settings.plots)
    write_html(
        found,
        folder / "report.html",
        config_yaml=job.config_yaml,
        command=job.command,
        preview=preview,
    )
    return plots


def _track(job: Job, recordings: Recordings, found: Findings, plots: list[Path]) -> None:
    """Log the results to the job's experiment trackers."""
    run_for_real = executed_numbers(found.executed)
    job.loggers.log_numbers({**headline(found.results), **run_for_real})
    if job.loggers.wandb is None:
        return
    from cascade_exp.report.tracking.artifacts import log_operating_point, use_recordings
    from cascade_exp.report.tracking.board import log_results

    if job.kind == "evaluate":
        use_recordings(job.loggers.wandb, recordings.path)
    log_results(job.loggers.wandb, found.results, plots, found.analyses)
    job.loggers.wandb.summary.update(run_for_real)
    log_operating_point(job.loggers.wandb, found.results, job.folder / "results")
