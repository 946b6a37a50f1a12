"""``cascade=tiers`` from a recordings folder to results on disk."""

import csv
import itertools
import json

import numpy as np
import pytest

from cascade_exp.cascade.pools.tiers import TierPool
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.comparisons.tier_baselines import tier_baselines
from cascade_exp.evaluation.evaluation import check_settings
from cascade_exp.evaluation.tier_analyses import tier_analyses
from cascade_exp.report.results.files import read_results
from tests.evaluating import evaluated, settings_of, write_answers
from tests.oracles.votes import plurality
from tests.recordings.making import make_recordings
from tests.running import run

TIERS = ("cascade=tiers", "cascade.tiers={edge:[a,b,c],cloud:[d]}", "metric=vote")


@pytest.fixture
def folder(tmp_path):
    make_recordings(tmp_path, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 9.0}, size=80)
    return tmp_path


def test_results_distinguish_tiers_and_single_models(folder, tmp_path):
    run(
        "evaluate",
        tmp_path / "job",
        f"recordings={folder}",
        *TIERS,
        "cost.parallel=max",
        "threshold.rules=[fixed]",
        "threshold.fixed=[0.67]",
        "logger=none",
        "bootstrap.resamples=20",
    )
    results_folder = tmp_path / "job" / "results"
    results = read_results(results_folder)
    assert [model.name for model in results.single_models] == ["a", "b", "c", "d"]
    point = results.operating_points["fixed"]
    assert point.stages == ["a+b+c", "d"] and point.thresholds == [2 / 3]
    assert point.stage_costs == [3.0, 9.0] and point.worst_case_cost == 12.0
    assert {tuple(row.stages) for row in results.frontier} == {("a+b+c", "d")}
    assert results.settings["confidence"]["name"] == "vote"
    assert results.settings["model_confidence"]["name"] == "max_softmax"
    assert results.settings["cascade"] == {
        "name": "tiers",
        "combine": "vote",
        "parallel": "max",
        "tiers": {"edge": ["a", "b", "c"], "cloud": ["d"]},
    }
    rows = list(csv.DictReader((results_folder / "tiers.csv").open()))
    assert [row["tier"] for row in rows] == ["edge", "cloud"]
    assert sum(float(row["cumulative_cost"]) for row in rows) == pytest.approx(point.report.cost)
    compared = list(csv.DictReader((results_folder / "tier_comparison.csv").open()))
    assert {row["method"] for row in compared} == {"tiers", "confidence", "single"}
    assert (results_folder / "tier_costs.csv").is_file()
    assert {p.name for p in (results_folder / "plots").iterdir()} >= {
        "exits_by_threshold.png",
        "parallel.png",
        "tier_comparison.png",
    }
    deployed = json.loads((results_folder / "operating_point.json").read_text())
    assert deployed["combine"] == "vote" and list(deployed["models"]) == ["a", "b", "c", "d"]


def test_a_fixed_vote_is_what_counting_by_hand_gives(folder):
    made = make_recordings(folder, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 9.0}, size=80)
    evaluation, _ = evaluated(folder, *TIERS, "threshold.rules=[fixed]", "threshold.fixed=[1]")
    labels = np.load(folder / "report" / "labels.npy")
    right, paid = 0, 0.0
    for x, label in enumerate(labels):
        rows = [made["report"][name][x].astype(float) for name in "abc"]
        tops = [float(np.exp(r - r.max()).max() / np.exp(r - r.max()).sum()) for r in rows]
        answer, share = plurality([int(r.argmax()) for r in rows], tops)
        paid += 6.0
        if share < 1:
            answer, paid = int(made["report"]["d"][x].argmax()), paid + 9.0
        right += int(answer == label)
    point = evaluation.results.operating_points["fixed"].report
    assert point.score == right / 80 and point.cost == pytest.approx(paid / 80)


