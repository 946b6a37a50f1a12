"""Jobs compared: what is read, what distinguishes them, what is best per budget, and the page."""

import csv
import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cascade_exp.report.comparison.runs import (
    best_per_budget,
    by_improvement,
    cautions,
    comparable,
    label,
    read_run,
    refused_run,
    varied,
    write_csv,
)
from cascade_exp.report.figures.runs import reported_rows, write_runs_figure
from cascade_exp.report.pages import numbers, runs_page
from cascade_exp.report.results.files import write_results
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.status import JobStatus, write_status
from tests.report.chromium import opened

Make = Callable[..., Results]


def job(folder: Path, results: Results | None, config: str, state: str = "finished") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    status = JobStatus("k", "evaluate", state, "id", seconds=2.0)
    write_status(folder, status)
    if results is not None:
        write_results(results, folder / "results")
    return folder


@pytest.fixture
def folders(tmp_path, make_results: Make) -> list[Path]:
    """Three evaluations of two metrics and seeds, and one that was killed."""
    made = []
    for metric, seed in (("max_softmax", 0), ("entropy", 0), ("entropy", 1)):
        config = f"metric: {{name: {metric}}}\nseed: {seed}\nlogger: {{x: {metric}{seed}}}\n"
        results = make_results(metric=metric, size=200, seed=seed)
        made.append(job(tmp_path / f"{metric}-{seed}", results, config))
    config = "metric: {name: max_softmax}\nseed: 1\n"
    return [*made, job(tmp_path / "killed", None, config, "running")]


@pytest.fixture
def runs(folders):
    return [read_run(folder, folder.name) for folder in folders]


def test_what_is_read_of_a_job(runs):
    assert [run.reason for run in runs] == [None, None, None, "not finished"]
    assert [run.state for run in runs] == ["finished"] * 3 + ["running"]
    assert runs[0].choices == {"metric": "max_softmax", "seed": "0"}
    assert runs[0].results is not None and runs[0].seconds == 2.0


def test_a_folder_of_results_alone_is_a_job(tmp_path, results):
    write_results(results, tmp_path / "foreign" / "results")
    run = read_run(tmp_path / "foreign", "foreign")
    assert run.results is not None and run.state == "finished"
    assert run.choices["metric"] == "max_softmax"


def test_a_damaged_result_is_a_reason(folders):
    (folders[0] / "results" / "frontier.csv").write_text("stages\n")
    run = read_run(folders[0], "x")
    assert run.results is None and "frontier.csv" in str(run.reason)


def test_choices_that_distinguish_jobs(runs):
    assert varied(runs) == ["metric", "seed"]
    assert label(runs[2], varied(runs)) == "entropy, 1"
    assert varied(runs[:1]) == [] and label(runs[0], []) == "max_softmax-0"
    refused = refused_run(["metric=nonsense", "+seed=2"], "no such option")
    assert varied([*runs[:3], refused]) == ["metric", "seed"]
    assert varied([runs[0], refused]) == ["metric"]  # seed goes with it


def test_a_choice_that_always_goes_with_another_is_named_once(tmp_path, results):
    both = [
        job(tmp_path / k, results, f"metric: {{name: topk_sum{k}, k: {k}}}\n") for k in ("2", "3")
    ]
    assert varied([read_run(folder, folder.name) for folder in both]) == ["metric"]


def test_of_choices_that_go_together_the_highest_is_named(tmp_path, results):
    both = [
        job(tmp_path / k, results, f"cost: {{gpu: {{a: {k}}}}}\nmetric: {{name: {k}}}\n")
        for k in ("x", "y")
    ]
    assert varied([read_run(folder, folder.name) for folder in both]) == ["metric"]


def test_best_per_budget_is_the_literal_best(runs):
    found = best_per_budget(runs)
    every = [(run, row) for run in runs if run.results for row in run.results.frontier]
    assert len(found) > 1
    for budget in found:
        assert budget.row.cost <= budget.cost
        best = max(row.score for _, row in every if row.cost <= budget.cost)
        assert budget.row.score == best
    for before, after in itertools.pairwise(found):
        assert before.cost < after.cost and before.row.score < after.row.score


