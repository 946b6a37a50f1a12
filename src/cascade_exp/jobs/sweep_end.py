"""The end of a sweep: ``sweep_summary.csv`` and one comparison over its jobs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cascade_exp.jobs.sweeps import SweepJob
from cascade_exp.report.comparison.pairs import pairs
from cascade_exp.report.comparison.runs import ComparedRun, read_run, refused_run, write_csv
from cascade_exp.report.comparison.seeds import seed_tables, write_seed_tables
from cascade_exp.report.figures.runs import write_runs_figure
from cascade_exp.report.pages.runs_page import write_page
from cascade_exp.report.pages.runs_table import print_runs
from cascade_exp.report.results.status import FAILED, REFUSED

SUMMARY = "sweep_summary.csv"


def report(folder: Path, jobs: Sequence[SweepJob]) -> None:
    """Write the summary, the comparison page and its picture into the sweep's ``folder``."""
    from rich.console import Console

    if not jobs:
        return
    runs = [_run(job, folder) for job in jobs]
    paired = pairs(runs)
    write_csv(runs, folder / SUMMARY, paired)
    write_runs_figure(runs, folder / "fronts.png")
    command = shlex.join(["uv", "run", "evaluate.py", f"compare={folder}"])
    page = folder / "report.html"
    write_page(runs, page, title=str(folder), command=command, pairs=paired)
    done = sum(run.results is not None for run in runs)
    console = Console(stderr=True)
    print_runs(runs, paired, console)
    write_seed_tables(seed_tables(runs), folder, console)
    console.print(f"{done} of {len(runs)} jobs have results", highlight=False)
    for name in (SUMMARY, "report.html"):
        console.print(f"  {folder / name}", highlight=False, soft_wrap=True)


def _run(job: SweepJob, sweep: Path) -> ComparedRun:
    if job.folder is None:
        return refused_run(job.overrides, job.reason)
    run = read_run(job.folder, str(job.folder.relative_to(sweep)))
    if job.state not in (FAILED, REFUSED):
        return run
    choices = run.choices or refused_run(job.overrides, None).choices
    return replace(run, state=job.state, reason=job.reason, results=None, choices=choices)
