"""The cascade that runs against the offline engine on the same inputs, over everything there is.

An example may differ only where its confidence lies within 1e-5 of a threshold, as the rounding of
a batch's floats depends on what else is in the batch; how many did is printed.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cascade_exp.cascade.calibration import CALIBRATORS
from cascade_exp.cascade.confidence import METRICS, make_metric
from cascade_exp.cascade.ensembling import ENSEMBLES, check_combination
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.exits import ExitPool
from cascade_exp.cascade.pools.learned import DeferralModel
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.pools.tiers import TierPool, check_tiers
from cascade_exp.errors import CascadeError
from cascade_exp.runtime.cascade import Cascade
from cascade_exp.runtime.chosen import ChosenCascade
from cascade_exp.runtime.execution import without_exits
from cascade_exp.runtime.loading import load_stages
from tests.runtime.making import (
    SIZES,
    exit_models,
    image_models,
    images,
    questions,
    text_models,
    texts,
    write_job,
)

pytestmark = pytest.mark.slow

NEAR = 1e-5
KINDS = ("images", "texts", "pairs", "questions")
SETTINGS = {"topk_sum": {"k": 2}}
METHODS = ("deebert", "pabee", "fastbert")


def examples_of(kind: str, size: int, seed: int):
    if kind == "images":
        return images(size, seed)
    if kind == "questions":
        return questions(size, seed)
    return texts(size, seed, pairs=kind == "pairs")


def models_of(kind: str, folder: Path):
    if kind == "images":
        return image_models()
    return text_models(folder, "multiple_choice" if kind == "questions" else "classification")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("jobs")
    for kind in (*KINDS, "exits"):
        models = exit_models(home) if kind == "exits" else models_of(kind, home)
        held = "texts" if kind == "exits" else kind
        splits = {name: examples_of(held, size, s) for s, (name, size) in enumerate(SIZES.items())}
        write_job(home / kind, models, splits)
    return {kind: home / kind for kind in (*KINDS, "exits")}


def inputs_of(kind: str) -> list[object]:
    inputs = list(examples_of(kind, SIZES["report"], 1).inputs)
    return [text for text, _ in inputs] if kind == "texts" else inputs


def outputs(job: Path, split: str, stages: list[str]) -> dict[str, np.ndarray]:
    found = {}
    for stage in stages:
        name, _, exit = stage.partition("@")
        logits = np.load(job / "recordings" / split / f"{name}.npy")
        found[stage] = logits[:, int(exit) - 1] if exit else logits
    return found


def chosen_of(job: Path, stages: list[str], metric: str, **changes) -> ChosenCascade:
    models = [name for stage in stages for name in stage.split("+")]
    names = dict.fromkeys(name.partition("@")[0] for name in models)
    settings = SETTINGS.get(metric, {})
    special = metric in ("patience", "vote")
    return ChosenCascade(
        place=job,
        stages=stages,
        thresholds=[0.0] * (len(stages) - 1),
        compare=changes.get("compare", "ge"),
        metric=make_metric(metric, **settings),
        base=make_metric("max_softmax") if special else make_metric(metric, **settings),
        ensemble=changes.get("ensemble", "none"),
        combine=changes.get("combine"),
        temperatures=changes.get("temperatures", {}),
        learned={},
        stage_costs=[float(2**i) for i in range(len(stages))],
        cost="layers",
        accounting=changes.get("accounting", "cumulative"),
        order=list(dict.fromkeys(models)),
        weights={name: job / "models" / name for name in names},
    )


def offline_stages(chosen: ChosenCascade, job: Path, split: str = "report"):
    """The stages on a whole split, by the pools that evaluations use."""
    labels = np.load(job / "recordings" / split / "labels.npy")
    models = LogitsPool.build(
        outputs(job, split, chosen.order),
        {name: float(i + 1) for i, name in enumerate(chosen.order)},
        labels,
        metric=chosen.base,
        objective=make_objective("accuracy"),
        ensemble="none" if chosen.combine else chosen.ensemble,
        temperatures=chosen.temperatures,
    )
    pool = models
    if chosen.combine:
        tiers = [[models.names.index(m) for m in stage.split("+")] for stage in chosen.stages]
        pool = TierPool.build(
            models, tiers, metric=chosen.metric, combine=chosen.combine, ensemble=chosen.ensemble
        )
        members = tuple(range(len(tiers)))
    else:
        members = tuple(models.names.index(stage) for stage in chosen.stages)
    if chosen.metric.name == "patience":
        pool = ExitPool(models, patient=True)
    table = table_of(pool, members, chosen.accounting)
    return replace(table, cost=np.array(chosen.stage_costs))


def with_thresholds(chosen: ChosenCascade, table) -> ChosenCascade:
    """Thresholds at confidences that occur, so that examples leave everywhere, some by a tie."""
    shares = np.linspace(0.35, 0.65, len(table.stages) - 1)
    levels = [
        float(np.sort(stage.confidence)[int(share * len(stage.confidence))])
        for stage, share in zip(table.stages, shares, strict=False)
    ]
    return replace(chosen, thresholds=levels)


COUNTED = {"examples": 0, "moved": 0, "cascades": 0}


def compare(cascade: Cascade, table, inputs: list[object], batch_size: int = 16) -> None:
    """Exits, answers, costs and confidences are the table's; what differs is on an edge."""
    chosen = cascade.chosen
    expected = table.run(chosen.thresholds, chosen.compare)
    found = cascade.predict(inputs, batch_size=batch_size, chunk_size=40)
    assert all(reason is None for reason in found.reason)
    near = np.zeros(len(inputs), dtype=bool)
    for stage, threshold in zip(table.stages, chosen.thresholds, strict=False):
        near |= np.abs(stage.confidence - threshold) <= NEAR
    differs = (found.exit != expected.exit_stage) | (found.answer != expected.prediction)
    assert not (differs & ~near).any(), np.flatnonzero(differs & ~near)
    same = ~differs
    assert np.array_equal(found.cost[same], expected.cost[same])
    if chosen.combine != "vote":  # a vote that was cut short gives the least that it can be
        confidence = np.stack([stage.confidence for stage in table.stages])
        own = confidence[expected.exit_stage, np.arange(len(inputs))]
        assert np.allclose(found.confidence[same], own[same], rtol=1e-4, atol=1e-5)
    COUNTED["examples"] += len(inputs)
    COUNTED["moved"] += int(differs.sum())
    COUNTED["cascades"] += 1


