"""Sweeps in subprocesses as users run them: killed, restarted, changed, under every launcher."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cascade_exp.evaluation.comparisons.jobs import find_jobs
from cascade_exp.report.results.status import read_status
from tests.recordings.making import make_recordings
from tests.warm import python

ROOT = Path(__file__).parents[2]
QUICK = ("logger=none", "bootstrap.resamples=10", "analyses=false")


def command(*arguments: str) -> list[str]:
    return [str(ROOT / "evaluate.py"), "-m", "recordings=rec", *QUICK, *arguments]


def sweep(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python(*command(*arguments)), cwd=cwd, capture_output=True, text=True, check=False
    )


def only_sweep(cwd: Path) -> Path:
    (found,) = cwd.glob("outputs/*-multirun-*")
    return found


def summary(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep_summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def cwd(tmp_path) -> Path:
    make_recordings(tmp_path / "rec", {"a": 1.0, "b": 5.0, "c": 9.0}, size=60)
    return tmp_path


@pytest.mark.slow
def test_a_killed_sweep_goes_on_with_the_same_command(cwd):
    grid = ("metric=max_softmax,entropy,softmax_margin", "ensemble=none,mean_softmax")
    finished: set[Path] = set()
    for stop_at in (1, 3):
        process = subprocess.Popen(
            [sys.executable, *command(*grid)],
            cwd=cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(list(cwd.glob("outputs/*/*/results/report.html"))) < stop_at:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        jobs = find_jobs(str(only_sweep(cwd)))
        states = {job: read_status(job) for job in jobs}
        done = {job for job, status in states.items() if status and status.state == "finished"}
        assert finished <= done and len(done) < 6
        finished = done
    written = {job: (job / "results" / "summary.json").stat().st_mtime_ns for job in finished}
    last = sweep(cwd, *grid)
    assert last.returncode == 0, last.stderr
    assert f"{len(finished)} of 6 jobs were finished before" in last.stdout + last.stderr
    for job, when in written.items():
        assert (job / "results" / "summary.json").stat().st_mtime_ns == when
    folder = only_sweep(cwd)
    rows = summary(folder)
    assert [row["job"] for row in rows] == list("012345")
    assert {row["state"] for row in rows} == {"finished"}
    assert {(row["metric"], row["ensemble"]) for row in rows} == {
        (metric, ensemble)
        for metric in ("max_softmax", "entropy", "softmax_margin")
        for ensemble in ("none", "mean_softmax")
    }
    assert (folder / "report.html").is_file() and (folder / "fronts.png").is_file()
    # a sweep that is done is not resumed: the command starts another
    assert sweep(cwd, *grid[1:], "metric=entropy").returncode == 0
    assert len(list(cwd.glob("outputs/*-multirun-*"))) == 2


@pytest.mark.slow
def test_a_larger_grid_in_the_same_folder_runs_what_is_new(cwd):
    assert sweep(cwd, "metric=entropy,max_softmax", "hydra.sweep.dir=s").returncode == 0
    first = {row["metric"]: row["job"] for row in summary(cwd / "s")}
    done = sweep(cwd, "metric=softmax_margin,max_softmax,entropy", "hydra.sweep.dir=s")
    assert done.returncode == 0, done.stderr
    assert "2 of 3 jobs were finished before" in done.stdout + done.stderr
    now = {row["metric"]: row["job"] for row in summary(cwd / "s")}
    assert now == {**first, "softmax_margin": "2"}
    for metric, job in now.items():
        found = json.loads((cwd / "s" / job / "results" / "summary.json").read_text())
        assert found["metric"] == metric


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_every_launcher_runs_four_jobs_and_then_none(cwd, launcher):
    if launcher == "submitit_local":
        pytest.importorskip("submitit", reason="needs the extra submitit: uv sync --extra submitit")
    grid = (
        "metric=max_softmax,entropy",
        "ensemble=none,mean_logits",
        f"hydra/launcher={launcher}",
    )
    done = sweep(cwd, *grid, "hydra.sweep.dir=s")
    assert done.returncode == 0, done.stderr
    rows = summary(cwd / "s")
    assert len(rows) == 4 and {row["state"] for row in rows} == {"finished"}
    assert len({(row["metric"], row["ensemble"]) for row in rows}) == 4
    again = sweep(cwd, *grid, "hydra.sweep.dir=s")
    assert "4 of 4 jobs were finished before" in again.stdout + again.stderr
    assert summary(cwd / "s") == rows


def test_jobs_whose_options_do_not_go_together_are_refused_and_fail_no_sweep(cwd):
    grid = ("metric=max_softmax,energy", "ensemble=none,mean_softmax", "hydra.sweep.dir=s")
    done = sweep(cwd, *grid)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "1 of 4 jobs were refused: their options do not go together" in said
    rows = {(row["metric"], row["ensemble"]): row for row in summary(cwd / "s")}
    assert [row["state"] for row in rows.values()].count("finished") == 3
    refused = rows["energy", "mean_softmax"]
    assert refused["state"] == "refused"
    assert "metric=energy with ensemble=mean_softmax" in refused["reason"]
    assert json.loads((cwd / "s" / refused["job"] / "job.json").read_text())["state"] == "refused"
    assert refused["reason"].split(";")[0] in (cwd / "s" / "report.html").read_text()
    again = sweep(cwd, *grid)  # refused again, and nothing else runs
    assert again.returncode == 0
    assert "3 of 4 jobs were finished before" in again.stdout + again.stderr
    # one that fails beside one that is refused: the sweep fails, and says of each which it was
    done = sweep(cwd, "metric=recorded,energy", "ensemble=none,mean_softmax", "hydra.sweep.dir=t")
    assert done.returncode == 1
    assert "1 of 4 jobs failed; the others are done or refused" in done.stderr
    # a sweep of which nothing can be done has failed
    done = sweep(cwd, "metric=energy,logits_margin", "ensemble=mean_softmax", "hydra.sweep.dir=u")
    assert done.returncode == 1 and "2 of 2 jobs failed" in done.stderr


def test_a_sweep_ends_with_a_table_of_its_jobs(cwd):
    done = sweep(cwd, "metric=max_softmax,entropy", "hydra.sweep.dir=s")
    lines = done.stderr.splitlines()
    heading = next(i for i, line in enumerate(lines) if "average" in line and "accuracy" in line)
    rows = [line.split() for line in lines[heading + 1 : heading + 3]]
    assert {row[0] for row in rows} == {"max_softmax", "entropy"}
    for row in summary(cwd / "s"):
        shown = next(cells for cells in rows if cells[0] == row["metric"])
        assert f"{float(row['report_average_improvement']):.2f}×" in shown
        assert f"{100 * float(row['report_score']):.1f}" in shown


def test_failed_jobs_are_listed_and_tried_again(cwd):
    grid = ("metric=max_softmax,nonsense,recorded", "hydra.sweep.dir=s")
    done = sweep(cwd, *grid)
    assert done.returncode == 1
    assert "2 of 3 jobs failed; the others are done" in done.stderr
    rows = summary(cwd / "s")
    assert [row["state"] for row in rows] == ["finished", "failed", "failed"]
    assert "no such option" in rows[1]["reason"] and "recorded" in rows[2]["reason"]
    page = (cwd / "s" / "report.html").read_text()
    assert all(row["reason"].split(";")[0] in page for row in rows[1:])
    (cwd / "rec" / "selection" / "c.npy").unlink()
    again = sweep(cwd, "metric=max_softmax", "hydra.sweep.dir=s")
    assert again.returncode == 1 and "c.npy: missing" in again.stderr
    assert (cwd / "s" / "0" / "results" / "summary.json").is_file()
