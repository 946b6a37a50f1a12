"""The headline figures of a front: chosen on the selection split, evaluated on the report split."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.frontier import Baseline
from cascade_exp.evaluation.evaluation import front_figures
from cascade_exp.report.results.schema import FrontRow, Setting
from tests.oracles.frontier import factor_at
from tests.running import run

RESNETS = Path(__file__).parents[2] / "examples" / "recordings" / "cifar10_resnets"

SCORE = st.integers(0, 20).map(lambda k: k / 20)
COST = st.integers(1, 30).map(float)
MODELS = st.lists(st.tuples(SCORE, COST), min_size=1, max_size=4)


@st.composite
def fronts(draw):
    """A front of the selection split, both growing, and anything at all on the report split."""
    size = draw(st.integers(1, 8))
    grid = st.lists(st.integers(1, 40), min_size=size, max_size=size, unique=True).map(sorted)
    scores, costs = draw(grid), draw(grid)
    return [
        FrontRow(
            stages=["a", f"b{i}"],
            thresholds=[i / 10],
            exit_rates=[0.5, 0.5],
            cost=float(cost),
            worst_case_cost=50.0,
            score=score / 40,
            improvement=None,
            report_cost=draw(COST),
            report_score=draw(SCORE),
        )
        for i, (score, cost) in enumerate(zip(scores, costs, strict=True))
    ]


@settings(max_examples=300, deadline=None)
@given(fronts(), MODELS, MODELS)
def test_settings_are_chosen_on_selection_and_evaluated_on_report(rows, selection, report):
    baselines = {
        role: Baseline.of(*zip(*models, strict=True))
        for role, models in (("selection", selection), ("report", report))
    }
    found = front_figures(rows, baselines)
    line, report_line = baselines["selection"].knots, baselines["report"].knots

    peak, largest = None, None
    for row in rows:
        factor = factor_at(line, row.score, row.cost)
        if factor is not None and (largest is None or factor >= largest):
            peak, largest = row, factor
    top = rows[0]
    for row in rows:
        if row.score > top.score:
            top = row

    for role, own_line in (("selection", line), ("report", report_line)):
        figures = found[role]
        score = "score" if role == "selection" else "report_score"
        cost = "cost" if role == "selection" else "report_cost"
        assert figures.top_setting == Setting(top.stages, top.thresholds)
        assert figures.top_score == getattr(top, score)
        assert figures.top_gain == getattr(top, score) - max(knot[0] for knot in own_line)
        if peak is None:
            assert figures.max_improvement is figures.max_improvement_score is None
            assert figures.max_improvement_setting is None
            continue
        assert figures.max_improvement_setting is not None
        chosen = next(r for r in rows if r.stages == figures.max_improvement_setting.stages)
        # of factors that differ in rounding alone either setting is the largest
        assert factor_at(line, chosen.score, chosen.cost) == pytest.approx(largest, rel=1e-12)
        assert figures.max_improvement_score == getattr(chosen, score)
        expected = factor_at(own_line, getattr(chosen, score), getattr(chosen, cost))
        assert figures.max_improvement == (
            None if expected is None else pytest.approx(expected, rel=1e-12)
        )


def test_the_example_recordings_report_what_selection_chose(tmp_path):
    run("evaluate", tmp_path / "job", f"recordings={RESNETS}", "logger=none", "plots=false")
    results = tmp_path / "job" / "results"
    summary = json.loads((results / "summary.json").read_text())
    with (results / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    line = [tuple(knot) for knot in summary["baseline_knots"]["report"]]
    factors = [
        factor_at(line, float(row["report_score"]), float(row["report_cost"])) for row in rows
    ]

    peak = max(range(len(rows)), key=lambda i: float(rows[i]["improvement"] or 0))
    found = summary["max_improvement"]["report"]
    assert ">".join(found["setting"]["stages"]) == rows[peak]["stages"]
    assert found["factor"] == pytest.approx(factors[peak])
    assert found["score"] == float(rows[peak]["report_score"])
    assert summary["max_improvement"]["selection"]["factor"] == float(rows[peak]["improvement"])
    # what would be picked on report itself reads better
    assert found["factor"] < max(factor for factor in factors if factor is not None)

    top = max(rows, key=lambda row: float(row["score"]))
    found = summary["top_score"]["report"]
    assert ">".join(found["setting"]["stages"]) == top["stages"]
    assert found["score"] == float(top["report_score"])
    assert found["gain"] == pytest.approx(found["score"] - max(score for score, _ in line))


@pytest.mark.parametrize("reference", ["best", "resnet20", "ensemble"])
def test_the_difference_from_the_reference_is_paired(tmp_path, reference):
    """Against a literal bootstrap of both on the same draws of the report split's examples."""
    quiet = ("logger=none", "plots=false", "analyses=false")
    overrides = (f"recordings={RESNETS}", f"threshold.reference={reference}", *quiet)
    run("evaluate", tmp_path / "job", *overrides)
    summary = json.loads((tmp_path / "job" / "results" / "summary.json").read_text())
    models = {model["name"]: model for model in summary["single_models"]}
    best = max(models.values(), key=lambda model: model["selection"]["score"])["name"]
    named = best if reference == "best" else reference
    split = RESNETS / "report"
    labels = np.load(split / "labels.npy")
    logits = {name: np.load(split / f"{name}.npy").astype(np.float64) for name in models}
    price = {name: model["report"]["cost"] for name, model in models.items()}
    other = sum(logits.values()) if named == "ensemble" else logits[named]
    other_right = (other.argmax(1) == labels).astype(float)
    other_cost = sum(price.values()) if named == "ensemble" else price[named]
    draws = np.random.default_rng(5).integers(0, len(labels), (2000, len(labels)))

    points = [point for point in summary["operating_points"].values() if point["feasible"]]
    assert points
    for point in points:
        right, cost = np.zeros(len(labels)), np.zeros(len(labels))
        here = np.full(len(labels), True)
        for name, threshold in zip(point["stages"], [*point["thresholds"], -np.inf], strict=True):
            leaves = here & (scipy.special.softmax(logits[name], 1).max(1) >= float(threshold))
            cost[here] += price[name]
            right[leaves] = logits[name].argmax(1)[leaves] == labels[leaves]
            here &= ~leaves
        found = point["difference"]
        assert found["reference"] == named
        assert found["score"] == pytest.approx(np.mean(right - other_right), abs=1e-12)
        assert found["cost"] == pytest.approx(np.mean(cost) - other_cost)
        for key, each in (("score", right - other_right), ("cost", cost - other_cost)):
            expected = np.quantile(each[draws].mean(1), [0.025, 0.975])
            spread = max(np.ptp(expected), 1e-9)
            assert found[f"{key}_interval"] == pytest.approx(expected, abs=0.1 * spread)
