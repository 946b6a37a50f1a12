"""Measured seconds as a cost: of exits and of complete models, from training to results."""

import csv
import json

import pytest

from cascade_exp.errors import CascadeError
from tests.evaluating import evaluated
from tests.running import run

SHAPE = (
    "{model_type: bert, num_hidden_layers: 3, hidden_size: 16, num_attention_heads: 2,"
    " intermediate_size: 32, max_position_embeddings: 32}"
)
NETWORK = f"{{family: exits, method: deebert, max_length: 16, config: {SHAPE}}}"
QUICK = (
    "logger=none",
    "callbacks=none",
    "analyses=false",
    "plots=false",
    "bootstrap.resamples=20",
    "trainer.max_epochs=1",
)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs") / "job"
    run(
        "train",
        folder,
        *QUICK,
        "data=synthetic_text",
        "data.train_size=60",
        "data.test_size=60",
        "models=bert_shaped",
        f"+models.members.deebert={NETWORK}",
        "cascade=exits",
        "cascade.network=deebert",
        "metric=entropy",
        "cost=seconds",
        "timing.repeats=3",
    )
    return folder


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_exits_and_models_are_timed_and_seconds_are_what_is_saved(job):
    exits = [float(row["seconds"]) for row in table(job / "recordings" / "exits.csv")]
    assert exits == sorted(set(exits)) and exits[0] > 0 and len(exits) == 3
    models = {row["name"]: float(row["seconds"]) for row in table(job / "recordings/models.csv")}
    assert all(seconds > 0 for seconds in models.values())
    assert models["deebert"] == exits[-1]
    summary = json.loads((job / "results" / "summary.json").read_text())
    assert summary["cost"]["unit"] == "seconds"
    assert [m["selection"]["cost"] for m in summary["single_models"]] == exits
    about = json.loads((job / "timing.json").read_text())
    assert about["repeats"] == 3 and about["batch_size"] == 1
    assert about["seconds"]["deebert"] == exits and about["device"]


def test_speed_ups_and_latencies_are_compared_in_measured_seconds(job):
    evaluation, _ = evaluated(
        job / "recordings",
        "cost=edge_cloud",
        "cost.places={edge:bert_1l,cloud:bert_2l}",
    )
    seconds = {row["name"]: float(row["seconds"]) for row in table(job / "recordings/models.csv")}
    singles = {m.name: m.report.cost for m in evaluation.results.single_models}
    assert singles == pytest.approx(
        {"bert_1l": seconds["bert_1l"] + 1e-6, "bert_2l": seconds["bert_2l"] + 1.0}
    )
    folder = job.parent / "speed_ups"
    run(
        "evaluate",
        folder,
        f"recordings={job / 'recordings'}",
        "cost=seconds",
        "logger=none",
        "bootstrap.resamples=20",
        "+speed_ups.members.deebert={network:deebert,metric:entropy}",
        "+speed_ups.members.bert_kl={models:[bert_1l,bert_2l]}",
        "speed_ups.at=[1.5]",
    )
    rows = table(folder / "results" / "speed_ups.csv")
    assert {row["method"] for row in rows} >= {"deebert", "bert_kl"}
    assert all(float(row["report_speed_up"]) > 0 for row in rows)


def test_nothing_is_timed_unless_asked(tmp_path):
    job = tmp_path / "outputs" / "job"
    run(
        "train",
        job,
        *QUICK,
        "data=digits",
        "data.limit_train=64",
        "~models.members.resnet_32px",
        "~models.members.resnet10t_32px",
        "evaluate=false",
    )
    assert not (job / "timing.json").exists()
    assert "seconds" not in (job / "recordings" / "models.csv").read_text()
    with pytest.raises(CascadeError, match=r"timing.batch_size=0"):
        run("train", tmp_path / "outputs" / "other", *QUICK, "timing.batch_size=0")
