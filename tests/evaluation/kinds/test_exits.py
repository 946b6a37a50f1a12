"""Early-exit networks in jobs: evaluated over recordings, trained and recorded, refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.exits import ExitPool
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import build_model, load_model
from cascade_exp.models.meter import measure
from cascade_exp.recordings.folder import exits_of, open_recordings
from tests.evaluating import evaluated, write_answers
from tests.oracles import exit_networks
from tests.recordings.making import add_exits, make_recordings
from tests.running import run

NUMBERS = (1, 2, 3, 5, 8, 13)
COSTS = {e: {"macs": 10.0 * e + 0.25 * e * e, "layers": float(e)} for e in NUMBERS}
EXITS = ("cascade=exits", "cascade.network=net")
ALL = [f"net@{e}" for e in NUMBERS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    make_recordings(folder, {"small": 15.0, "large": 90.0}, size=60)
    add_exits(folder, "net", COSTS)
    return folder


def sure(metric, scores, run):
    """The confidence of one answer, by hand."""
    p = np.exp(scores.astype(np.float64) - scores.max())
    p /= p.sum()
    return {
        "patience": float(run),
        "max_softmax": p.max(),
        "entropy": float(np.sum(p * np.log(p))),
    }[metric]


def literal(folder, split, metric, row):
    """Mean cost and accuracy of a row of the front, one example and one exit after another."""
    logits = np.load(folder / split / "net.npy")
    labels = np.load(folder / split / "labels.npy")
    if len(row.stages) == 1:
        exit = ALL.index(row.stages[0])
        right = logits[:, exit].argmax(axis=1) == labels
        return COSTS[NUMBERS[exit]]["macs"], right.mean()
    assert row.stages == ALL
    cost, right = 0.0, 0
    for example, label in zip(logits, labels, strict=True):
        run, before = 0, None
        for number, scores, threshold in zip(
            NUMBERS, example, [*row.thresholds, -np.inf], strict=True
        ):
            answer = int(scores.argmax())
            run = run + 1 if answer == before else 1
            before = answer
            if sure(metric, scores, run) >= threshold - 1e-12:
                cost += COSTS[number]["macs"]
                right += answer == label
                break
    return cost / len(labels), right / len(labels)


@pytest.mark.parametrize("metric", ["max_softmax", "entropy", "patience"])
def test_every_row_of_the_front_holds_when_applied_literally(folder, metric):
    results = evaluated(folder, *EXITS, f"metric={metric}")[0].results
    assert any(len(row.stages) > 1 for row in results.frontier)
    for row in results.frontier:
        assert len(set(row.thresholds)) <= 1
        for split, found in (
            ("selection", (row.cost, row.score)),
            ("report", (row.report_cost, row.report_score)),
        ):
            assert found == pytest.approx(literal(folder, split, metric, row), rel=1e-9)
    assert results.settings["exact"] is True and results.settings["shared"] is True
    assert results.settings["cascade"] == {"name": "exits", "network": "net"}


def test_single_models_are_the_networks_that_end_at_an_exit(folder):
    results = evaluated(folder, *EXITS, "cost=layers")[0].results
    assert [(m.name, m.report.cost) for m in results.single_models] == [
        (f"net@{e}", float(e)) for e in NUMBERS
    ]
    assert {row.model for row in results.reliability} == set(ALL)
    point = next(p for p in results.operating_points.values() if len(p.stages) > 1)
    assert np.cumsum(point.stage_costs) == pytest.approx(NUMBERS)
    assert point.worst_case_cost == pytest.approx(13)


def test_thresholds_of_their_own_where_asked_for(folder):
    shared = evaluated(folder, *EXITS)[0].results
    free = evaluated(folder, *EXITS, "threshold.shared=false", "search.gap=0.1")[0].results
    assert free.settings["shared"] is False
    assert any(len(set(row.thresholds)) > 1 for row in free.frontier)
    assert shared.settings["shared"] is True


def test_a_fixed_threshold_is_for_all_exits(folder):
    fixed = ("threshold.rules=[fixed]", "threshold.fixed=2", "metric=patience")
    point = evaluated(folder, *EXITS, *fixed)[0].results.operating_points["fixed"]
    assert point.stages == ALL and point.thresholds == [2.0] * 5
    assert point.selection.exit_rates[0] == 0 < point.selection.exit_rates[1]


def test_a_mixed_pool_searches_its_complete_models(folder):
    results = evaluated(folder)[0].results
    assert [model.name for model in results.single_models] == ["small", "large"]
    assert results.settings["shared"] is False


def test_calibration_and_ensembles_are_per_exit(folder):
    results = evaluated(folder, *EXITS, "ensemble=mean_logits", "calibration=temperature")[
        0
    ].results
    assert list(results.temperatures) == ALL
    assert len(set(results.temperatures.values())) > 1


def test_a_job_leaves_everything(folder, tmp_path):
    job = tmp_path / "job"
    run("evaluate", job, f"recordings={folder}", *EXITS, "metric=patience", "logger=none")
    with (job / "results" / "frontier.csv").open() as file:
        stages = {row["stages"] for row in csv.DictReader(file)}
    assert ">".join(ALL) in stages
    point = json.loads((job / "results" / "operating_point.json").read_text())
    assert point["metric"] == "patience" and list(point["models"]) == ["net"]
    assert (job / "results" / "report.html").stat().st_size > 0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["metric=patience"], "metric=patience with cascade=search: .* expected cascade=exits"),
        (
            ["metric=patience", "cascade=stages", "cascade.stages=[small,large]"],
            "metric=patience with cascade=stages",
        ),
        (
            [*EXITS, "metric=patience", "ensemble=mean_logits"],
            "metric=patience with ensemble=mean_logits: .* expected ensemble=none",
        ),
        ([*EXITS, "cost.accounting=exit_tier"], "cost.accounting=exit_tier with cascade=exits"),
        (["cascade=exits", "cascade.network=small"], "cascade.network=small: a complete model"),
        (["cascade=exits", "cascade.network=nett"], "cascade.network=nett: not recorded.*'net'"),
        ([*EXITS, "metric=recorded"], "metric=recorded: .*net.npy, exit 1 holds logits"),
        ([*EXITS, "cost=dollars"], "cost=dollars with cascade=exits: .* expected a column of"),
        ([*EXITS, "cost=edge_cloud"], "cost=edge_cloud with cascade=exits"),
        ([*EXITS, "cost=seconds"], "exits.csv: exit 1 of net has no 'seconds'.*layers, macs"),
    ],
)
def test_refusals(folder, overrides, said):
    with pytest.raises(CascadeError, match=said) as raised:
        evaluated(folder, *overrides)
    assert "\n" not in str(raised.value)


KINDS = {
    "search": (),
    "stages": ("cascade=stages", "cascade.stages=[small,large]"),
    "tiers": ("cascade=tiers", "cascade.tiers={edge:[small,middle],cloud:[large]}", "metric=vote"),
    "exits": EXITS,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", ["selection", "report"])
def test_every_kind_checks_all_recordings(tmp_path, kind, split):
    make_recordings(tmp_path, {"small": 15.0, "middle": 30.0, "large": 90.0})
    add_exits(tmp_path, "net", COSTS)
    evaluated(tmp_path, *KINDS[kind])
    stray = tmp_path / split / "other.npy"
    np.save(stray, np.zeros((20, 3), np.float32))
    with pytest.raises(CascadeError, match=r"other\.npy: models.csv lists no model 'other'"):
        evaluated(tmp_path, *KINDS[kind])
    stray.unlink()
    for name, shape in (("net", (20, 6, 6)), ("large", (20, 6))):
        file = tmp_path / split / f"{name}.npy"
        logits = np.load(file)
        np.save(file, np.zeros(shape, np.float32))
        with pytest.raises(CascadeError, match=f"model {name} has 6 classes, small has 3"):
            evaluated(tmp_path, *KINDS[kind])
        file.unlink()
        with pytest.raises(CascadeError, match=f"{name}.npy: missing"):
            evaluated(tmp_path, *KINDS[kind])
        np.save(file, logits)


def test_both_splits_of_a_network_beside_black_boxes_have_the_same_classes(tmp_path):
    for split in ("selection", "report"):
        said = {"api": (np.arange(20) % 3, np.linspace(0, 1, 20))}
        write_answers(tmp_path, {"api": 1.0}, split, np.arange(20) % 3, said)
    add_exits(tmp_path, "net", COSTS)
    evaluated(tmp_path, "metric=recorded")
    np.save(tmp_path / "report" / "net.npy", np.zeros((20, 6, 4), np.float32))
    with pytest.raises(CascadeError, match=r"records 3 classes and .*report 4"):
        evaluated(tmp_path, "metric=recorded")


def test_a_pool_of_nothing_but_exits(folder, tmp_path):
    with pytest.raises(CascadeError, match="only networks with exits are left in the pool"):
        run("evaluate", tmp_path / "job", f"recordings={folder}", "pool.include=net", "logger=none")


def test_a_row_that_is_not_finite(tmp_path):
    make_recordings(tmp_path, {"small": 15.0})
    logits = add_exits(tmp_path, "net", COSTS)["report"]
    logits[7, 2, 1] = np.nan
    np.save(tmp_path / "report" / "net.npy", logits)
    with pytest.raises(CascadeError, match=r"report/net.npy, exit 3: row 7, class 1: logit nan"):
        evaluated(tmp_path, *EXITS)


SHAPE = {
    "model_type": "bert",
    "vocab_size": 40,
    "num_hidden_layers": 5,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.3,
}


def recorded(method, sequences):
    """A tiny random network, and its exits on padded ``sequences`` as stages."""
    torch.manual_seed(1)
    member = {"family": "exits", "method": method, "config": SHAPE, "max_length": 16}
    network = build_model("net", member, ("a", "b")).network.eval()
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(s) for s in sequences], batch_first=True)
    with torch.no_grad():
        logits = network({"input_ids": ids, "attention_mask": (ids != 0).long()}).numpy()
    models = LogitsPool.build(
        {f"net@{e + 1}": logits[:, e] for e in range(5)},
        {f"net@{e + 1}": e + 1.0 for e in range(5)},
        np.zeros(len(logits), np.int64),
        metric=make_metric("entropy"),
        objective=make_objective("accuracy"),
    )
    return network, models


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(0)
    return [rng.integers(1, 40, rng.integers(3, 13)).tolist() for _ in range(40)]


def test_deebert_leaves_where_the_running_network_leaves(sequences):
    network, models = recorded("deebert", sequences)
    table = table_of(ExitPool(models, patient=False), tuple(range(5)))
    entropies = np.sort(np.concatenate([-stage.confidence for stage in table.stages]))
    exits = set()
    for at in (2, 20, 60, 100, 150, 190):
        threshold = float(entropies[at : at + 2].mean())  # rounding differs by padding
        found = table.run([-threshold] * 4)
        with torch.no_grad():
            expected = [exit_networks.deebert(network, ids, threshold) for ids in sequences]
        assert list(zip(found.exit_stage + 1, found.prediction, strict=True)) == expected
        assert found.cost.tolist() == [exit for exit, _ in expected]
        exits |= {exit for exit, _ in expected}
    assert len(exits) >= 4


@pytest.mark.parametrize("patience", [0, 1, 2, 3, 4, 5])
def test_pabee_leaves_where_the_running_network_leaves(sequences, patience):
    network, models = recorded("pabee", sequences)
    table = table_of(ExitPool(models, patient=True), tuple(range(5)))
    found = table.run([patience + 1.0] * 4)
    with torch.no_grad():
        expected = [exit_networks.pabee(network, ids, patience) for ids in sequences]
    assert list(zip(found.exit_stage + 1, found.prediction, strict=True)) == expected
    if 0 < patience < 4:
        assert len(set(found.exit_stage.tolist())) > 1


def member(method):
    config = "{model_type: bert, num_hidden_layers: 3, hidden_size: 32, num_attention_heads: 2, "
    config += "intermediate_size: 64, max_position_embeddings: 64}"
    return (
        f"+models.members.{method}="
        f"{{family: exits, method: {method}, max_length: 64, config: {config}}}"
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "job"
    run(
        "train",
        folder,
        "data=synthetic_text",
        "models=bert_shaped",
        "~models.members.bert_2l",
        member("deebert"),
        member("pabee"),
        member("fastbert"),
        "+models.members.deebert.training={head_epochs: 2}",
        "data.train_size=200",
        "data.test_size=120",
        "trainer.max_epochs=1",
        "callbacks=[checkpoint]",
        "callbacks.checkpoint.keep=true",
        "logger=csv",
        "analyses=false",
    )
    return folder


def test_training_leaves_exits_beside_complete_models(job):
    recordings = open_recordings(job / "recordings")
    assert recordings.names == ("bert_1l", "deebert", "pabee", "fastbert")
    assert list(recordings.exits) == ["deebert", "pabee", "fastbert"]
    for name, rows in recordings.exits.items():
        assert [row.exit for row in rows] == [1, 2, 3]
        assert [row.costs["layers"] for row in rows] == [1, 2, 3]
        whole = next(row for row in recordings.models if row.name == name)
        assert rows[-1].costs["macs"] == whole.costs["macs"]
        model = load_model(job / "models" / name)
        assert measure(model).macs == whole.costs["macs"]
        assert recordings.split("report").outputs[name].shape == (60, 3, 2)
    with (job / "results" / "summary.json").open() as file:
        assert [m["name"] for m in json.load(file)["single_models"]] == ["bert_1l"]


def test_phases_have_checkpoints_and_curves_of_their_own(job):
    for name, phases in (("deebert", ["", "heads"]), ("pabee", [""]), ("fastbert", ["", "heads"])):
        for phase in phases:
            assert (job / "checkpoints" / name / phase / "last.ckpt").is_file()
            assert (job / "csv" / name / phase / "metrics.csv").is_file()
    assert not (job / "checkpoints" / "pabee" / "heads").exists()
    rows = (job / "csv" / "deebert" / "heads" / "metrics.csv").read_text().splitlines()
    assert {row.split(",")[0] for row in rows[1:]} == {"0", "1"}  # its heads have two epochs


def test_the_last_phase_with_a_checkpoint_goes_on(job, tmp_path, capsys):
    run(
        "train",
        tmp_path / "job",
        "data=synthetic_text",
        "models=bert_shaped",
        "~models.members.bert_1l",
        "~models.members.bert_2l",
        member("deebert"),
        "+models.members.deebert.training={head_epochs: 3}",
        "data.train_size=200",
        "data.test_size=120",
        "trainer.max_epochs=1",
        "callbacks=[checkpoint]",
        "logger=csv",
        "evaluate=false",
        f"ckpt_path={job}",
    )
    said = capsys.readouterr().out.replace("\n", "")
    assert f"resuming from {job}/checkpoints/deebert/heads/last.ckpt" in said
    assert said.count("resuming from") == 1
    assert not (tmp_path / "job" / "csv" / "deebert" / "metrics.csv").exists()
    rows = (tmp_path / "job" / "csv" / "deebert" / "heads" / "metrics.csv").read_text().splitlines()
    epochs = {row.split(",")[0] for row in rows[1:]}
    assert "2" in epochs and "0" not in epochs


def test_a_saved_network_says_what_was_recorded(job, tmp_path):
    run(
        "evaluate",
        tmp_path / "exits",
        f"run={job}",
        "cascade=exits",
        "cascade.network=deebert",
        "metric=entropy",
        "logger=none",
        "analyses=false",
    )
    point = json.loads((tmp_path / "exits" / "results" / "operating_point.json").read_text())
    model = load_model(point["models"]["deebert"]["weights"])
    assert model.description["method"] == "deebert" and model.layers == 3
    split = exits_of(open_recordings(job / "recordings").network("deebert"), "report")
    assert list(split.outputs) == ["deebert@1", "deebert@2", "deebert@3"]


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("pabee", "pabee.training.head_epochs: only networks with exits whose heads are trained"),
        ("bert_1l", "bert_1l.training.head_epochs: only networks with exits"),
    ],
)
def test_one_phase_has_no_epochs_of_its_heads(tmp_path, family, said):
    with pytest.raises(Exception, match=said):
        run(
            "train",
            tmp_path / "job",
            "data=synthetic_text",
            "models=bert_shaped",
            member("pabee"),
            f"+models.members.{family}.training={{head_epochs: 2}}",
            "logger=none",
        )


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((), "only networks with exits, which cascade=search leaves out; give cascade=exits"),
        (("cascade=exits", "cascade.network=pabe"), r"cascade.network=pabe: .*mean 'pabee'"),
    ],
)
def test_an_evaluation_without_cascades_is_refused_before_training(tmp_path, overrides, said):
    with pytest.raises(CascadeError, match=said):
        run(
            "train",
            tmp_path / "job",
            "data=synthetic_text",
            "models=bert_shaped",
            "~models.members.bert_1l",
            "~models.members.bert_2l",
            member("pabee"),
            "logger=none",
            *overrides,
        )
    assert not (tmp_path / "job" / "models").exists()
