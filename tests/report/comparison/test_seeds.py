"""Jobs that differ only in the seed: mean and spread, by hand, and where they are shown."""

import csv
import io
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from cascade_exp.errors import CascadeError
from cascade_exp.report.comparison.runs import read_run
from cascade_exp.report.comparison.seeds import (
    by_variant,
    deviation,
    mean,
    mean_and_spread,
    models_over_seeds,
    seed_tables,
    speed_ups_over_seeds,
    write_seed_tables,
)
from cascade_exp.report.pages.runs_page import page_text
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups_schema import SpeedUpRow
from cascade_exp.tables import write_dataclasses
from tests.report.comparison.test_runs import job

Make = Callable[..., Results]
SCORES = {("none", 1): 0.80, ("none", 2): 0.84, ("dar", 1): 0.82, ("dar", 2): 0.88, ("dar", 3): 0.9}


def speed_up_row(method: str, target: float, score: float, speed_up: float) -> SpeedUpRow:
    return SpeedUpRow(
        method=method,
        target=target,
        stages=["a", "b"],
        threshold=0.5,
        selection_speed_up=speed_up,
        selection_score=score,
        report_speed_up=speed_up,
        report_score=score,
        report_score_low=score - 0.01,
        report_score_high=score + 0.01,
    )


@pytest.fixture
def runs(tmp_path, make_results: Make):
    """Two seeds without and three with the regulariser, the latter out of a smaller pool."""
    made = []
    for (regularizer, seed), score in SCORES.items():
        results = make_results(size=100, seed=seed)
        pool = "{a: {layers: 1}, b: {layers: 2}}" if regularizer == "none" else "{a: {layers: 1}}"
        config = (
            f"models: {{name: pool, members: {pool}}}\n"
            f"regularizer: {{name: {regularizer}}}\nseed: {seed}\n"
        )
        folder = job(tmp_path / f"{regularizer}-{seed}", results, config)
        rows = [("full", 1.0, 0.9, 1.0), ("a>b", 2.0, score, 2 + seed / 10)]
        rows += [("cascade_1_2_6", float(at), score, float(at)) for at in (2, 3, 4)]
        rows += [("slow", 4.0, score, 3.0)]
        write_dataclasses(
            folder / "results" / "speed_ups.csv", SpeedUpRow, [speed_up_row(*row) for row in rows]
        )
        made.append(folder)
    made.append(job(tmp_path / "killed", None, "seed: 4\n", "running"))
    return [read_run(folder, folder.name) for folder in made]


def test_neither_seed_nor_pool_distinguishes_variants(runs):
    groups = by_variant(runs)
    assert {variant: len(group) for variant, group in groups.items()} == {
        "regularizer=none": 2,
        "regularizer=dar": 3,
    }
    assert list(by_variant(runs[:2])) == ["all jobs"]


def test_mean_and_sample_deviation_by_hand(runs):
    rows = {(row.variant, row.key["method"]): row for row in speed_ups_over_seeds(runs)}
    cells = rows["regularizer=dar", "a>b"].cells()
    assert cells["jobs"] == 3
    assert cells["score_mean"] == pytest.approx((0.82 + 0.88 + 0.9) / 3)
    assert cells["score_std"] == pytest.approx(
        (((0.82 - 2.6 / 3) ** 2 + (0.88 - 2.6 / 3) ** 2 + (0.9 - 2.6 / 3) ** 2) / 2) ** 0.5
    )
    assert cells["speed_up_mean"] == pytest.approx(2.2)
    assert rows["regularizer=none", "full"].cells()["score_std"] == 0.0
    assert (mean([]), deviation([0.5])) == (None, None)
    assert [mean_and_spread(v) for v in ([], [0.5], [0.8, 0.84])] == ["–", "50.0 %", "82.0 ± 2.8 %"]


def test_models_are_described_by_their_reliability_on_report(runs):
    rows = models_over_seeds(runs)
    for row in rows:
        regularizer = row.variant.removeprefix("regularizer=")
        own = [
            entry
            for run in runs
            if run.results is not None and run.choices["regularizer"] == regularizer
            for entry in run.results.reliability
            if (entry.model, entry.split) == (row.key["model"], "report")
        ]
        assert row.values["score"] == [it.score for it in own]
        assert row.values["dis"] == [it.dis for it in own if it.dis is not None]
        assert row.cells()["ece_mean"] == pytest.approx(statistics.mean(it.ece for it in own))
    assert len(rows) == 2 * 3


def test_tables_are_written_printed_and_on_the_page(runs, tmp_path):
    out = io.StringIO()
    write_seed_tables(seed_tables(runs), tmp_path, Console(file=out, width=80))
    with (tmp_path / "speed_ups_over_seeds.csv").open(newline="") as file:
        records = list(csv.DictReader(file))
    cells = {(r["variant"], r["method"]): r for r in records}["regularizer=dar", "a>b"]
    assert cells["jobs"] == "3" and float(cells["score_mean"]) == pytest.approx(2.6 / 3)
    assert (tmp_path / "models_over_seeds.csv").is_file()
    printed = out.getvalue()
    assert "…" not in printed and max(map(len, printed.splitlines())) <= 80
    assert printed.count("\nregularizer=dar\n") == 2
    lines = [line.split() for line in printed.splitlines()]
    assert ["a>b", "3", "86.7", "±", "4.2", "%"] in lines and ["(2.20×)"] in lines
    assert ["cascade_1_2_6", "3", *["86.7", "±", "4.2", "%"] * 3] in lines
    assert ["slow", "3", "–"] in lines  # 3×, where 4× was wanted
    page = page_text(runs, title="x", command="y")
    assert "86.7 ± 4.2 %" in page and "speed_ups_over_seeds.csv" in page


def test_one_job_of_each_kind_has_no_spread_to_report(runs, tmp_path):
    assert seed_tables([runs[0], runs[2]]) == []
    write_seed_tables([], tmp_path, Console(file=io.StringIO()))
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("report_score,", "score,", "no column 'report_score' in its first line"),
        ("0.9,0.89,", "x,0.89,", r"line 2: report_score='x': .*valid number"),
        ("0.9,0.89,", ",0.89,", r"line 2: report_score='': .*valid number"),
        ("0.9,0.89,", "nan,0.89,", r"line 2: .*report_score=nan: expected a finite number"),
        ("full,1.0,", "full,", r"line 2 has 9 fields, expected 10"),
    ],
)
def test_a_broken_file_is_named(runs, old, new, said):
    path: Path = runs[0].folder / "results" / "speed_ups.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(CascadeError, match=said) as refused:
        speed_ups_over_seeds(runs)
    assert str(path) in str(refused.value)