def ways(metrics):
    for metric, ensemble in product(metrics, ENSEMBLES):
        try:
            check_combination(metric, ensemble)
        except CascadeError:
            continue
        yield metric, ensemble


def temperatures_of(job: Path, stages: list[str]) -> dict[str, float]:
    labels = np.load(job / "recordings" / "selection" / "labels.npy")
    logits = outputs(job, "selection", stages)
    fitted = {s: CALIBRATORS["temperature"](logits[s], labels, s) for s in stages}
    return {s: 0.5 + min(t, 2.0) for s, t in fitted.items()}  # random models: at a bound


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_models(jobs, kind, calibrated, capsys):
    job = jobs[kind]
    stages = ["small", "middle", "large"] if kind == "images" else ["one", "two", "three"]
    temperatures = temperatures_of(job, stages) if calibrated else {}
    running, inputs = None, inputs_of(kind)
    for number, (metric, ensemble) in enumerate(ways(METRICS)):
        made = chosen_of(
            job,
            stages,
            metric,
            ensemble=ensemble,
            temperatures=temperatures,
            compare=("ge", "gt")[number % 2],
            accounting=("cumulative", "exit_tier")[number % 2],
        )
        table = offline_stages(made, job)
        chosen = with_thresholds(made, table)
        running = running or load_stages(chosen, None, {})
        compare(Cascade(chosen, running), table, inputs, batch_size=(16, 40)[number % 2])
    with capsys.disabled():
        print(f" {kind}: {COUNTED}", end=" ")


@pytest.mark.parametrize("kind", KINDS)
def test_learned_confidences(jobs, kind):
    job = jobs[kind]
    stages = ["small", "middle", "large"] if kind == "images" else ["one", "two", "three"]
    labels = np.load(job / "recordings" / "selection" / "labels.npy")
    for base, ensemble in ways(["max_softmax", "entropy", "softmax_margin"]):
        made = chosen_of(job, stages, base, ensemble=ensemble)
        fitted = {}
        for i, stage in enumerate(offline_stages(made, job, "selection").stages):
            right = (stage.prediction == labels).astype(np.int64)
            fitted[i] = DeferralModel.fit(stage.confidence, stage.prediction, right)
        table = offline_stages(made, job)
        scored = tuple(
            replace(s, confidence=fitted[i].score(s.confidence, s.prediction))
            for i, s in enumerate(table.stages)
        )
        table = replace(table, stages=scored)
        chosen = with_thresholds(replace(made, learned=fitted), table)
        compare(Cascade(chosen, load_stages(chosen, None, {})), table, inputs_of(kind))


