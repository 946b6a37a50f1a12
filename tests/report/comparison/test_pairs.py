"""Two jobs on the same examples: their paired difference, and where there is none."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from cascade_exp.evaluation.evaluation import evaluate_recordings
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.comparison.pairs import pairs, same_examples
from cascade_exp.report.comparison.runs import read_run, write_csv
from cascade_exp.report.pages.runs_page import page_text
from cascade_exp.report.pages.runs_table import print_runs
from cascade_exp.report.results.files import write_results
from cascade_exp.report.results.per_example import (
    PER_EXAMPLE,
    PerExample,
    read_per_example,
    write_per_example,
)
from tests.evaluating import settings_of
from tests.recordings.making import make_recordings

COSTS = {"small": 1.0, "large": 10.0}


def job(folder: Path, recordings: Path, *overrides: str):
    """The finished evaluation of ``recordings`` in ``folder``; what it did to each example."""
    asked = settings_of("cost.column=macs", *overrides)
    found = evaluate_recordings(open_recordings(recordings), asked, {})
    write_results(found.results, folder / "results")
    each = found.measuring.per_example(found.results.operating_points)
    write_per_example(each, folder / "results")
    (folder / "config.yaml").write_text(f"overrides: '{' '.join(overrides)}'\n")
    return each


@pytest.fixture
def recordings(tmp_path) -> Path:
    make_recordings(tmp_path / "rec", COSTS, size=300)
    return tmp_path / "rec"


def compared(tmp_path):
    return [read_run(tmp_path / name, name) for name in ("a", "b")]


@pytest.mark.parametrize("objective", ["accuracy", "f1"])
def test_the_difference_is_that_of_the_two_jobs(tmp_path, recordings, objective):
    if objective == "f1":
        make_recordings(recordings, COSTS, size=300, classes=2)
    one = job(tmp_path / "a", recordings, f"objective={objective}")
    two = job(tmp_path / "b", recordings, f"objective={objective}", "threshold.tolerance=0.1")
    runs = compared(tmp_path)
    found = pairs(runs)
    assert found["a"].difference is None and found["a"].reference == found["b"].reference == "a"
    points = [next(iter(run.results.operating_points.values())).report for run in runs]
    difference = found["b"].difference
    assert difference.score == pytest.approx(points[1].score - points[0].score)
    assert difference.cost == pytest.approx(points[1].cost - points[0].cost) and difference.cost < 0
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, 300, 300) for _ in range(2000)]

    def cost(rows):
        return two.cost[rows].mean() - one.cost[rows].mean()

    low, high = np.quantile([cost(rows) for rows in drawn], [0.025, 0.975])
    width = high - low
    assert difference.cost_interval == pytest.approx((low, high), abs=0.15 * width)
    if objective == "accuracy":
        gains = [two.statistics[r].mean() - one.statistics[r].mean() for r in drawn]
        low, high = np.quantile(gains, [0.025, 0.975])
        assert difference.score_interval == pytest.approx((low, high), abs=0.15 * (high - low))


def test_csv_page_and_terminal_have_it(tmp_path, recordings):
    job(tmp_path / "a", recordings)
    job(tmp_path / "b", recordings, "threshold.tolerance=0.1")
    runs = compared(tmp_path)
    found = pairs(runs)
    write_csv(runs, tmp_path / "c.csv", found)
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    difference = found["b"].difference
    assert rows[0]["difference_from"] == rows[1]["difference_from"] == "a"
    assert rows[0]["score_difference"] == rows[0]["no_difference"] == ""
    assert float(rows[1]["score_difference"]) == difference.score
    assert float(rows[1]["cost_difference_high"]) == difference.cost_interval[1]
    shown = f"{100 * difference.score_interval[0]:+.1f}".replace("-", "−")
    page = page_text(runs, title="t", command="c", pairs=found)
    assert shown in page and "which selection ranks first" in page
    out = io.StringIO()
    print_runs(runs, found, Console(file=out, width=120))
    assert shown in out.getvalue() and "no paired difference" not in out.getvalue()


def test_other_examples_are_said_and_left_empty(tmp_path, recordings):
    job(tmp_path / "a", recordings)
    make_recordings(tmp_path / "other", COSTS, size=200)
    job(tmp_path / "b", tmp_path / "other")
    runs = compared(tmp_path)
    found = pairs(runs)
    (name,) = [name for name, pair in found.items() if pair.reason]
    assert found[name].difference is None and "other examples: " in found[name].reason
    write_csv(runs, tmp_path / "c.csv", found)
    row = next(r for r in csv.DictReader((tmp_path / "c.csv").open()) if r["job"] == name)
    assert row["score_difference"] == "" and "other examples: " in row["no_difference"]
    assert "other examples: " in page_text(runs, title="t", command="c", pairs=found)
    out = io.StringIO()
    print_runs(runs, found, Console(file=out, width=120))
    assert "no paired difference: other examples" in " ".join(out.getvalue().split())


def test_a_job_without_or_with_a_damaged_file_is_said(tmp_path, recordings):
    job(tmp_path / "a", recordings)
    job(tmp_path / "b", recordings, "threshold.tolerance=0.1")
    path = tmp_path / "b" / "results" / PER_EXAMPLE
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK\x03\x04"):
        path.write_bytes(content)
        assert str(path) in pairs(compared(tmp_path))["b"].reason
    path.unlink()
    assert "no per_example.npz" in pairs(compared(tmp_path))["b"].reason


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=8), st.data())
def test_examples_are_aligned_by_id(drawn, data):
    ids = np.array([f"e{number}" for number, _ in drawn])
    labels = np.array([label for _, label in drawn])
    order = np.array(data.draw(st.permutations(range(len(drawn)))))
    cost = np.arange(len(drawn), dtype=np.float64)
    base = PerExample(labels, ids, labels[:, None], cost)
    own = PerExample(labels[order], ids[order], labels[order][:, None], cost[order])
    rows = same_examples(own, base)
    if isinstance(rows, str):
        assert len(set(ids)) < len(ids)  # which of equal ids is which nobody can say
    else:
        assert (own.labels[rows] == labels).all() and (own.ids[rows] == ids).all()
        assert len(set(ids)) < len(ids) or (own.cost[rows] == cost).all()
    other = replace(own, ids=np.array([*own.ids[:-1], "other"]))
    assert "other examples" in str(same_examples(other, base))
    assert "labels differ" in str(same_examples(replace(base, labels=labels + 1), base))


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    for ids in (None, np.arange(7) * 3, np.array([f"né {i}" for i in range(7)])):
        given_one = PerExample(
            rng.integers(3, size=7), ids, rng.integers(9, size=(7, 12)), rng.random(7)
        )
        write_per_example(given_one, tmp_path)
        found = read_per_example(tmp_path, 7)
        assert (found.statistics == given_one.statistics).all()
        assert (found.cost == given_one.cost).all() and (found.labels == given_one.labels).all()
        assert found.ids is None if ids is None else (found.ids == ids).all()
    write_per_example(None, tmp_path)
    assert read_per_example(tmp_path, 7) is None
