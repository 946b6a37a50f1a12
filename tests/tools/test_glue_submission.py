"""GLUE submissions: the official files, by the cascade that a real small job has chosen."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel

from cascade_exp import Cascade
from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.errors import CascadeError
from cascade_exp.runtime.chosen import chosen_at_speed_up, chosen_by_rule
from cascade_exp.tools.glue_submission import Options, main, submit
from tests.running import run
from tests.small_jobs import BAD, GOOD, OTHER, sentences


def literal(job: Path, texts: list[str]) -> list[str]:
    """The cascade text by text with transformers alone."""
    point = json.loads((job / "results" / "operating_point.json").read_text())
    answers = []
    for text in texts:
        for stage, threshold in zip(point["stages"], [*point["thresholds"], -np.inf], strict=True):
            weights = job / point["models"][stage]["weights"]
            network = AutoModelForSequenceClassification.from_pretrained(weights).eval()
            tokenizer = build_tokenizer([*GOOD, *BAD, *OTHER], max_length=32)
            tokens = tokenizer(text, truncation=True, max_length=16, return_tensors="pt")
            with torch.no_grad():
                p = network(**tokens).logits.double().softmax(-1)[0]
            if float(p.max()) >= threshold:
                answers.append(str(int(p.argmax())))
                break
    return answers


def read(path: Path, name: str) -> list[list[str]]:
    with zipfile.ZipFile(path) as file:
        return list(csv.reader(file.read(name).decode().splitlines(), delimiter="\t"))


def test_the_official_file_holds_what_the_cascade_answers(
    small_glue_job, small_glue, tmp_path, capsys
):
    output = tmp_path / "submission.zip"
    arguments = [f"run={small_glue_job}", "task=sst2", f"root={small_glue}", f"output={output}"]
    assert main(arguments) == 0
    assert "SST-2.tsv, 60 answers" in capsys.readouterr().out
    rows = read(output, "SST-2.tsv")
    assert rows[0] == ["index", "prediction"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in range(60)]
    texts = [text for text, _ in sentences(60, 2)]
    assert [row[1] for row in rows[1:]] == literal(small_glue_job, texts)
    assert {row[1] for row in rows[1:]} == {"0", "1"}


def test_files_of_other_tasks_in_the_zip_stay(small_glue_job, small_glue, tmp_path):
    output = tmp_path / "submission.zip"
    with zipfile.ZipFile(output, "w") as file:
        file.writestr("RTE.tsv", "index\tprediction\n")
        file.writestr("SST-2.tsv", "old")
    submit(Options(run=str(small_glue_job), task="sst2", root=str(small_glue), output=str(output)))
    with zipfile.ZipFile(output) as file:
        assert sorted(file.namelist()) == ["RTE.tsv", "SST-2.tsv"]
    assert len(read(output, "SST-2.tsv")) == 61


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rule": "fixd"}, r"rule=fixd: .*did you mean 'fixed'"),
        ({"at": 2.0}, r"at=2: of which method\? Give rival=NAME"),
        ({"rule": "fixed", "rival": "a", "at": 2.0}, r"rule=fixed and rival=a both name"),
        ({"rival": "deebert", "at": 2.0}, r"rival=deebert: no .*speed_ups.csv"),
        ({"task": "sst3"}, r"task=sst3.*did you mean 'sst2'"),
        ({"task": "rte"}, r"neither RTE/test.tsv nor test.tsv in it"),
        ({"run": "/nowhere"}, r"/nowhere: no cascade here; expected the folder"),
        ({"run": ""}, r"run: expected the folder of an evaluated job, run=outputs"),
        ({"task": "cola", "root": "SST"}, r"asks for unacceptable, acceptable.*trained for this"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(small_glue_job, small_glue, tmp_path, change, said):
    given = {"run": str(small_glue_job), "task": "sst2", "root": str(small_glue), **change}
    if given["root"] == "SST":
        given["root"] = str(small_glue / "SST-2")
    output = tmp_path / "submission.zip"
    with pytest.raises(CascadeError, match=said) as raised:
        submit(Options(**given, output=str(output)))
    assert "\n" not in str(raised.value)
    assert not output.exists()


def test_a_file_that_is_no_zip_is_left_alone(small_glue_job, small_glue, tmp_path):
    output = tmp_path / "notes.txt"
    output.write_text("mine")
    with pytest.raises(CascadeError, match=r"there, but no zip"):
        submit(
            Options(run=str(small_glue_job), task="sst2", root=str(small_glue), output=str(output))
        )
    assert output.read_text() == "mine"


def test_a_missing_argument_is_one_line(capsys):
    assert main(["task=sst2"]) == 1
    said = "Error: run: expected the folder of an evaluated job, run=outputs/…\n"
    assert capsys.readouterr().err == said


SPEED_UPS = (1.2, 1.5, 2.0)


@pytest.fixture(scope="module")
def speed_ups_job(tmp_path_factory, small_glue) -> tuple[Path, Path]:
    """A job that compares methods at equal speed-up; a GLUE folder that asks for its report split.

    So what is submitted can be held against what the job recorded.
    """
    folder = tmp_path_factory.mktemp("speed_ups")
    encoder = folder / "encoder"
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=64,
            hidden_size=64,
            num_attention_heads=2,
            intermediate_size=128,
            num_hidden_layers=4,
            initializer_range=0.1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    ).save_pretrained(encoder)
    build_tokenizer([*GOOD, *BAD, *OTHER], max_length=32).save_pretrained(encoder)
    members = "{whole: {family: truncated, encoder: %s, layers: 4, max_length: 16}, "
    members += "first: {family: truncated, encoder: %s, layers: 1, max_length: 16}, "
    members += "middle: {family: truncated, encoder: %s, layers: 2, max_length: 16}, "
    members += "deebert: {family: exits, method: deebert, encoder: %s, max_length: 16}, "
    members += "pabee: {family: exits, method: pabee, encoder: %s, max_length: 16}}"
    job = folder / "outputs" / "job"
    run(
        "train",
        job,
        "data=sst2",
        f"data.root={small_glue}",
        "models.name=mine",
        *(f"~models.members.{name}" for name in ("resnet_16px", "resnet_32px", "resnet10t_32px")),
        f"+models.members={members % ((encoder,) * 5)}",
        "+speed_ups.members={deebert: {network: deebert, metric: entropy}, "
        "pabee: {network: pabee, metric: patience}, pair: {stages: [first, whole]}, "
        "static: {models: [first, whole]}}",
        f"speed_ups.at={list(SPEED_UPS)}",
        "cost=layers",
        "trainer.max_epochs=3",
        "optimizer.learning_rate=1.0e-3",
        "threshold.rules=[match_accuracy,target_cost,max_improvement,target_accuracy]",
        "threshold.target_cost=0.5",
        "threshold.target_accuracy=0.6",
        "logger=none",
        "callbacks=none",
        "analyses=false",
        "plots=false",
    )
    ids = np.load(job / "recordings" / "report" / "ids.npy") - 400
    dev = (small_glue / "SST-2" / "dev.tsv").read_text().splitlines()[1:]
    asked = folder / "glue" / "SST-2"
    asked.mkdir(parents=True)
    rows = [f"{at}\t{dev[i].split(chr(9))[0]}" for at, i in enumerate(ids)]
    (asked / "test.tsv").write_text("\n".join(["index\tsentence", *rows, ""]))
    return job, asked.parent


def by_hand(
    job: Path, stages: list[str], metric: str, threshold: float
) -> tuple[list[int], list[int]]:
    """Answers to the report split and where they are given, one example and stage after another."""
    recorded = []
    for stage in stages:
        name, _, exit = stage.partition("@")
        logits = np.load(job / "recordings" / "report" / f"{name}.npy").astype(np.float64)
        recorded.append(logits[:, int(exit) - 1] if exit else logits)
    answers, left = [], []
    for example in zip(*recorded, strict=True):
        seen: list[int] = []
        for at, logits in enumerate(example):
            seen.append(int(logits.argmax()))
            p = np.exp(logits - logits.max())
            p /= p.sum()
            alike = 0
            while alike < len(seen) and seen[-1 - alike] == seen[-1]:
                alike += 1
            confidence = {
                "entropy": float((p * np.log(p)).sum()),
                "patience": float(alike),
                "max_softmax": float(p.max()),
            }[metric]
            if at == len(stages) - 1 or confidence >= threshold:
                answers.append(seen[-1])
                left.append(at)
                break
    return answers, left


def asked_texts(root: Path) -> list[str]:
    rows = (root / "SST-2" / "test.tsv").read_text().splitlines()[1:]
    return [row.split("\t")[1] for row in rows]


@pytest.mark.parametrize("method", ["full", "static", "pair", "deebert", "pabee"])
def test_a_method_answers_as_the_comparison_counted_it(speed_ups_job, tmp_path, method):
    job, root = speed_ups_job
    with (job / "results" / "speed_ups.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == method]
    labels = np.load(job / "recordings" / "report" / "labels.npy")
    for row in rows:
        options = Options(
            run=str(job),
            task="sst2",
            root=str(root),
            rival=method,
            at=float(row["target"]),
            output=str(tmp_path / "submission.zip"),
        )
        answers = submit(options)["SST-2.tsv"]
        metric = {"deebert": "entropy", "pabee": "patience"}.get(method, "max_softmax")
        threshold = float(row["threshold"] or "inf")
        answered, left = by_hand(job, row["stages"].split(">"), metric, threshold)
        assert answers.tolist() == answered
        cascade = Cascade.load(job, rival=method, at=float(row["target"]))
        found = cascade.predict(asked_texts(root))
        assert found.exit.tolist() == left
        if method != "full":
            assert 4 / found.cost.mean() == pytest.approx(float(row["report_speed_up"]))
        assert float((answers == labels).mean()) == pytest.approx(float(row["report_score"]))


def test_a_method_that_is_not_there_is_one_line(speed_ups_job, tmp_path):
    job, root = speed_ups_job
    given = {"run": str(job), "task": "sst2", "root": str(root), "output": str(tmp_path / "a.zip")}
    for target in (3.0, None):
        with pytest.raises(CascadeError, match=rf"at={target}: .*of pabee: 1.2, 1.5, 2"):
            submit(Options(**given, rival="pabee", at=target))
    with pytest.raises(CascadeError, match=r"rival=pabe: .*did you mean 'pabee'"):
        submit(Options(**given, rival="pabe", at=2.0))


def test_any_rule_that_was_met_can_be_submitted(speed_ups_job, tmp_path):
    job, root = speed_ups_job
    given = {"run": str(job), "task": "sst2", "root": str(root), "output": str(tmp_path / "a.zip")}
    with pytest.raises(CascadeError, match=r"rule=target_cost: could not be met: .*0\.5"):
        submit(Options(**given, rule="target_cost"))
    points = json.loads((job / "results" / "summary.json").read_text())["operating_points"]
    labels = np.load(job / "recordings" / "report" / "labels.npy")
    for rule in ("match_accuracy", "max_improvement", "target_accuracy"):
        answers = submit(Options(**given, rule=rule))["SST-2.tsv"]
        assert (answers == labels).mean() == pytest.approx(points[rule]["report"]["score"])
    stages = {tuple(points[rule]["stages"]) for rule in points if points[rule]["feasible"]}
    assert len(stages) > 1


def evaluated(speed_ups_job, folder: Path, *overrides: str) -> Path:
    """A later evaluation of the job's recordings, in a folder of its own."""
    quick = ("cost=layers", "logger=none", "plots=false", "analyses=false")
    run("evaluate", folder, f"run={speed_ups_job[0]}", *quick, *overrides)
    return folder


