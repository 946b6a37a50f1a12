"""Costs in dollars and at the edge, from recordings of black boxes to results on disk."""

import csv

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.report.results.files import read_results
from tests.evaluating import evaluated, write_answers
from tests.recordings.making import make_recordings
from tests.running import run

# CoE's CIFAR-10 row (Table 2): examples on which the two models of tiers 1, 2 and 3 agree.
AGREED = {"t1": 73, "t2": 82, "t3": 90}
GPUS = "cost.gpu={t1a:V100,t1*:V100,t2*:A6000,t3*:A100,t4:H100}"
TIERS = "cascade.tiers={one:[t1a,t1b],two:[t2a,t2b],three:[t3a,t3b],four:t4}"


@pytest.fixture
def cifar10_row(tmp_path):
    names = [*(f"{tier}{twin}" for tier in AGREED for twin in "ab"), "t4"]
    costs = dict(zip(names, (1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 8.0), strict=True))
    labels = np.arange(100) % 10
    answers = {"t4": (labels, np.ones(100))}
    for tier, agreed in AGREED.items():
        answers[f"{tier}a"] = (labels, np.full(100, 0.9))
        answers[f"{tier}b"] = (np.where(np.arange(100) < agreed, labels, 10), np.full(100, 0.5))
    for split in ("selection", "report"):
        write_answers(tmp_path, costs, split, labels, answers)
    return tmp_path


def fixed(folder, *overrides):
    evaluation, _ = evaluated(
        folder,
        "cascade=tiers",
        TIERS,
        "metric=vote",
        "cost.parallel=max",
        "threshold.rules=[fixed]",
        "threshold.fixed=[1,1,1]",
        *overrides,
    )
    return evaluation.results.operating_points["fixed"]


@pytest.mark.parametrize(
    ("accounting", "by_hand"),
    [
        ("exit_tier", 0.73 * 0.5 + 0.09 * 0.8 + 0.08 * 1.29 + 0.10 * 2.49),
        ("cumulative", 0.73 * 0.5 + 0.09 * 1.3 + 0.08 * 2.59 + 0.10 * 5.08),
    ],
)
def test_the_cifar10_row_of_table_2_end_to_end(cifar10_row, accounting, by_hand):
    point = fixed(
        cifar10_row, "cost=dollars", "cost.basis=rate", GPUS, f"cost.accounting={accounting}"
    )
    assert point.report.exit_rates == pytest.approx([0.73, 0.09, 0.08, 0.10])
    assert point.report.cost == pytest.approx(by_hand)
    if accounting == "exit_tier":
        assert round(point.report.cost, 2) == 0.79


def test_dollars_per_example_are_rate_times_seconds(cifar10_row):
    table = (cifar10_row / "models.csv").read_text().replace("macs", "seconds")
    (cifar10_row / "models.csv").write_text(table)
    point = fixed(cifar10_row, "cost=dollars", GPUS)
    assert point.stage_costs == pytest.approx(
        [0.5 / 3600, 0.8 * 2 / 3600, 1.29 * 4 / 3600, 2.49 * 8 / 3600]
    )


@pytest.mark.parametrize("accounting", ["cumulative", "exit_tier"])
@pytest.mark.parametrize("parallel", ["sum", "max"])
def test_at_the_edge_an_example_waits_for_its_models_and_one_link(
    cifar10_row, accounting, parallel
):
    point = fixed(
        cifar10_row,
        "cost=edge_cloud",
        "cost.column=macs",
        f"cost.accounting={accounting}",
        f"cost.parallel={parallel}",
    )
    n = 2.0 if parallel == "sum" else 1.0
    models = np.array([n, 2 * n, 4 * n, 8.0])
    if accounting == "cumulative":
        models = np.cumsum(models)
    waited = models + np.array([1e-6, 1e-2, 1e-1, 1.0])
    assert point.report.cost == pytest.approx(np.array([0.73, 0.09, 0.08, 0.10]) @ waited)


