"""``metric=learned`` through a job: searches, tiers, halves, beside the plain confidence."""

import csv
import json

import numpy as np
import pytest

from cascade_exp.cascade.pools.learned import LearnedPool
from cascade_exp.errors import CascadeError
from tests.evaluating import evaluated, write_answers
from tests.recordings.making import make_recordings
from tests.running import run

LEARNED = ("metric=learned", "metric.folds=3")


@pytest.fixture
def folder(tmp_path):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 9.0}, size=90)
    return tmp_path


def test_a_search_with_learned_confidences(folder):
    evaluation, analyses = evaluated(folder, *LEARNED)
    splits = evaluation.measuring.splits
    assert isinstance(splits.selection.pool, LearnedPool)
    assert (splits.report.pool.fold == -1).all() and (splits.selection.pool.fold >= 0).all()
    found = evaluation.results
    # answers are those of the models; only who is asked further changes
    for m, single in enumerate(found.single_models):
        right = splits.report.models.stage((m,)).prediction == splits.report.models.labels
        assert single.report.score == right.mean()
    learned = splits.report.pool.stage((0,)).confidence
    assert [row.auroc for row in found.reliability if (row.model, row.split) == ("a", "report")]
    swept = analyses.models[0].threshold.threshold
    assert set(swept[np.isfinite(swept)]) <= set(learned)


def test_tiers_learn_from_their_votes(folder):
    tiers = ("cascade=tiers", "cascade.tiers={edge:[a,b,c],cloud:d}", "metric.base=vote")
    evaluation, _ = evaluated(folder, *LEARNED, *tiers)
    assert {tuple(row.stages) for row in evaluation.results.frontier} == {("a+b+c", "d")}
    plain = evaluation.measuring.splits.selection.stages.stage((0,)).confidence
    assert set(np.unique(plain * 3).round(9)) <= {1.0, 2.0, 3.0}


def test_guaranteed_learns_from_the_first_half_alone(folder):
    evaluation, _ = evaluated(folder, *LEARNED, "threshold.rules=[guaranteed]")
    splits = evaluation.measuring.splits
    searched, tested = splits.halves
    assert (searched.pool.fold >= 0).all() and (tested.pool.fold == -1).all()
    assert (splits.selection.pool.fold == -1).sum() == tested.pool.size


def test_same_split_is_cross_fitted_too(folder):
    evaluation, _ = evaluated(
        folder, *LEARNED, "splits.report=selection", "threshold.same_split=true"
    )
    assert (evaluation.measuring.splits.report.pool.fold >= 0).all()


def test_black_boxes_compared_with_plain_confidence(tmp_path):
    rng = np.random.default_rng(0)
    costs = {"x": 1.0, "y": 5.0}
    for split in ("selection", "report"):
        labels = rng.integers(0, 3, 120)
        right = rng.random(120) < 0.7
        answers = {
            "x": (np.where(right, labels, 0), rng.random(120)),
            "y": (labels, np.ones(120)),
        }
        write_answers(tmp_path, costs, split, labels, answers)
    run(
        "evaluate",
        tmp_path / "job",
        f"recordings={tmp_path}",
        "experiment=learned_deferral",
        "threshold.rules=[target_cost]",
        "threshold.target_cost=4",
        "logger=none",
        "bootstrap.resamples=20",
        "analyses=false",
    )
    folder = tmp_path / "job" / "results"
    rows = list(csv.DictReader((folder / "methods.csv").open()))
    assert [row["method"] for row in rows] == ["recorded", "learned"]
    deployed = json.loads((folder / "operating_point.json").read_text())
    assert deployed["stages"] == ["x", "y"] and set(deployed["learned"]) == {"x", "y"}
    assert set(deployed["learned"]["x"]) == {
        "center",
        "scale",
        "slope",
        "offset",
        "classes",
        "offsets",
    }


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["metric=learned", "metric.base=learned"], "metric.base=learned"),
        (["metric=learned", "metric.folds=1"], "metric.folds=1: expected at least 2"),
        (["metric=learned", "metric.base=vote"], "metric=vote with cascade=search"),
        (
            ["metric=learned", "threshold.rules=[fixed]", "threshold.fixed=[1]"],
            "no threshold can be given for it",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(folder, overrides, said):
    with pytest.raises(CascadeError, match=said):
        evaluated(folder, *overrides)
