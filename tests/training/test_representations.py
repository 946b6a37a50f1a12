"""t-SNE of representations: the states are transformers own, table and picture are whole."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from cascade_exp.data.examples import Examples, Source
from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import load_model
from cascade_exp.models.representations import first_token_states
from cascade_exp.schema.training import Representations
from cascade_exp.tools.representations import main
from cascade_exp.training.representations import Options, check_representations, project


def test_the_states_are_those_of_the_first_token(small_glue_job):
    folder = small_glue_job / "models" / "bert_2l"
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = {
        "input_ids": torch.tensor([[2, 7, 8, 3, 0], [2, 9, 6, 7, 3]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]),
    }
    with torch.no_grad():
        expected = network(**inputs, output_hidden_states=True).hidden_states
        for layer in (1, 2):
            found = first_token_states(load_model(folder), inputs, layer)
            torch.testing.assert_close(found, expected[layer][:, 0])


def test_leaves_a_table_and_a_picture(small_glue_job, capsys):
    assert main([f"run={small_glue_job}", "layer=1", "perplexity=10"]) == 0
    printed = capsys.readouterr().out
    assert "bert_1l: accuracy" in printed and "bert_2l: accuracy" in printed
    results = small_glue_job / "results"
    with (results / "representations.csv").open() as file:
        rows = list(csv.DictReader(file))
    labels = np.load(small_glue_job / "recordings" / "report" / "labels.npy")
    ids = np.load(small_glue_job / "recordings" / "report" / "ids.npy")
    names = ("negative", "positive")
    for model in ("bert_1l", "bert_2l"):
        mine = [row for row in rows if row["model"] == model]
        assert [int(row["id"]) for row in mine] == ids.tolist()
        assert [row["label"] for row in mine] == [names[label] for label in labels]
        assert np.isfinite([[float(row["x"]), float(row["y"])] for row in mine]).all()
    assert (results / "representations.png").read_bytes().startswith(b"\x89PNG")


def test_the_accuracy_is_that_of_the_recorded_answers(small_glue_job):
    options = Options(run=str(small_glue_job), layer=2, examples=30, perplexity=5, seed=3)
    (found,) = project(options)
    assert found.model == "bert_2l" and len(found.labels) == 30
    drawn = np.sort(np.random.default_rng(3).permutation(50)[:30])
    logits = np.load(small_glue_job / "recordings" / "report" / "bert_2l.npy")[drawn]
    labels = np.load(small_glue_job / "recordings" / "report" / "labels.npy")[drawn]
    assert found.accuracy == pytest.approx((logits.argmax(1) == labels).mean())
    assert found.labels.tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layer": 3}, r"layer=3: no model of .* has so many layers"),
        ({"layer": 2, "models": "bert_1l"}, r"layer=2: bert_1l has 1 layers, expected 1..1"),
        ({"models": "bert_11"}, r"models=bert_11.*did you mean"),
        ({"split": "train"}, r"split=train"),
        ({"run": "/nowhere"}, r"run=/nowhere: expected a training job"),
        ({"perplexity": 50.0}, r"perplexity=50.0: expected from 1 to below .* 50"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(small_glue_job, change, said):
    with pytest.raises(CascadeError, match=said):
        project(Options(**{"run": str(small_glue_job), "perplexity": 5.0, **change}))


def wanted(layer, models=None):
    return Representations(layer, models, examples=1000)


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        (wanted(2, ["a", "c"]), "text", r"representations.models=c: expected one of a, b"),
        (wanted(2, ["a"]), "text", r"layer=2: expected 1 to the layers of a \(1\)"),
        (wanted(5), "text", r"layer=5: expected 1 to the layers of a \(1\), b \(4\)"),
        (wanted(0), "text", "layer=0"),
        (wanted(1), "image", "holds no texts, but images"),
    ],
)
def test_what_a_job_could_not_draw_is_refused_before_it_trains(asked, kind, said):
    examples = Examples(np.arange(1), np.zeros(1, np.int64), [("x", None)])
    source = Source("toy", kind, ("no", "yes"), examples)
    with pytest.raises(CascadeError, match=said):
        check_representations(asked, {"a": 1, "b": 4}, source)
    check_representations(wanted(None), {"a": 1}, source)