def test_stages_have_links_too_and_single_models_that_of_where_they_run(tmp_path):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0, "c": 4.0}, size=60)
    evaluation, _ = evaluated(
        tmp_path,
        "cascade=stages",
        "cascade.stages=[a,c]",
        "cost=edge_cloud",
        "cost.column=macs",
        "cost.delays=[0.5,3]",
        "cost.payload=10",
        "cost.bandwidth=[20,10]",
    )
    results = evaluation.results
    assert [model.report.cost for model in results.single_models] == [2.0, 6.0, 8.0]
    point = results.operating_points["match_accuracy"]
    rates = point.report.exit_rates
    assert point.report.cost == pytest.approx(rates[0] * 2.0 + rates[1] * (1.0 + 4.0 + 4.0))


def test_simulated_latencies_are_written(cifar10_row, tmp_path):
    run(
        "evaluate",
        tmp_path / "job",
        f"recordings={cifar10_row}",
        "cascade=tiers",
        TIERS,
        "metric=vote",
        "cost=edge_cloud",
        "cost.column=macs",
        "cost.distribution=lognormal",
        "threshold.rules=[fixed]",
        "threshold.fixed=[1,1,1]",
        "logger=none",
        "bootstrap.resamples=20",
        "analyses=false",
    )
    folder = tmp_path / "job" / "results"
    rows = {row["rule"]: row for row in csv.DictReader((folder / "latency.csv").open())}
    assert list(rows) == ["fixed", "all to the last"]
    cascade, cloud = (
        {k: float(v) for k, v in row.items() if k not in ("rule", "stages")}
        for row in rows.values()
    )
    assert cascade["p50"] <= cascade["p95"] <= cascade["p99"]
    assert cascade["communication_saved"] == pytest.approx(
        1 / (0.73 * 1e-6 + 0.09 * 1e-2 + 0.08 * 1e-1 + 0.1)
    )
    assert 8 < cloud["mean"] < 10 and cloud["p99"] > cloud["p50"]
    assert read_results(folder).settings["cost"]["unit"] == "macs"


def test_three_services_with_prices_from_answers_to_results(tmp_path):
    rng = np.random.default_rng(5)
    # dollars per call; the most expensive is not the best
    prices = {"lite": 0.001, "plus": 0.004, "max": 0.02}
    skill = {"lite": 0.7, "plus": 0.9, "max": 0.85}
    for split in ("selection", "report"):
        labels = rng.integers(0, 4, 400)
        answers = {}
        for name, share in skill.items():
            right = rng.random(400) < share
            sure = np.clip(rng.normal(np.where(right, 0.8, 0.5), 0.15), 0, 1)
            answers[name] = (np.where(right, labels, (labels + 1) % 4), sure)
        write_answers(tmp_path, prices, split, labels, answers)
    table = (tmp_path / "models.csv").read_text().replace("macs", "dollars")
    (tmp_path / "models.csv").write_text(table)
    found, _ = evaluated(tmp_path, "metric=recorded", "cost.column=dollars", "search.max_stages=3")
    front = found.results.frontier
    assert any(row.stages == ["lite", "plus"] for row in front)
    best = found.results.single_models[1]
    cheap = found.results.operating_points["match_accuracy"]
    assert best.name == "plus" and cheap.selection.score >= best.selection.score
    assert cheap.selection.cost <= best.selection.cost
    voted, _ = evaluated(
        tmp_path,
        "cascade=tiers",
        "cascade.tiers={two:[lite,plus],last:max}",
        "metric=vote",
        "cost.column=dollars",
        "threshold.rules=[fixed]",
        "threshold.fixed=[1]",
    )
    point = voted.results.operating_points["fixed"]
    assert point.stage_costs == [0.005, 0.02]
    assert point.report.cost == pytest.approx(0.005 + 0.02 * point.report.exit_rates[1])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["cost=dollars"], "cost.gpu: a value is needed"),
        (["cost=dollars", "cost.gpu=V100"], "cost.column=seconds"),
        (["cost=dollars", "cost.gpu=V100", "cost.basis=hour"], "cost.basis=hour"),
        (["cost=dollars", "cost.gpu=V10"], "did you mean 'V100'"),
        (["cost=edge_cloud", "cost.column=macs"], "cost=edge_cloud with cascade=search"),
        (["cost=edge_cloud", "cost.distribution=normal"], "cost.distribution=normal"),
    ],
)
def test_costs_that_are_unknown_are_refused(tmp_path, overrides, said):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0})
    with pytest.raises(CascadeError, match=said):
        evaluated(tmp_path, *overrides)
