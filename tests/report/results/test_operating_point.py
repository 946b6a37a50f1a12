"""``operating_point.json`` of real evaluations: its figures and its paths."""

import json

import pytest

from cascade_exp.report.results.operating_point import read_operating_point
from tests.recordings.making import make_recordings
from tests.running import run

QUICK = ("logger=none", "analyses=false", "plots=false", "bootstrap.resamples=20")


def add_weights(recordings, name, weights):
    for split in ("selection", "report"):
        about = {"model": {"weights": str(weights), "classes": ["x", "y", "z"]}}
        (recordings / split / f"{name}.json").write_text(json.dumps(about))


def test_figures_of_both_splits_are_those_of_the_summary(tmp_path):
    make_recordings(tmp_path / "rec", {"a": 1.0, "b": 9.0}, size=60)
    (tmp_path / "rec" / "report").rename(tmp_path / "rec" / "test")
    given = (f"recordings={tmp_path / 'rec'}", "splits.report=test")
    run("evaluate", tmp_path / "job", *given, *QUICK)
    point = read_operating_point(tmp_path / "job" / "results")
    summary = json.loads((tmp_path / "job" / "results" / "summary.json").read_text())
    chosen = summary["operating_points"][point["rule"]]
    for role, split in (("selection", "selection"), ("report", "test")):
        expected = point["expected"][role]
        assert (expected["split"], expected["examples"]) == (split, 60)
        for key in ("cost", "score", "exit_rates"):
            assert expected[key] == chosen[role][key]
        for key in ("cost_interval", "score_interval"):
            found = expected[key] and list(expected[key])
            assert found == chosen[role][key]
    report = point["expected"]["report"]
    assert report["score_interval"][0] <= report["score"] <= report["score_interval"][1]
    assert report["cost_interval"][0] <= report["cost"] <= report["cost_interval"][1]


@pytest.mark.parametrize("inside", [True, False])
def test_paths_inside_of_the_job_are_relative_to_it(tmp_path, inside):
    job = tmp_path / "job"
    home = job if inside else tmp_path / "elsewhere"
    make_recordings(home / "recordings", {"a": 1.0, "b": 9.0}, size=60)
    for name in ("a", "b"):
        add_weights(home / "recordings", name, home / "models" / name)
    fixed = ("cascade=stages", "cascade.stages=[a,b]", "threshold.rules=[fixed]")
    given = (f"recordings={home / 'recordings'}", *fixed, "threshold.fixed=[0.7]")
    run("evaluate", job, *given, *QUICK)
    point = read_operating_point(job / "results")
    prefix = "" if inside else f"{home}/"
    assert point["chosen_on"] == {"split": "selection", "recordings": f"{prefix}recordings"}
    assert {name: model["weights"] for name, model in point["models"].items()} == {
        name: f"{prefix}models/{name}" for name in ("a", "b")
    }
    assert point["models"]["a"]["classes"] == ["x", "y", "z"]


def test_a_model_without_weights_is_null(tmp_path):
    make_recordings(tmp_path / "rec", {"a": 1.0, "b": 9.0}, size=60)
    (tmp_path / "rec" / "selection" / "a.json").write_text('{"model": {"weights": 3}}')
    run("evaluate", tmp_path / "job", f"recordings={tmp_path / 'rec'}", *QUICK)
    models = read_operating_point(tmp_path / "job" / "results")["models"]
    assert models and set(models.values()) == {None}
