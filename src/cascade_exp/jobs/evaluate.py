"""The body of ``evaluate.py``: recordings in, a results folder with tables, plots and W&B out."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.analyses import analyse
from cascade_exp.jobs.evaluation import check_settings, evaluate_recordings
from cascade_exp.jobs.job import Job, environment, open_job
from cascade_exp.jobs.methods import check_methods, compare_methods
from cascade_exp.jobs.progress import search_progress
from cascade_exp.recordings.folder import Recordings, open_recordings
from cascade_exp.report.operating_point import deployment
from cascade_exp.report.view import chosen
from cascade_exp.schema.evaluating import EvaluateConfig


def evaluate(config: DictConfig) -> Path:
    """Evaluate the cascades of recorded outputs; returns the results folder."""
    with open_job(config, "evaluate") as job:
        check_settings(job.settings)
        check_methods(job.settings)
        folder = find_recordings(job.settings)
        job.console.print(f"Recordings: {folder}", highlight=False, soft_wrap=True)
        pool = job.settings.pool
        return report(job, open_recordings(folder, pool.include, pool.exclude))


def report(job: Job, recordings: Recordings) -> Path:
    """Evaluate ``recordings`` as the job's settings say, and write and show all of it."""
    from cascade_exp.report.analyses import write_analyses
    from cascade_exp.report.analysis_plots import write_analysis_plots
    from cascade_exp.report.files import write_json, write_results
    from cascade_exp.report.html import write_html
    from cascade_exp.report.plots import write_plots
    from cascade_exp.report.tables import print_results

    with search_progress(job.console) as progress:
        evaluation = evaluate_recordings(
            recordings, job.settings, environment(job.settings.seed), progress
        )
        results = evaluation.results
        analyses = (
            analyse(evaluation.measuring, evaluation.searching, chosen(results))
            if job.settings.analyses
            else None
        )
    folder = job.folder / "results"
    write_results(results, folder)
    write_json(folder / "operating_point.json", deployment(results, recordings.path, job.settings))
    write_analyses(analyses, folder)
    plots = [*write_plots(results, folder), *write_analysis_plots(results, analyses, folder)]
    write_html(
        results,
        folder / "report.html",
        config_yaml=job.config_yaml,
        command=job.command,
        analyses=analyses,
    )
    if job.loggers.wandb is not None:
        from cascade_exp.report.board import log_results

        log_results(job.loggers.wandb, results, plots)
    print_results(results, folder, job.console)
    if job.settings.methods:
        compare_methods(job, recordings, results)
    return folder


def find_recordings(settings: EvaluateConfig) -> Path:
    """The recordings folder that the settings name, or that of the newest complete training run.

    Raises:
        CascadeError: if both are named, or there is none.
    """
    if settings.recordings is not None:
        if settings.run is not None:
            raise CascadeError("recordings and run both name recordings; give one of them")
        return Path(settings.recordings)
    if settings.run is not None:
        folder = Path(settings.run) / "recordings"
        if not (folder / "models.csv").is_file():
            raise CascadeError(f"run={settings.run}: no complete recordings in {folder}")
        return folder
    output = Path(settings.paths.output_dir)
    # models.csv is written last; a multirun's jobs are one folder deeper
    complete = [p for depth in ("*", "*/*") for p in output.glob(f"{depth}/recordings/models.csv")]
    if not complete:
        raise CascadeError(
            f"no training run with complete recordings under {output}; train one with "
            "`uv run train.py`, or name a folder: recordings=path/to/outputs"
        )
    return max(complete, key=lambda path: path.stat().st_mtime_ns).parent