def test_tier_analyses_are_what_counting_by_hand_gives(folder):
    evaluation, _ = evaluated(folder, *TIERS, "threshold.rules=[fixed]", "threshold.fixed=[1]")
    point = evaluation.results.operating_points["fixed"]
    analyses = tier_analyses(evaluation.measuring, point)
    models = evaluation.measuring.splits.report.models
    answers = [models.stage((m,)).prediction for m in range(4)]
    labels = models.labels
    agree = (answers[0] == answers[1]) & (answers[1] == answers[2])
    wrong = agree & (answers[0] != labels)
    edge, cloud = analyses.rows
    assert edge.examples == agree.sum() and cloud.examples == (~agree).sum()
    assert edge.wrong_agreements == wrong.sum()
    assert edge.wrong_at_last_too == (wrong & (answers[3] != labels)).sum()
    assert cloud.exit_tier_cost == pytest.approx(cloud.share * 9.0)
    assert cloud.cumulative_cost == pytest.approx(cloud.share * 15.0)
    pair, _, three = analyses.agreements
    both = answers[0] == answers[1]
    assert (pair.models, pair.votes, pair.agreed) == (2, 2, both.sum())
    assert pair.wrong == (both & (answers[0] != labels)).sum()
    assert (three.models, three.votes, three.wrong) == (3, 3, wrong.sum())
    never, always = analyses.thresholds[-1], analyses.thresholds[0]
    assert never.examples == [0, 80] and never.sequential_cost == 15.0
    assert never.parallel_cost == 12.0
    assert always.sequential_cost <= 15.0 and sum(always.examples) == 80
    assert tier_analyses(evaluation.measuring, None) is None


def test_speed_ups_are_chosen_on_selection_and_cost_what_their_stages_do(folder):
    evaluation, _ = evaluated(
        folder, *TIERS, "threshold.rules=[fixed]", "threshold.fixed=[1]", "cost.parallel=max"
    )
    point = evaluation.results.operating_points["fixed"]
    baselines = tier_baselines(evaluation.measuring, evaluation.results, point)
    compared = {p.method: p for p in baselines.points if p.compared}
    assert list(compared) == ["tiers", "confidence", "single"]
    assert compared["tiers"].score == point.report.score
    best = max(evaluation.results.single_models, key=lambda m: m.selection.score)
    assert compared["single"].stages == [best.name]
    confidence = [p for p in baselines.points if p.method == "confidence"]
    assert {p.stages[-1] for p in confidence} <= {"a", "b", "c", "d"}
    edge = {stage for p in confidence for stage in p.stages} - {"d"}
    by_name = {m.name: m for m in evaluation.results.single_models}
    top = max("abc", key=lambda n: (by_name[n].selection.score, -by_name[n].selection.cost))
    assert edge <= {top}
    enough = [p for p in confidence if p.selection_score >= point.selection.score]
    assert compared["confidence"] in (enough[:1] or confidence[-1:])
    for method, entry in compared.items():
        costs = [c for c in baselines.costs if c.method == method and c.unit == "macs"]
        assert sum(c.share for c in costs) == pytest.approx(1)
        assert sum(c.cumulative for c in costs) == pytest.approx(entry.cost)
        assert sum(c.exit_tier for c in costs) <= entry.cost + 1e-9
    assert tier_baselines(evaluation.measuring, evaluation.results, None) is None


@pytest.mark.parametrize("combine", ["mean_logits", "mean_softmax"])
@pytest.mark.parametrize("ensemble", ["none", "comparison", "same"])
def test_means_of_tiers_take_any_metric(folder, combine, ensemble):
    evaluation, analyses = evaluated(
        folder,
        *TIERS[:2],
        "metric=softmax_margin",
        f"cascade.combine={combine}",
        f"ensemble={combine if ensemble == 'same' else ensemble}",
    )
    assert isinstance(evaluation.measuring.splits.selection.pool, TierPool)
    assert analyses.cascade is None or analyses.cascade.stages == ["a+b+c", "d"]


def test_black_boxes_vote(tmp_path):
    rng = np.random.default_rng(0)
    costs = {"x": 1.0, "y": 2.0, "z": 4.0}
    for split in ("selection", "report"):
        labels = rng.integers(0, 3, 50)
        answers = {
            name: (np.where(rng.random(50) < 0.7, labels, 5), rng.normal(0, 9, 50))
            for name in costs
        }
        write_answers(tmp_path, costs, split, labels, answers)
    evaluation, _ = evaluated(
        tmp_path, "cascade=tiers", "cascade.tiers={small:[x,y],last:z}", "metric=vote"
    )
    results = evaluation.results
    assert {tuple(row.stages) for row in results.frontier} == {("x+y", "z")}
    with pytest.raises(CascadeError, match="metric=recorded with cascade"):
        evaluated(
            tmp_path,
            "cascade=tiers",
            "cascade.tiers={small:[x,y],last:z}",
            "metric=recorded",
            "cascade.combine=mean_logits",
        )


