"""Several methods in one job: what each gives alone, refused mistakes, and what is left on disk."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import pytest

from cascade_exp.cascade import calibration
from cascade_exp.cascade.ensembling import check_combination
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.comparisons.methods import evaluate_methods
from cascade_exp.evaluation.evaluation import evaluate_recordings
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.results.files import read_results
from tests.data.shared import shared
from tests.evaluating import settings_of, write_answers
from tests.recordings.making import make_recordings
from tests.running import run

EXPERIMENTS = ("lebovitz_methods", "lebovitz_mean_softmax_margin")
FOUR = (
    "+methods={sure:{metric:max_softmax},flat:{metric:entropy},"
    "compared:{metric:softmax_margin,ensemble:comparison,calibration:temperature},"
    "two:{metric:topk_sum,k:2,ensemble:mean_logits,calibration:temperature}}"
)
ALONE = {  # the same methods as the overrides of a job of their own
    "sure": ("metric=max_softmax",),
    "flat": ("metric=entropy",),
    "compared": ("metric=softmax_margin", "ensemble=comparison", "calibration=temperature"),
    "two": ("metric=topk_sum", "metric.k=2", "ensemble=mean_logits", "calibration=temperature"),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "rec"
    make_recordings(folder, {"small": 1.0, "middle": 3.0, "large": 10.0}, size=90, classes=4)
    return folder


def silent(_name):
    return lambda _done, _total: None


def evaluated(folder: Path, *overrides: str):
    """The job's own results, and those of its methods."""
    opened, settings = open_recordings(folder), settings_of(*overrides)
    own = evaluate_recordings(opened, settings, {}).results
    return own, dict(evaluate_methods(opened, settings, own, silent))


@pytest.mark.parametrize("own", ["metric=max_softmax", "calibration=temperature"])
def test_a_method_gives_what_a_job_of_its_own_gives(recordings, own):
    _, found = evaluated(recordings, FOUR, own)
    assert list(found) == list(ALONE)
    for name, overrides in ALONE.items():
        alone = evaluate_recordings(open_recordings(recordings), settings_of(*overrides), {})
        assert found[name] == alone.results, name


def test_temperatures_are_fitted_once_and_the_own_method_is_not_evaluated_again(
    recordings, monkeypatch
):
    fitted = []
    fit = calibration.fit_temperature

    def count(logits, labels, where):
        fitted.append(where)
        return fit(logits, labels, where)

    monkeypatch.setattr(calibration, "fit_temperature", count)
    own, found = evaluated(recordings, FOUR)
    assert len(fitted) == len(set(fitted)) == 3
    assert found["sure"] is own
    assert found["flat"].temperatures == {}
    assert found["two"].temperatures == found["compared"].temperatures != {}


def test_progress_names_the_method_that_runs(recordings):
    opened, settings = open_recordings(recordings), settings_of(FOUR)
    own = evaluate_recordings(opened, settings, {}).results
    reports = []

    def begin(name):
        reports.append((name, 0, 1))
        return lambda done, total: reports.append((name, done, total))

    list(evaluate_methods(opened, settings, own, begin))
    assert list(dict.fromkeys(name for name, _, _ in reports)) == list(ALONE)
    assert {name for name, done, total in reports if done == total} == set(ALONE) - {"sure"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{a:{metric:entrpy}}", r"methods\.a: metric=entrpy: .*\(did you mean 'entropy'\?\)"),
        ("{a:{metric:entropy,ensemble:comparision}}", r"methods\.a: .*'comparison'"),
        ("{a:{metric:entropy,calibration:temprature}}", r"methods\.a: .*'temperature'"),
        ("{a:{metric:entropy,ensembl:none}}", r"methods\.a\.ensembl: .*'ensemble'"),
        ("{a:{ensemble:none}}", r"methods\.a\.metric: a value is needed"),
        ("{a:entropy}", r"methods\.a=entropy: expected settings"),
        ("{a:null}", r"methods\.a=None: expected settings"),
        ("{a b:{metric:entropy}}", r"methods\.a b: 'a b' cannot name a method"),
        ("{.a:{metric:entropy}}", r"methods\.\.a: '\.a' cannot name a method"),
        ("{a:{metric:topk_sum}}", r"methods\.a\.k=None: .*whole number above 0"),
        ("{a:{metric:topk_sum,k:0}}", r"methods\.a\.k=0: .*whole number above 0"),
        ("{a:{metric:topk_sum,k:two}}", r"methods\.a\.k: Value 'two' .*Integer"),
        ("{a:{metric:entropy,k:2}}", r"methods\.a\.k=2: only metric=topk_sum takes k"),
        (
            "{b:{metric:entropy},a:{metric:logits_margin,ensemble:mean_softmax}}",
            r"methods\.a: metric=logits_margin with ensemble=mean_softmax",
        ),
        ("{a:{metric:recorded,ensemble:comparison}}", r"methods\.a: metric=recorded with ensemble"),
        (
            "{a:{metric:recorded,calibration:temperature}}",
            r"methods\.a\.metric=recorded with calibration=temperature",
        ),
    ],
)
def test_mistakes_are_refused_before_any_compute(tmp_path, recordings, given, said):
    job = tmp_path / "job"
    with pytest.raises(CascadeError, match=said):
        run("evaluate", job, f"recordings={recordings}", "logger=none", f"+methods={given}")
    assert not (job / "results").exists()