def test_jobs_are_ranked_by_the_selection_split(runs):
    """A job that is best on report alone, as the luckiest of many is, does not come first."""
    first = max(runs[:3], key=by_improvement)
    assert first.results is not None
    average = first.results.figures["selection"].average_improvement
    lucky = dataclasses.replace(
        first.results,
        figures={
            "selection": dataclasses.replace(
                first.results.figures["selection"], average_improvement=average / 2
            ),
            "report": dataclasses.replace(
                first.results.figures["report"], average_improvement=100.0
            ),
        },
    )
    both = [dataclasses.replace(first, results=lucky, name="lucky"), first]
    assert max(both, key=by_improvement) is first
    page = runs_page.page_text(both, title="t", command="c")
    factor = numbers.factor(first.results.figures["report"].average_improvement)
    assert f"which reaches {factor} on report" in page


def test_reported_rows_are_those_no_other_beats(runs):
    rows = reported_rows(runs[0].results)
    every = runs[0].results.frontier
    expected = {
        (r.report_cost, r.report_score)
        for r in every
        if not any(
            (o.report_cost <= r.report_cost and o.report_score > r.report_score)
            or (o.report_cost < r.report_cost and o.report_score >= r.report_score)
            for o in every
        )
    }
    assert {(r.report_cost, r.report_score) for r in rows} == expected


def test_units_are_kept_apart(runs, tmp_path, make_results):
    other = job(tmp_path / "layers", make_results(unit="layers"), "metric: {name: x}\n")
    groups = comparable([*runs, read_run(other, "layers")])
    assert {unit: len(members) for (_, unit), members in groups.items()} == {"macs": 3, "layers": 1}
    assert any("apart" in words for words in cautions([*runs, read_run(other, "layers")]))
    assert any("sizes" in words for words in cautions([*runs, read_run(other, "layers")]))


def test_the_csv_has_a_row_per_job(runs, tmp_path):
    write_csv([*runs, refused_run(["metric=nonsense"], "no, such")], tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows] == [*(run.name for run in runs), "metric=nonsense"]
    assert rows[4]["reason"] == "no, such" and rows[4]["report_score"] == ""
    point = next(iter(runs[1].results.operating_points.values()))
    assert float(rows[1]["report_score"]) == point.report.score
    assert rows[1]["stages"] == ">".join(point.stages)


def test_the_picture(runs, tmp_path):
    assert write_runs_figure(runs[3:], tmp_path / "none.png") is None
    write_runs_figure(runs, tmp_path / "fronts.png")
    assert (tmp_path / "fronts.png").read_bytes()[:4] == b"\x89PNG"


def test_the_page_shows_all_and_asks_for_nothing(runs):
    text = runs_page.page_text(runs, title="</script>*", command="uv run evaluate.py compare='x'")
    assert "&lt;/script&gt;*" in text and "not finished" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert [len(group["runs"]) for group in data] == [3]
    assert data[0]["axes"] == ["metric", "seed", "average improvement", "accuracy", "cost"]


POINTED = """
const svg = document.querySelector('.fronts svg'), box = svg.getBoundingClientRect();
const seen = [];
for (let x = 60; x < box.width; x += 7) for (let y = 30; y < box.height; y += 7) {
  const at = { clientX: box.x + x, clientY: box.y + y };
  svg.dispatchEvent(new PointerEvent('pointermove', at));
  if (!tip.hidden) seen.push(tip.textContent);
}
const lit = document.querySelectorAll('.fronts .line.lit').length;
svg.dispatchEvent(new PointerEvent('pointerleave'));
const table = document.querySelector('.sortable'), heads = [...table.querySelectorAll('th')];
const column = heads.findIndex((head) => head.textContent === 'cost');
const values = () => [...table.tBodies[0].rows].map((row) => +row.cells[column].dataset.value);
heads[column].querySelector('button').click();
const down = values();
heads[column].querySelector('button').click();
return { seen: [...new Set(seen)], lit, hidden: tip.hidden, down, up: values(),
  lines: document.querySelectorAll('.parallel .line').length,
  wide: document.documentElement.scrollWidth <= innerWidth };
"""


@pytest.mark.parametrize("size", [(1100, 900), (500, 900)])
def test_the_page_in_a_browser(runs, tmp_path, size):
    runs_page.write_page(runs, tmp_path / "page.html", title="t", command="c")
    shown = opened(tmp_path / "page.html", POINTED, size)
    assert shown.console == []
    assert shown.found["hidden"] and shown.found["wide"] and shown.found["lines"] == 3
    assert shown.found["down"] == sorted(shown.found["down"], reverse=True)
    assert shown.found["up"] == sorted(shown.found["down"])
    seen = "\n".join(shown.found["seen"])
    assert all(label(run, ["metric", "seed"]) in seen for run in runs[:3])
    assert "resnet20>" in seen and "answers if" in seen and "selection: " in seen
