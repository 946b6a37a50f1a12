"""A job on the user's own table: what it says before training, and models without a tokenizer."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from tests.running import run
from tests.small_jobs import sentences

QUIET = ("logger=none", "callbacks=none", "evaluate=false", "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "texts.csv"
    rows = [(text, ("bad", "good")[y]) for text, y in sentences(80, 0)]
    rows += [("the film " * 30, "good"), ("it is [dull]", "Good"), ("a story", "-")]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("review", "stars"), *rows])
    return path


def train(table, folder, *overrides):
    given = [
        "models=bert_shaped",
        "~models.members.bert_2l",
        "models.members.bert_1l.max_length=16",
    ]
    given += ["data=csv", f"data.train_file={table}", "data.text=review", "data.label=stars"]
    run("train", folder, *given, *QUIET, *overrides)


def test_the_classes_and_what_is_doubtful_are_printed_before_training(table, tmp_path, capsys):
    train(table, tmp_path / "job", "optimizer.learning_rate=1.0e-3")
    said = " ".join(capsys.readouterr().out.split())
    for line in (
        "class train validation selection report",
        "Warning: label '-' (1 row) usually says that there is no label",
        "'good' (",
        "differ in case, blanks or form alone",
        "Tokenizer: the ",
        "Warning: texts longer than 16 tokens are cut (models.members.bert_1l.max_length): 1 of",
    ):
        assert line in said, line
    assert said.index("class train") < said.index("Tokenizer: the ") < said.index("are cut")
    kept = (tmp_path / "job" / "recordings" / "data_warnings.txt").read_text()
    assert "label '-' (1 row) usually says" in kept
    recorded = np.load(tmp_path / "job" / "recordings" / "report" / "bert_1l.npy")
    assert recorded.shape[1] == 4  # bad, good, Good and -


def test_dropped_and_mapped_labels_leave_two_classes(table, tmp_path, capsys):
    train(
        table,
        tmp_path / "job",
        "data.drop=unlabelled",
        "data.classes={bad:bad,good:good,Good:good}",
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 83 rows" in said and "(data.drop=unlabelled)" in said
    assert np.load(tmp_path / "job" / "recordings" / "report" / "bert_1l.npy").shape[1] == 2


def test_a_label_outside_the_classes_stops_before_any_training(table, tmp_path):
    with pytest.raises(
        CascadeError, match=r"row 82: label 'Good' is outside the classes bad, good"
    ):
        train(table, tmp_path / "job", "data.classes=[bad,good]")
    assert not (tmp_path / "job" / "models").exists()
