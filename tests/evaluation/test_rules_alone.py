"""A rule gives the same alone and beside others: adding ``guaranteed`` changes no other rule."""

from __future__ import annotations

import dataclasses

import pytest

from cascade_exp.evaluation.evaluation import evaluate_recordings
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.results.operating_point import deployment
from tests.evaluating import settings_of
from tests.recordings.making import make_recordings

COSTS = {"small": 1.0, "middle": 4.0, "large": 10.0}
RULES = ("match_accuracy", "max_improvement", "target_cost", "target_accuracy", "guaranteed")
GOALS = ("threshold.target_cost=5", "threshold.target_accuracy=0.8", "threshold.epsilon=0.1")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules") / "rec"
    make_recordings(folder, COSTS, size=400)
    return open_recordings(folder)


def evaluated(recordings, rules, *overrides):
    asked = settings_of(
        "cost.column=macs", f"threshold.rules=[{','.join(rules)}]", *GOALS, *overrides
    )
    return evaluate_recordings(recordings, asked, {}), asked


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("calibration=temperature",),
        ("calibration=temperature", "metric=learned"),
        ("metric=learned",),
    ],
)
def test_every_rule_gives_alone_what_it_gives_beside_the_others(recordings, overrides):
    together, _ = evaluated(recordings, RULES, *overrides)
    assert all(point.feasible for point in together.results.operating_points.values())
    for rule in RULES:
        alone, _ = evaluated(recordings, (rule,), *overrides)
        assert alone.results.operating_points[rule] == together.results.operating_points[rule]
    without, _ = evaluated(recordings, RULES[:-1], *overrides)
    assert without.results.temperatures == together.results.temperatures
    assert without.results.frontier == together.results.frontier
    assert without.results.figures == together.results.figures


@pytest.mark.parametrize("metric", ["max_softmax", "learned"])
def test_what_is_deployed_is_what_its_rule_was_fitted_with(recordings, tmp_path, metric):
    overrides = ("calibration=temperature", f"metric={metric}")
    for rules in (
        ("guaranteed",),
        ("guaranteed", "match_accuracy"),
        ("match_accuracy", "guaranteed"),
    ):
        found, asked = evaluated(recordings, rules, *overrides)
        deployed = deployment(found.results, recordings.path, asked, tmp_path)
        alone, asked = evaluated(recordings, rules[:1], *overrides)
        expected = deployment(alone.results, recordings.path, asked, tmp_path)
        assert deployed["rule"] == rules[0]
        assert deployed == expected
        regressions = deployed["stages"] if metric == "learned" else []
        assert list(deployed["learned"] or {}) == regressions
        curve = found.results.sweep_curve
        assert curve == alone.results.sweep_curve


def test_the_guarantee_is_fitted_on_half_of_selection(recordings):
    found, _ = evaluated(recordings, RULES, "calibration=temperature")
    points = found.results.operating_points
    assert points["guaranteed"].temperatures != points["match_accuracy"].temperatures
    assert points["match_accuracy"].temperatures == found.results.temperatures
    names = {field.name for field in dataclasses.fields(points["guaranteed"])}
    assert {"temperatures", "learned"} <= names