SEARCH = ("cascade=tiers", "metric=vote", "cascade.sizes=[2,3]", "search.max_stages=2")


def test_a_search_finds_what_every_given_cascade_together_finds(folder):
    found, _ = evaluated(folder, *SEARCH, "pool.exclude=b")
    assert found.results.settings["exact"] is True
    best = []
    cost = {"a": 1.0, "c": 3.0, "d": 9.0}
    tiers = [t for size in (1, 2, 3) for t in itertools.combinations(cost, size)]
    for first, last in itertools.product([None, *tiers[3:]], tiers):
        given_tiers = [last] if first is None else [first, last]
        costs = [sum(cost[n] for n in tier) for tier in given_tiers]
        if costs != sorted(costs) or (first and set(first) & set(last)):
            continue
        text = ">".join("+".join(tier) for tier in given_tiers)
        one, _ = evaluated(folder, "cascade=tiers", "metric=vote", f"cascade.tiers='{text}'")
        best += [(row.cost, row.score) for row in one.results.frontier]
    front = [
        (c, s) for c, s in best if not any(d <= c and t >= s and (d, t) != (c, s) for d, t in best)
    ]
    mine = {(round(row.cost, 9), row.score) for row in found.results.frontier}
    assert mine == {(round(c, 9), s) for c, s in front}


def test_a_search_over_its_budget_says_so(folder):
    found, _ = evaluated(folder, *SEARCH, "cascade.budget=8")
    settings = found.results.settings
    assert settings["exact"] is False and settings["cascades"] <= 8
    assert "cascade.budget=8" in settings["search_note"]
    assert {"a", "d"} & {row.stages[0] for row in found.results.frontier}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["metric=vote"], "metric=vote with cascade=search.*expected cascade=tiers"),
        (["cascade=tiers", "metric=vote", "cascade.sizes=[0]"], r"cascade.sizes=\[0\]: expected"),
        (["cascade=tiers", "metric=vote", "cascade.budget=0"], "cascade.budget=0: expected"),
        (["cascade=tiers", "metric=vote", "cascade.tiers={}"], "expected models by tier"),
        (["cascade=tiers", "cascade.tiers=[a,b]", "metric=vote"], "expected models by tier"),
        ([*TIERS[::2], "cascade.tiers={e:[],c:d}"], r"cascade.tiers.e=\[\]: expected one or more"),
        ([*TIERS[::2], "cascade.tiers={e:[a,b],c:b}"], "model 'b' is in tier 'e' already"),
        ([*TIERS[::2], "cascade.tiers={e:[a],c:b}"], "only the last tier may be one model"),
        ([*TIERS[:2]], "metric=max_softmax with cascade.combine=vote"),
        ([*TIERS, "objective=topk_accuracy"], "objective=topk_accuracy with metric=vote"),
        ([*TIERS, "cost.parallel=mean"], "cost.parallel=mean"),
        ([*TIERS, "ensemble=mean_logits"], "metric=vote with ensemble=mean_logits"),
    ],
)
def test_what_cannot_go_together_is_refused_before_any_compute(overrides, said):
    with pytest.raises(CascadeError, match=said):
        check_settings(settings_of(*overrides))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["cascade.tiers='a+bb>d'"], "cascade.tiers.1: no recorded model 'bb'"),
        (["threshold.rules=fixed", "threshold.fixed=[2/3,1]"], "2 thresholds for 2 tiers"),
        (["threshold.rules=fixed", "threshold.fixed=[most]"], "expected a share of the votes"),
    ],
)
def test_mistakes_are_one_line(folder, overrides, said):
    with pytest.raises(CascadeError, match=said):
        evaluated(folder, *TIERS[::2], "cascade.tiers='a+b+c>d'", *overrides)
