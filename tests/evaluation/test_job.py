"""Evaluations of small recordings: the contract's files, its numbers, and what is refused."""

import csv
import json

import numpy as np
import pytest
import scipy.special

from cascade_exp.errors import CascadeError
from tests.recordings.making import make_recordings
from tests.running import run

QUIET = ("logger=none", "analyses=false", "plots=false")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rec")
    costs = {"small": 1.0, "middle": 3.0, "large": 10.0}
    return folder, costs, make_recordings(folder, costs, size=400, classes=5)


def evaluate(recordings, tmp_path, *overrides):
    run("evaluate", tmp_path / "job", f"recordings={recordings[0]}", *QUIET, *overrides)
    results = tmp_path / "job" / "results"
    with (results / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    return json.loads((results / "summary.json").read_text()), rows


def literal(recordings, split, row):
    """Mean cost and accuracy of a row of frontier.csv, by the exit rule and SciPy's softmax."""
    folder, costs, logits = recordings
    labels = np.load(folder / split / "labels.npy")
    names = row["stages"].split(">")
    thresholds = [float(t) for t in row["thresholds"].split(";") if t] + [-np.inf]
    cost, right = 0.0, 0
    for i, label in enumerate(labels):
        for name, threshold in zip(names, thresholds, strict=True):
            z = logits[split][name][i].astype(np.float64)
            cost += costs[name]
            if scipy.special.softmax(z).max() >= threshold:
                right += int(z.argmax() == label)
                break
    return cost / len(labels), right / len(labels)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_every_row_of_the_front_holds_when_applied_literally(recordings, tmp_path, stages):
    summary, rows = evaluate(recordings, tmp_path, f"search.max_stages={stages}")
    assert summary["exact"] is True
    assert max(len(row["stages"].split(">")) for row in rows) <= stages
    for row in rows:
        for split, cost, score in (
            ("selection", "cost", "score"),
            ("report", "report_cost", "report_score"),
        ):
            expected = literal(recordings, split, row)
            assert float(row[cost]) == pytest.approx(expected[0], rel=1e-12)
            assert float(row[score]) == pytest.approx(expected[1], rel=1e-12)


def test_the_front_has_no_dominated_row_and_no_single_model_beats_it(recordings, tmp_path):
    summary, rows = evaluate(recordings, tmp_path)
    costs, scores = ([float(row[key]) for row in rows] for key in ("cost", "score"))
    assert costs == sorted(costs) and scores == sorted(scores)
    assert len(set(costs)) == len(costs) and len(set(scores)) == len(scores)
    for model in summary["single_models"]:
        at = model["selection"]
        assert any(
            c <= at["cost"] + 1e-9 and s >= at["score"] - 1e-12
            for c, s in zip(costs, scores, strict=True)
        )


def test_match_accuracy_keeps_the_best_score_at_the_least_cost(recordings, tmp_path):
    summary, rows = evaluate(recordings, tmp_path, "threshold.rules=match_accuracy")
    best = max(model["selection"]["score"] for model in summary["single_models"])
    enough = [float(row["cost"]) for row in rows if float(row["score"]) >= best - 1e-12]
    point = summary["operating_points"]["match_accuracy"]
    assert point["selection"]["cost"] == pytest.approx(min(enough))
    low, high = point["report"]["score_interval"]
    assert low <= point["report"]["score"] <= high


@pytest.mark.parametrize(("reference", "cost"), [("best", 10.0), ("middle", 3.0)])
def test_a_share_of_the_cost_of_the_reference_limits_the_mean_cost(
    recordings, tmp_path, reference, cost
):
    rule = ["threshold.rules=target_cost", f"threshold.reference={reference}", "plots=false"]
    share, _ = evaluate(recordings, tmp_path / "a", *rule, "threshold.target_cost_share=0.5")
    number, _ = evaluate(recordings, tmp_path / "b", *rule, f"threshold.target_cost={cost / 2}")
    points = [it["operating_points"]["target_cost"] for it in (share, number)]
    assert points[0] == points[1] and points[0]["selection"]["cost"] <= cost / 2


def test_the_only_cost_column_needs_no_name(tmp_path):
    make_recordings(tmp_path / "rec", {"small": 1.0, "large": 10.0})
    table = tmp_path / "rec" / "models.csv"
    table.write_text("name,euros\nsmall,1.0\nlarge,10.0\n")
    summary, _ = evaluate((tmp_path / "rec",), tmp_path, "plots=false")
    assert summary["cost"]["column"] == "euros"
    table.write_text("name,euros,joules\nsmall,1.0,2.0\nlarge,10.0,20.0\n")
    with pytest.raises(
        CascadeError, match=r"models\.csv: it has the cost columns euros, joules; say"
    ):
        evaluate((tmp_path / "rec",), tmp_path / "again", "plots=false")
    table.write_text("name,euros,macs\nsmall,1.0,2.0\nlarge,10.0,20.0\n")
    summary, _ = evaluate((tmp_path / "rec",), tmp_path / "both", "plots=false")
    assert summary["cost"]["column"] == "macs"


def test_a_rule_that_cannot_be_met_says_why(recordings, tmp_path):
    summary, _ = evaluate(
        recordings,
        tmp_path,
        "threshold.rules=[target_cost,max_improvement]",
        "threshold.target_cost=0.5",
    )
    point = summary["operating_points"]["target_cost"]
    assert point["feasible"] is False and "costs" in point["reason"]
    assert summary["chosen"] == "max_improvement"


def test_one_given_cascade_at_given_thresholds(recordings, tmp_path):
    summary, rows = evaluate(
        recordings,
        tmp_path,
        "cascade=stages",
        "cascade.stages=[small,large]",
        "threshold.rules=fixed",
        "threshold.fixed=[0.7]",
    )
    assert {row["stages"] for row in rows} == {"small>large"}
    point = summary["operating_points"]["fixed"]
    row = {"stages": "small>large", "thresholds": "0.7"}
    cost, score = literal(recordings, "report", row)
    assert point["report"]["cost"] == pytest.approx(cost)
    assert point["report"]["score"] == pytest.approx(score)


def test_the_worst_case_limit_holds_and_brings_back_what_was_dominated(recordings, tmp_path):
    summary, _ = evaluate(
        recordings,
        tmp_path,
        "threshold.rules=[match_accuracy,max_improvement]",
        "threshold.reference=middle",
        "threshold.worst_case_cost=4.5",
    )
    for point in summary["operating_points"].values():
        assert point["feasible"] and point["worst_case_cost"] <= 4.5


def test_guaranteed_says_when_the_split_is_too_small_for_the_promise(recordings, tmp_path):
    summary, _ = evaluate(
        recordings, tmp_path, "threshold.rules=guaranteed", "threshold.epsilon=0.001"
    )
    point = summary["operating_points"]["guaranteed"]
    assert point["feasible"] is False and point["reason"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["splits.report=selection"], "threshold.same_split=true"),
        (["splits.report=nowhere"], "no such split"),
        (["metric=recorded"], "holds logits"),
        (["metric=energy", "ensemble=mean_softmax"], "metric=energy with ensemble=mean_softmax"),
        (["cost=layers"], "no 'layers'"),
        (["cost.accounting=exit_tiers"], "did you mean 'exit_tier'"),
        (["baseline=hul"], "did you mean 'hull'"),
        (["threshold.compare=gte"], "threshold.compare=gte"),
        (["threshold.rules=[match_acuracy]"], "did you mean 'match_accuracy'"),
        (["threshold.rules=target_cost"], "threshold.target_cost is not set"),
        (["threshold.target_cost_share=0.5"], "give threshold.rules=[target_cost]"),
        (
            ["threshold.rules=target_cost", "threshold.target_cost_share=0"],
            "threshold.target_cost_share=0.0: expected a number above 0",
        ),
        (
            [
                "threshold.rules=target_cost",
                "threshold.target_cost_share=0.5",
                "threshold.target_cost=5",
            ],
            "expected one of the two",
        ),
        (["threshold.rules=fixed"], "cascade=stages"),
        (["threshold.reference=huge"], "expected best, ensemble or a model"),
        (["cascade=stages", "cascade.stages=[small,lrge]"], "did you mean 'large'"),
        (["search.max_stages=0"], "search.max_stages=0"),
        (["search.workers=0"], "search.workers=0"),
        (["search.backend=raye"], "did you mean 'ray'"),
        (["pool.include=tiny*"], "no recorded model matches"),
        (["run=here"], "give one of them"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(recordings, tmp_path, overrides, said):
    with pytest.raises(CascadeError) as refused:
        evaluate(recordings, tmp_path, *overrides)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "job" / "results").exists()


def test_the_same_split_is_allowed_when_asked_for_and_said(recordings, tmp_path):
    summary, _ = evaluate(
        recordings, tmp_path, "splits.report=selection", "threshold.same_split=true", "plots=true"
    )
    assert summary["splits"] == {"selection": "selection", "report": "selection"}
    page = (tmp_path / "job" / "results" / "report.html").read_text()
    assert "same" in page and "optimistic" in page


def test_nan_logits_name_the_file_and_the_row(tmp_path):
    logits = make_recordings(tmp_path / "rec", {"a": 1.0, "b": 2.0})
    spoiled = logits["report"]["b"]
    spoiled[7, 1] = np.nan
    np.save(tmp_path / "rec" / "report" / "b.npy", spoiled)
    with pytest.raises(CascadeError, match=r"report/b\.npy: row 7"):
        run("evaluate", tmp_path / "job", f"recordings={tmp_path / 'rec'}", *QUIET)


def test_no_run_and_an_unfinished_run_are_reported(tmp_path):
    with pytest.raises(CascadeError, match=r"uv run train\.py"):
        run("evaluate", tmp_path / "out" / "job", *QUIET)
    with pytest.raises(CascadeError, match="no complete recordings"):
        run("evaluate", tmp_path / "out" / "job", *QUIET, f"run={tmp_path}")


def test_an_evaluation_of_recordings_imports_no_training_library(tmp_path):
    import subprocess
    import sys

    from tests.running import ROOT

    make_recordings(tmp_path / "rec", {"a": 1.0, "b": 2.0}, size=50)
    heavy = ("torch", "pytorch_lightning", "torchmetrics", "transformers", "timm")
    program = (
        "import runpy, sys\n"
        "sys.argv = ['evaluate.py', 'recordings=rec', 'logger=none', 'hydra.run.dir=job']\n"
        f"runpy.run_path({str(ROOT / 'evaluate.py')!r}, run_name='__main__')\n"
        f"print('IMPORTED', [m for m in {heavy!r} if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "IMPORTED []", done.stderr


@pytest.mark.slow
def test_worker_processes_find_the_same_front(recordings, tmp_path):
    overrides = ("search.max_stages=3", "ensemble=mean_logits", "analyses=false")
    alone, _ = evaluate(recordings, tmp_path / "alone", *overrides)
    several, _ = evaluate(recordings, tmp_path / "several", *overrides, "search.workers=2")
    for name in ("frontier.csv", "operating_point.json"):
        files = [tmp_path / f / "job" / "results" / name for f in ("alone", "several")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert several["exact"] and alone["operating_points"] == several["operating_points"]
