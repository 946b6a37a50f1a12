"""Jobs whose files are damaged or edited by hand are listed with a reason; the others compared."""

import json
from pathlib import Path

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.comparisons.jobs import find_jobs
from cascade_exp.jobs.restart import kept_status
from cascade_exp.report.comparison.runs import read_run, write_csv
from cascade_exp.report.results.files import write_results
from cascade_exp.report.results.headline import reported_number
from cascade_exp.report.results.status import read_status
from tests.report.conftest import simulated_results


@pytest.fixture
def job(tmp_path) -> Path:
    folder = tmp_path / "jobs" / "0"
    with kept_status(folder, "evaluate", "k", ["metric=entropy"]):
        write_results(simulated_results(), folder / "results")
        (folder / "config.yaml").write_text("metric: {name: entropy}\noptimize: null\n")
    return folder


def without(key: str):
    def damage(text: str) -> str:
        return json.dumps({k: v for k, v in json.loads(text).items() if k != key})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        *(without(key) for key in ("objective", "cost", "splits", "top_score", "environment")),
        lambda _: "[]",
        lambda _: "null",
        lambda _: "",
        lambda _: "[" * 100_000,
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("{", "[", 1),
    ],
    ids=range(11),
)
def test_a_damaged_summary_is_a_reason(job, tmp_path, damage):
    file = job / "results" / "summary.json"
    file.write_text(damage(file.read_text()))
    run = read_run(job, "0")
    assert run.results is None and run.reason and "\n" not in run.reason
    write_csv([run], tmp_path / "comparison.csv")


@pytest.mark.parametrize("text", [": [", "\t- x", "- a\n- b", "{a: &x [*x]}", "\0", "metric: [[["])
def test_a_damaged_configuration_leaves_the_results(job, text):
    (job / "config.yaml").write_text(text)
    assert read_run(job, "0").results is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"seconds": []},
        {"seconds": True},
        {"overrides": "x"},
        {"overrides": [1]},
        {"attempts": "x"},
        {"state": None},
        {"reason": 5},
    ],
    ids=str,
)
def test_a_damaged_status_is_none_and_the_results_are_compared(job, fields):
    status = json.loads((job / "job.json").read_text())
    (job / "job.json").write_text(json.dumps({**status, **fields}))
    assert read_status(job) is None
    assert read_run(job, "0").results is not None


def test_a_folder_that_is_named_like_a_pattern_is_found(job):
    odd = job.parent / "runs [1] é=x"
    job.rename(odd)
    assert find_jobs(str(odd)) == [odd] == find_jobs(str(odd.parent / "*"))


@pytest.mark.parametrize("content", [b"\xb7Q;", b"[]", b"{", b'{"a": "x"}', b"\xff\xfe"])
def test_a_damaged_validation_file_gets_one_line(tmp_path, content):
    (tmp_path / "validation.json").write_bytes(content)
    with pytest.raises(CascadeError, match=r"validation\.json: ") as raised:
        reported_number(tmp_path, "a/val/accuracy.max")
    assert "\n" not in str(raised.value)
