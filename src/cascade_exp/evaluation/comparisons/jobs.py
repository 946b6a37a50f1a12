"""``evaluate.py compare=GLOB``: one comparison over jobs that were run before, in place of one."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.job import Job
from cascade_exp.report.comparison.pairs import pairs
from cascade_exp.report.comparison.runs import read_run, varied, write_csv
from cascade_exp.report.comparison.seeds import seed_tables, write_seed_tables
from cascade_exp.report.figures.runs import write_runs_figure
from cascade_exp.report.pages.runs_page import write_page
from cascade_exp.report.pages.runs_table import print_runs
from cascade_exp.report.results.status import FILE, read_status

COMPARISON = "compare"


def compare_jobs(job: Job, pattern: str) -> Path:
    """Compare the jobs whose folders ``pattern`` names; returns the results folder.

    Raises:
        CascadeError: if it names no job.
    """
    folders = [found for found in find_jobs(pattern) if found != job.folder.resolve()]
    if not folders:
        raise CascadeError(
            f"compare={pattern}: no job there; expected folders with {FILE} or "
            "results/summary.json, or sweeps of them"
        )
    above = Path(os.path.commonpath([folder.parent for folder in folders]))
    runs = [read_run(folder, str(folder.relative_to(above))) for folder in folders]
    target = job.folder / "results"
    paired = pairs(runs)
    write_csv(runs, target / "comparison.csv", paired)
    plot = write_runs_figure(runs, target / "plots" / "fronts.png")
    write_page(runs, target / "report.html", title=pattern, command=job.command, pairs=paired)
    if job.loggers.wandb is not None:
        from cascade_exp.report.tracking.board import log_runs

        log_runs(job.loggers.wandb, runs, plot)
    missing = [run for run in runs if run.results is None]
    summary = f"{len(runs) - len(missing)} of {len(runs)} jobs compared"
    keys = varied(runs)
    job.console.print(f"{summary}, by {', '.join(keys)}" if keys else summary, highlight=False)
    lines = [f"  without results: {run.name}: {run.reason}" for run in missing]
    print_runs(runs, paired, job.console)
    write_seed_tables(seed_tables(runs), target, job.console)
    for line in (*lines, f"  {target / 'report.html'}"):
        job.console.print(line, highlight=False, soft_wrap=True, markup=False)
    return target


def find_jobs(pattern: str) -> Sequence[Path]:
    """The job folders that ``pattern`` names, sweeps opened, in order; each once."""
    found: dict[Path, None] = {}
    given = Path(pattern).expanduser()  # a folder may be named like a pattern, as runs[1]
    # Path.glob takes no absolute pattern
    named = [given] if given.exists() else map(Path, sorted(glob.glob(str(given))))  # noqa: PTH207
    for folder in named:
        if _is_job(folder):
            found[folder.resolve()] = None
        elif folder.is_dir():
            inside = [path for path in folder.iterdir() if path.is_dir() and _is_job(path)]
            found |= dict.fromkeys(path.resolve() for path in sorted(inside, key=_by_number))
    return list(found)


def _is_job(folder: Path) -> bool:
    status = read_status(folder)
    if status is not None:
        return status.job != COMPARISON
    return (folder / "results" / "summary.json").is_file()


def _by_number(path: Path) -> tuple[int, str]:
    return (int(path.name), "") if path.name.isdigit() else (1 << 62, path.name)
