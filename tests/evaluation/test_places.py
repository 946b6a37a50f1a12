"""``cost=edge_cloud`` with a search: who runs where is ``cost.places``."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from cascade_exp.cascade.confidence import Confidence
from cascade_exp.cascade.pools.base import WrappedPool
from cascade_exp.cascade.stages import Stage
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.kinds import registry
from cascade_exp.evaluation.kinds.registry import Kind
from cascade_exp.evaluation.kinds.search import Searched
from tests.evaluating import evaluated
from tests.oracles import placed as oracle
from tests.oracles.votes import plurality
from tests.recordings.making import make_recordings
from tests.running import run

COSTS = {"a": 1.0, "b": 2.0, "c": 2.0, "d": 0.5, "e": 8.0}
PLACE = {"a": 0, "b": 0, "c": 0, "d": 1, "e": 1}
EDGE = (
    "cost=edge_cloud",
    "cost.column=macs",
    "cost.places={edge:[a,b,c],cloud:'*'}",
    "cost.delays=[0.25,4]",
)
VOTES = ("cascade=tiers", "metric=vote", "cascade.sizes=[2,3]")


@pytest.fixture
def folder(tmp_path):
    make_recordings(tmp_path, COSTS, size=24)
    return tmp_path


def softmax(logits):
    values = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("accounting", ["cumulative", "exit_tier"])
@pytest.mark.parametrize("parallel", ["sum", "max"])
def test_the_search_over_tiers_is_that_over_every_set_and_threshold(folder, accounting, parallel):
    evaluation, _ = evaluated(
        folder, *VOTES, *EDGE, f"cost.accounting={accounting}", f"cost.parallel={parallel}"
    )
    names = list(COSTS)
    labels = np.load(folder / "selection" / "labels.npy")
    said = [softmax(np.load(folder / "selection" / f"{name}.npy")) for name in names]
    tiers = [{m} for m in range(5)] + [{0, 1}, {0, 2}, {1, 2}, {3, 4}, {0, 1, 2}]
    stages = []
    for tier in tiers:
        answers = [
            plurality(
                [int(said[m][x].argmax()) for m in sorted(tier)],
                [float(said[m][x].max()) for m in sorted(tier)],
            )
            for x in range(24)
        ]
        prediction = np.array([answer for answer, _ in answers])
        share = np.array([float(share) for _, share in answers])
        stages.append(Stage(share, prediction, oracle.right_of(prediction, labels)))
    total = sum if parallel == "sum" else max
    running = [float(total(COSTS[names[m]] for m in tier)) for tier in tiers]
    place = [PLACE[names[min(tier)]] for tier in tiers]
    runs = [
        run
        for run in oracle.cascades(place, running, tiers, 2)
        if all(len(tiers[tier]) > 1 for tier in run[:-1])
    ]
    expected = oracle.front(stages, runs, place, running, [0.25, 4.0], accounting)
    found = evaluation.results.frontier
    assert evaluation.results.settings["cascades"] == len(runs)
    assert [row.cost * 24 for row in found] == pytest.approx([cost for cost, _ in expected])
    assert [round(row.score * 24) for row in found] == [right for _, right in expected]
    assert any(len(row.stages) == 2 for row in found)


def every_order_and_threshold(evaluation, stages, accounting):
    """The front of the evaluation, once it is that of every order and threshold of ``stages``."""
    place, running = list(PLACE.values()), list(COSTS.values())
    runs = list(oracle.cascades(place, running, [{m} for m in range(5)], 3))
    assert evaluation.results.settings["cascades"] == len(runs)
    expected = oracle.front(stages, runs, place, running, [0.25, 4.0], accounting)
    found = evaluation.results.frontier
    assert [row.cost * 24 for row in found] == pytest.approx([cost for cost, _ in expected])
    assert [round(row.score * 24) for row in found] == [right for _, right in expected]
    return found


@pytest.mark.parametrize("accounting", ["cumulative", "exit_tier"])
def test_the_search_over_models_is_that_over_every_order_and_threshold(folder, accounting):
    evaluation, _ = evaluated(folder, *EDGE, "search.max_stages=3", f"cost.accounting={accounting}")
    labels = np.load(folder / "selection" / "labels.npy")
    stages = []
    for name in COSTS:
        said = softmax(np.load(folder / "selection" / f"{name}.npy"))
        prediction = said.argmax(axis=1)
        stages.append(Stage(said.max(axis=1), prediction, oracle.right_of(prediction, labels)))
    found = every_order_and_threshold(evaluation, stages, accounting)
    singles = {model.name: model.report.cost for model in evaluation.results.single_models}
    assert singles == pytest.approx({"a": 1.25, "b": 2.25, "c": 2.25, "d": 4.5, "e": 12.0})
    for row in found:
        table = evaluation.measuring.table(
            evaluation.measuring.splits.selection,
            evaluation.measuring.members(evaluation.measuring.splits.selection, row.stages),
        )
        assert table.run(row.thresholds).cost.mean() == pytest.approx(row.cost)


def draws_of(name, size):
    return np.random.default_rng(ord(name)).random(size)


class RandomPool(WrappedPool):
    """Confidences drawn at random, by model, so that the oracle knows them."""

    confidence = Confidence("random", "random number")

    def stage(self, members):
        draws = draws_of(self.names[members[-1]], self.size)
        return replace(self.base.stage(members), confidence=draws)


class RandomDeferral(Searched):
    def stages(self, models):
        return RandomPool(super().stages(models))


@pytest.mark.parametrize("accounting", ["cumulative", "exit_tier"])
def test_a_kind_that_wraps_the_stages_keeps_their_places(folder, accounting, monkeypatch):
    registry.kinds()
    monkeypatch.setitem(registry._KINDS, "search", Kind(RandomDeferral, {}))
    evaluation, _ = evaluated(folder, *EDGE, "search.max_stages=3", f"cost.accounting={accounting}")
    labels = np.load(folder / "selection" / "labels.npy")
    stages = []
    for name in COSTS:
        prediction = np.load(folder / "selection" / f"{name}.npy").argmax(axis=1)
        stages.append(Stage(draws_of(name, 24), prediction, oracle.right_of(prediction, labels)))
    found = every_order_and_threshold(evaluation, stages, accounting)
    assert any(len(row.stages) > 1 for row in found)
    words = [evaluation.results.conditions(row) for row in found]
    assert any("random number" in said[0] for said in words if said)


def test_a_searched_cascade_is_simulated_link_by_link(folder, tmp_path):
    run(
        "evaluate",
        tmp_path / "job",
        f"recordings={folder}",
        *VOTES,
        *EDGE,
        "cost.distribution=exponential",
        "threshold.rules=[target_accuracy]",
        "threshold.target_accuracy=0.9",
        "logger=none",
        "bootstrap.resamples=20",
    )
    folder = tmp_path / "job" / "results"
    chosen, cloud = csv.DictReader((folder / "latency.csv").open())
    tiers = list(csv.DictReader((folder / "tiers.csv").open()))
    assert chosen["stages"] == ">".join(row["stage"] for row in tiers)
    shares = [float(row["share"]) for row in tiers]
    delay = [0.25 if set(row["stage"]) <= set("abc+") else 4.0 for row in tiers]
    assert float(chosen["communication_saved"]) == pytest.approx(4.0 / np.dot(shares, delay))
    assert 0 < float(chosen["link"]) < float(chosen["mean"]) <= float(chosen["p99"])
    assert cloud["rule"] == "all to the last" and cloud["stages"] == "e"
    assert float(cloud["mean"]) - float(cloud["link"]) == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([*EDGE, "cost.places=null"], "expected 'cost.places={edge"),
        ([*EDGE, *VOTES, "cost.places=null"], "where each model runs"),
        ([*EDGE, "cost.places=edge"], "cost.places=edge: expected models by place"),
        ([*EDGE, "cost.places={edge:[]}"], "cost.places.edge"),
        ([*EDGE, "cost.places={edge:[a],cloud:[a,b]}"], "'a' is in place 'edge'"),
        ([*EDGE, "cost.places={edge:[a],cloud:[b,c,d]}"], "no place for model 'e'"),
        ([*EDGE, "cost.places={edge:[f],cloud:'*'}"], "no model of the pool runs"),
        ([*EDGE, "cost.delays=[1]"], "one for each of 2 tiers"),
        ([*EDGE, "cascade=stages", "cascade.stages=[a,e]"], "cost.places with cascade.stages"),
        ([*EDGE, *VOTES, "cascade.tiers={edge:[a,b],cloud:[e]}"], "cost.places with cascade.tiers"),
    ],
)
def test_places_that_cannot_be_are_refused(folder, overrides, said):
    with pytest.raises(CascadeError, match=said):
        evaluated(folder, *overrides)