def test_methods_can_be_added_and_changed_one_by_one():
    added = settings_of("+methods.mine.metric=entropy", "+methods.other={metric:energy}")
    assert {n: m.metric for n, m in added.methods.items()} == {
        "mine": "entropy",
        "other": "energy",
    }
    changed = settings_of("experiment=lebovitz_methods", "methods.mean_logits.metric=energy")
    assert changed.methods["mean_logits"].metric == "energy"


def test_recordings_that_do_not_fit_a_method_name_it(tmp_path):
    for split in ("selection", "report"):
        answers = {"a": ([0, 1, 1], [0.2, 0.3, 0.4]), "b": ([0, 1, 0], [0.5, 0.6, 0.7])}
        write_answers(tmp_path, {"a": 1.0, "b": 2.0}, split, [0, 1, 0], answers)
    methods = "+methods={black:{metric:recorded},logits:{metric:entropy}}"
    with pytest.raises(CascadeError, match=r"methods\.logits: metric=entropy: .*a\.answers\.npz"):
        evaluated(tmp_path, "metric=recorded", methods)


def test_a_job_leaves_its_own_results_as_they_are_and_the_methods_beside_them(
    tmp_path, recordings, capsys
):
    common = (f"recordings={recordings}", "logger=none", "ensemble=comparison", "analyses=false")
    run("evaluate", tmp_path / "plain", *common)
    plain, job = tmp_path / "plain" / "results", tmp_path / "job" / "results"
    before = {p.relative_to(plain) for p in plain.rglob("*") if p.is_file()}
    said_before = capsys.readouterr().out
    run("evaluate", tmp_path / "job", *common, FOUR)
    said = capsys.readouterr().out.replace(str(job), str(plain))
    after = {p.relative_to(job) for p in job.rglob("*") if p.is_file()}
    beside = {
        Path("methods", name, file)
        for name in ALONE
        for file in ("summary.json", "frontier.csv", "reliability.csv")
    }
    assert after == before | beside | {Path("methods.csv"), Path("plots/methods.png")}
    same = read_results(plain)
    assert dataclasses.replace(read_results(job), environment=same.environment) == same
    for path in before - {Path("summary.json"), Path("report.html")}:
        assert (job / path).read_bytes() == (plain / path).read_bytes(), path
    said, said_before = (re.sub(r"\n{2,}", "\n\n", text) for text in (said, said_before))
    same_so_far = said_before[: said_before.rindex("3 pictures")]
    assert said.startswith(f"{same_so_far}4 pictures")
    assert "4 methods on report" in said[len(same_so_far) :]
    with (job / "methods.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == list(ALONE)
    for row in rows:
        summary = json.loads((job / "methods" / row["method"] / "summary.json").read_text())
        assert (
            float(row["report_average_improvement"])
            == (summary["average_improvement"]["report"]["factor"])
        )


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_compares_different_methods_that_go_together(experiment):
    methods = settings_of(f"experiment={experiment}").methods
    for method in methods.values():
        check_combination(method.metric, method.ensemble)
    made_of = {dataclasses.astuple(method) for method in methods.values()}
    assert len(made_of) == len(methods) == {"lebovitz_methods": 12}.get(experiment, 4)


def test_the_methods_of_the_papers_figure_3():
    metrics = ("max_softmax", "entropy", "softmax_margin", "logits_margin")
    expected = {(metric, "none", "none") for metric in metrics}
    expected |= {(metric, "comparison", "temperature") for metric in metrics}
    expected |= {
        ("max_softmax", ensemble, calibration)
        for ensemble in ("mean_logits", "mean_softmax")
        for calibration in ("none", "temperature")
    }
    methods = settings_of("experiment=lebovitz_methods").methods
    assert {(m.metric, m.ensemble, m.calibration) for m in methods.values()} == expected


@pytest.mark.real_data
def test_the_twelve_methods_on_recorded_resnets():
    folder = shared("data/recordings/cifar10_jpeg_resnets")
    own, found = evaluated(folder, "experiment=lebovitz_methods", "search.max_stages=2")
    assert len(found) == 12 and found["max_softmax"] is own
    for name, results in found.items():
        assert results.settings["exact"], name
        for split in ("selection", "report"):
            assert results.figures[split].average_improvement > 1, (name, split)
        # single models answer alike whatever is made of their outputs
        assert results.baseline == own.baseline
