"""The body of ``evaluate.py``: recordings in, a results folder with tables, plots and W&B out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from cascade_exp.evaluation.analyses import analyse
from cascade_exp.evaluation.comparisons.jobs import COMPARISON, compare_jobs
from cascade_exp.evaluation.comparisons.methods import check_methods, compare_methods
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
from cascade_exp.report.pages.view import chosen
from cascade_exp.report.results.analyses_schema import Analyses
from cascade_exp.report.results.headline import headline
from cascade_exp.report.results.operating_point import deployment
from cascade_exp.report.results.schema import Results
from cascade_exp.schema.evaluating import EvaluateConfig

if TYPE_CHECKING:
    from cascade_exp.report.pages.sections import Sections

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
        return report(job, recordings, read_previews(folder, settings.splits.report))


def report(
    job: Job,
    recordings: Recordings,
    preview: Preview | None = None,
    further: Sequence[str] = (),
) -> Path:
    """Evaluate ``recordings`` as the job's settings say, and write and show all of it.

    Args:
        preview: what the example of an id looks like, text or PNG; only who has the data knows.
        further: what ``speed_ups.also=null`` stands for: the further recorded splits of a training
            job's data.
    """
    from cascade_exp.report.pages.results_table import print_results
    from cascade_exp.report.pages.sections import Sections
    from cascade_exp.report.results.analyses import write_analyses
    from cascade_exp.report.results.files import write_json, write_results
    from cascade_exp.report.results.tier_baselines import write_tier_baselines
    from cascade_exp.report.results.tiers import write_latencies, write_tiers

    job = replace(job, settings=with_column(job.settings, recordings))
    with search_progress(job.console) as progress:
        evaluation = evaluate_recordings(
            recordings, job.settings, environment(job.settings.seed, job.key), progress
        )
        results = evaluation.results
        for warning in results.warnings:
            job.console.print(
                f"Warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True
            )
        analyses = (
            analyse(evaluation.measuring, evaluation.searching, chosen(results))
            if job.settings.analyses
            else None
        )
    settings, measuring = job.settings, evaluation.measuring
    sections = Sections(
        tiers=tier_analyses(measuring, chosen(results)),
        tier_baselines=tier_baselines(measuring, results, chosen(results)),
        latencies=latencies(measuring, results.operating_points),
        speed_ups=compare_speed_ups(recordings, settings, further)
        if settings.speed_ups.members
        else None,
    )
    folder = job.folder / "results"
    write_results(results, folder)
    write_json(folder / "operating_point.json", deployment(results, recordings.path, settings))
    write_analyses(analyses, folder)
    write_tiers(sections.tiers, folder)
    write_tier_baselines(sections.tier_baselines, folder)
    write_latencies(sections.latencies, folder)
    plots = _draw(job, results, analyses, sections, folder, preview) if settings.plots else []
    job.loggers.log_numbers(headline(results))
    if job.loggers.wandb is not None:
        from cascade_exp.report.tracking.artifacts import log_operating_point, use_recordings
        from cascade_exp.report.tracking.board import log_results

        if job.kind == "evaluate":
            use_recordings(job.loggers.wandb, recordings.path)
        log_results(job.loggers.wandb, results, plots, analyses)
        log_operating_point(job.loggers.wandb, results, folder)
    print_results(results, folder, job.console)
    if job.settings.methods:
        compare_methods(job, recordings, results)
    if sections.speed_ups is not None:
        report_speed_ups(job, results, sections.speed_ups)
    return folder


def _draw(
    job: Job,
    results: Results,
    analyses: Analyses | None,
    sections: Sections,
    folder: Path,
    preview: Preview | None,
) -> list[Path]:
    """Draw the pictures and the page; returns the pictures' paths."""
    from cascade_exp.report.figures.analyses import write_analysis_plots
    from cascade_exp.report.figures.evaluation import write_plots
    from cascade_exp.report.figures.tiers import draw_tiers
    from cascade_exp.report.pages.html import write_html
    from cascade_exp.report.results.tier_baselines import draw_tier_baselines

    plots = [
        *write_plots(results, folder),
        *write_analysis_plots(results, analyses, folder),
        *draw_tiers(results, sections.tiers, folder),
        *draw_tier_baselines(results, sections.tier_baselines, folder),
    ]
    write_html(
        results,
        folder / "report.html",
        config_yaml=job.config_yaml,
        command=job.command,
        analyses=analyses,
        sections=sections,
        preview=preview,
    )
    return plots