@pytest.fixture
def nothing_predicts(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("predicted")

    monkeypatch.setattr("cascade_exp.runtime.cascade.Cascade.predict", refuse)


TIERS = "{a:[first,middle],b:[whole]}"


@pytest.mark.parametrize(
    "overrides",
    [
        ["metric=learned", "metric.folds=2"],
        ["metric=learned", "metric.folds=2", "ensemble=mean_logits"],
        ["cascade=tiers", f"cascade.tiers={TIERS}", "metric=vote"],
        ["cascade=tiers", f"cascade.tiers={TIERS}", "cascade.combine=mean_softmax"],
    ],
)
def test_learned_confidences_and_tiers_answer_as_reported(speed_ups_job, tmp_path, overrides):
    rules = ["threshold.rules=[max_improvement,target_cost]", "threshold.target_cost=3.5"]
    job = evaluated(speed_ups_job, tmp_path / "evaluation", *overrides, *rules)
    points = json.loads((job / "results" / "summary.json").read_text())["operating_points"]
    labels = np.load(speed_ups_job[0] / "recordings" / "report" / "labels.npy")
    given = {"run": str(job), "task": "sst2", "root": str(speed_ups_job[1])}
    met = {rule: point["report"] for rule, point in points.items() if point["feasible"]}
    for rule, report in met.items():
        options = Options(**given, rule=rule, output=str(tmp_path / "a.zip"))
        answers = submit(options)["SST-2.tsv"]
        assert (answers == labels).mean() == pytest.approx(report["score"])
    assert met


def test_foreign_recordings_are_refused_before_anything_is_predicted(
    speed_ups_job, tmp_path, nothing_predicts
):
    foreign = tmp_path / "foreign"
    shutil.copytree(speed_ups_job[0] / "recordings", foreign)
    for beside in foreign.glob("*/*.json"):
        beside.unlink()
    job = tmp_path / "evaluation"
    quick = ("cost=layers", "logger=none", "plots=false", "analyses=false")
    run("evaluate", job, f"recordings={foreign}", *quick)
    with pytest.raises(CascadeError, match=r"weights of .* are not known.*train.py has trained"):
        submit(Options(run=str(job), task="sst2", root=str(speed_ups_job[1])))


def test_nothing_feasible_is_reported_with_its_reason(speed_ups_job, tmp_path):
    unmet = ("threshold.rules=[target_cost]", "threshold.target_cost=0.5")
    job = evaluated(speed_ups_job, tmp_path / "evaluation", *unmet)
    with pytest.raises(
        CascadeError, match=r"no rule of this job could be met \(target_cost: .*0.5"
    ):
        submit(Options(run=str(job), task="sst2", root=str(speed_ups_job[1])))


@pytest.mark.parametrize(
    ("network", "metric", "threshold"),
    [("deebert", "entropy", -0.5), ("pabee", "patience", 2.0), ("pabee", "max_softmax", 0.7)],
)
def test_exits_are_left_as_the_evaluation_left_them(
    speed_ups_job, tmp_path, network, metric, threshold
):
    job = evaluated(
        speed_ups_job,
        tmp_path / "evaluation",
        "cascade=exits",
        f"cascade.network={network}",
        f"metric={metric}",
        "threshold.rules=[fixed]",
        f"threshold.fixed={threshold}",
    )
    point = json.loads((job / "results" / "operating_point.json").read_text())
    summary = json.loads((job / "results" / "summary.json").read_text())
    rates = summary["operating_points"]["fixed"]["report"]["exit_rates"]
    output = str(tmp_path / "submission.zip")
    options = Options(run=str(job), task="sst2", root=str(speed_ups_job[1]), output=output)
    answered, left = by_hand(speed_ups_job[0], point["stages"], metric, threshold)
    assert submit(options)["SST-2.tsv"].tolist() == answered
    found = Cascade.load(job).predict(asked_texts(speed_ups_job[1]))
    assert found.exit.tolist() == left and found.answer.tolist() == answered
    assert found.exit_rates.tolist() == rates
    assert len(set(left)) > 1


def test_the_temperatures_of_the_evaluation_are_applied(speed_ups_job, tmp_path):
    calibrated = ("calibration=temperature", "threshold.rules=[fixed]", "threshold.fixed=0.7")
    network = ("cascade=exits", "cascade.network=pabee", "metric=max_softmax")
    members = "+speed_ups.members={pabee: {network: pabee}, pair: {stages: [first, whole]}}"
    job = evaluated(speed_ups_job, tmp_path / "evaluation", *network, *calibrated, members)
    summary = json.loads((job / "results" / "summary.json").read_text())
    texts = asked_texts(speed_ups_job[1])
    cascade = Cascade.load(job)
    assert any(abs(t - 1) > 0.1 for t in cascade.chosen.temperatures.values())
    reported = summary["operating_points"]["fixed"]["report"]
    assert cascade.predict(texts).exit_rates.tolist() == reported["exit_rates"]
    labels = np.load(speed_ups_job[0] / "recordings" / "report" / "labels.npy")
    with (job / "results" / "speed_ups.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] != "full"]
    for row in rows:
        cascade = Cascade.load(job, rival=row["method"], at=float(row["target"]))
        if row["method"] == "pabee":
            assert cascade.chosen.temperatures == summary["temperatures"]
        found = cascade.predict(texts)
        assert (found.answer == labels).mean() == pytest.approx(float(row["report_score"]))
        assert 4 / found.cost.mean() == pytest.approx(float(row["report_speed_up"]))


def test_a_job_that_was_moved_finds_its_models(speed_ups_job, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(speed_ups_job[0], moved)
    chosen = chosen_at_speed_up(moved, "deebert", 2.0)
    assert chosen.weights == {"deebert": moved / "models" / "deebert"}
    by_rule = chosen_by_rule(moved, None)
    assert by_rule == chosen_by_rule(moved, "match_accuracy")
    assert all(folder.parent == moved / "models" for folder in by_rule.weights.values())


def test_the_test_set_comes_from_the_hub_where_no_folder_is_given(
    small_glue_job, tmp_path, monkeypatch
):
    texts = [text for text, _ in sentences(60, 2)]
    served = types.ModuleType("datasets")
    asked = []

    def load_dataset(path: str, config: str) -> dict[str, object]:
        asked.append((path, config))
        return {"test": {"sentence": texts, "label": [-1] * 60, "idx": list(range(60))}}

    served.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", served)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    output = tmp_path / "submission.zip"
    submit(Options(run=str(small_glue_job), task="sst2", output=str(output)))
    assert asked == [("nyu-mll/glue", "sst2")]
    rows = read(output, "SST-2.tsv")[1:]
    assert [row[0] for row in rows] == [str(i) for i in range(60)]
    assert [row[1] for row in rows] == literal(small_glue_job, texts)