@pytest.mark.parametrize("compare_by", ["ge", "gt"])
@pytest.mark.parametrize("kind", KINDS)
def test_tiers(jobs, kind, compare_by):
    job = jobs[kind]
    a, b, c = ("small", "middle", "large") if kind == "images" else ("one", "two", "three")
    for combine, ensemble in product(("vote", "mean_logits", "mean_softmax"), ENSEMBLES):
        for metric in ("vote", "max_softmax", "entropy"):
            try:
                check_tiers(metric, combine, ensemble)
            except CascadeError:
                continue
            made = chosen_of(
                job,
                [f"{a}+{b}", f"{b}+{c}+{a}"],
                metric,
                ensemble=ensemble,
                combine=combine,
                compare=compare_by,
            )
            table = offline_stages(made, job)
            if combine == "vote":
                chosen = replace(made, thresholds=[1.0 if compare_by == "ge" else 0.5])
            else:
                chosen = with_thresholds(made, table)
            compare(Cascade(chosen, load_stages(chosen, None, {})), table, inputs_of(kind))


@pytest.mark.parametrize("threshold", [1 / 3, 2 / 3, 1.0, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_a_vote_stops_when_nothing_can_change(jobs, kind, threshold):
    job = jobs[kind]
    a, b, c = ("small", "middle", "large") if kind == "images" else ("one", "two", "three")
    made = chosen_of(job, [f"{a}+{b}+{c}", c], "vote", combine="vote")
    table = offline_stages(made, job)
    chosen = replace(made, thresholds=[float(threshold)])
    cascade = Cascade(chosen, load_stages(chosen, None, {}))
    compare(cascade, table, inputs_of(kind))
    calls = cascade.predict(inputs_of(kind)).runs[0].calls
    answers = np.stack([outputs(job, "report", [m])[m].argmax(axis=1) for m in (a, b, c)])
    agree = answers[0] == answers[1]
    assert calls[a] == 90
    if threshold == np.inf:  # nobody leaves: no vote is needed to know it
        assert (calls[b], calls[c]) == (0, 0)
    elif threshold == 1.0:  # two that differ end it, two that agree need the third
        assert (calls[b], calls[c]) == (90, int(agree.sum()))
    elif threshold > 0.5:  # two that agree are enough
        assert (calls[b], calls[c]) == (90, int((~agree).sum()))
    else:  # all leave, with the answer of two that agree or of the strongest of three
        assert (calls[b], calls[c]) == (90, int((~agree).sum()))


def test_a_vote_that_does_not_stop_asks_every_model(jobs):
    job = jobs["texts"]
    made = chosen_of(job, ["one+two+three", "three"], "vote", combine="vote")
    chosen = replace(made, thresholds=[1.0])
    everything = without_exits(Cascade(chosen, load_stages(chosen, None, {})))
    found = everything.predict(inputs_of("texts"))
    assert found.runs[0].calls == {"one": 90, "two": 90, "three": 90}
    assert found.exit.tolist() == [1] * 90


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [4, 40])
def test_exits(jobs, method, batch_size):
    job = jobs["exits"]
    stages = [f"{method}@{exit}" for exit in (1, 2, 3, 4)]
    temperatures = temperatures_of(job, stages)
    ways_here = [*ways(METRICS), ("patience", "none")]
    running = None
    for metric, ensemble in ways_here:
        for calibrated in ({}, temperatures) if metric != "patience" else ({},):
            made = chosen_of(job, stages, metric, ensemble=ensemble, temperatures=calibrated)
            table = offline_stages(made, job)
            chosen = with_thresholds(made, table)
            if metric == "patience":
                chosen = replace(chosen, thresholds=[2.0] * 3)
            running = running or load_stages(chosen, None, {})
            compare(Cascade(chosen, running), table, inputs_of("texts"), batch_size)
