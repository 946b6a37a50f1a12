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
from tests.jobs.conftest import BAD, GOOD, OTHER, sentences


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
        ({"task": "sst3"}, r"task=sst3.*did you mean 'sst2'"),
        ({"task": "rte"}, r"neither RTE/test.tsv nor test.tsv in it"),
        ({"run": "/nowhere"}, r"run=/nowhere: no .*operating_point.json"),
        ({"task": "cola", "root": "SST"}, r"asks for unacceptable, acceptable.*trained for this"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(small_glue_job, small_glue, tmp_path, change, said):
    given = {"run": str(small_glue_job), "task": "sst2", "root": str(small_glue), **change}
    if given["root"] == "SST":
        given["root"] = str(small_glue / "SST-2")
    output = tmp_path / "submission.zip"
    with pytest.raises(CascadeError, match=said):
        submit(Options(**given, output=str(output)))
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
    assert "run" in capsys.readouterr().err
