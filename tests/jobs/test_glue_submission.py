"""GLUE submissions: the official files, by the cascade that a real small job has chosen."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.errors import CascadeError
from cascade_exp.jobs.glue_submission import Options, main, submit
from tests.jobs.running import run

GOOD, BAD = ("fine", "lovely", "great"), ("dull", "poor", "awful")
OTHER = ("the", "film", "is", "a", "story", "it")


def sentences(size: int, seed: int) -> list[tuple[str, int]]:
    rng = np.random.default_rng(seed)
    rows = []
    for label in rng.integers(2, size=size):
        kind = GOOD if label else BAD
        words = [*rng.choice(OTHER, rng.integers(2, 6)), rng.choice(kind)]
        rows.append((" ".join(rng.permutation(words)), int(label)))
    return rows


@pytest.fixture(scope="module")
def glue(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("glue") / "SST-2"
    folder.mkdir()
    for name, size, seed in (("train", 400, 0), ("dev", 100, 1)):
        rows = [f"{text}\t{label}" for text, label in sentences(size, seed)]
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows, ""]))
    test = [f"{i}\t{text}" for i, (text, _) in enumerate(sentences(60, 2))]
    (folder / "test.tsv").write_text("\n".join(["index\tsentence", *test, ""]))
    return folder.parent


@pytest.fixture(scope="module")
def job(tmp_path_factory, glue) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "job"
    tokenizer = folder.parent / "tokenizer"
    build_tokenizer([*GOOD, *BAD, *OTHER], max_length=32).save_pretrained(tokenizer)
    overrides = [f"models.members.{name}.tokenizer={tokenizer}" for name in ("bert_1l", "bert_2l")]
    run(
        "train",
        folder,
        "data=sst2",
        "models=bert_shaped",
        f"data.root={glue}",
        *(f"+{o}" for o in overrides),
        "models.members.bert_1l.max_length=16",
        "models.members.bert_2l.max_length=16",
        "trainer.max_epochs=2",
        "optimizer.learning_rate=1.0e-3",
        "cascade=stages",
        "cascade.stages=[bert_1l,bert_2l]",
        "threshold.rules=[fixed]",
        "threshold.fixed=[0.9]",
        "logger=none",
        "callbacks=none",
        "analyses=false",
    )
    return folder


def literal(job: Path, texts: list[str]) -> list[str]:
    """The cascade text by text with transformers alone."""
    point = json.loads((job / "results" / "operating_point.json").read_text())
    answers = []
    for text in texts:
        for stage, threshold in zip(point["stages"], [*point["thresholds"], -np.inf], strict=True):
            weights = point["models"][stage]["weights"]
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


def test_the_official_file_holds_what_the_cascade_answers(job, glue, tmp_path, capsys):
    output = tmp_path / "submission.zip"
    arguments = [f"run={job}", "task=sst2", f"root={glue}", f"output={output}"]
    assert main(arguments) == 0
    assert "SST-2.tsv, 60 answers" in capsys.readouterr().out
    rows = read(output, "SST-2.tsv")
    assert rows[0] == ["index", "prediction"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in range(60)]
    texts = [text for text, _ in sentences(60, 2)]
    assert [row[1] for row in rows[1:]] == literal(job, texts)
    assert {row[1] for row in rows[1:]} == {"0", "1"}


def test_files_of_other_tasks_in_the_zip_stay(job, glue, tmp_path):
    output = tmp_path / "submission.zip"
    with zipfile.ZipFile(output, "w") as file:
        file.writestr("RTE.tsv", "index\tprediction\n")
        file.writestr("SST-2.tsv", "old")
    submit(Options(run=str(job), task="sst2", root=str(glue), output=str(output)))
    with zipfile.ZipFile(output) as file:
        assert sorted(file.namelist()) == ["RTE.tsv", "SST-2.tsv"]
    assert len(read(output, "SST-2.tsv")) == 61


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "sst3"}, r"task=sst3.*did you mean 'sst2'"),
        ({"task": "rte"}, r"neither RTE/test.tsv nor test.tsv in it"),
        ({"run": "/nowhere"}, r"run=/nowhere: no .*operating_point.json"),
        ({"task": "cola", "root": "SST"}, r"asks for unacceptable, acceptable.*trained for this"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(job, glue, tmp_path, change, said):
    given = {"run": str(job), "task": "sst2", "root": str(glue), **change}
    if given["root"] == "SST":
        given["root"] = str(glue / "SST-2")
    output = tmp_path / "submission.zip"
    with pytest.raises(CascadeError, match=said):
        submit(Options(**given, output=str(output)))
    assert not output.exists()


def test_a_file_that_is_no_zip_is_left_alone(job, glue, tmp_path):
    output = tmp_path / "notes.txt"
    output.write_text("mine")
    with pytest.raises(CascadeError, match=r"there, but no zip"):
        submit(Options(run=str(job), task="sst2", root=str(glue), output=str(output)))
    assert output.read_text() == "mine"


def test_a_missing_argument_is_one_line(capsys):
    assert main(["task=sst2"]) == 1
    assert "run" in capsys.readouterr().err
