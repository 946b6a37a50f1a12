"""Multiple choice end to end: generated questions, trained, recorded, cascaded."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.errors import CascadeError
from tests.data.sources.making_swag import words, write_swag
from tests.running import run

POOL = (
    "data=swag",
    "data.limit_train=600",
    "logger=none",
    "callbacks=none",
    "analyses=false",
    "bootstrap.resamples=100",
    "optimizer.learning_rate=2.0e-3",
    "~models.members.resnet_16px",
    "~models.members.resnet_32px",
    "~models.members.resnet10t_32px",
)


def member(name: str, layers: int, tokenizer, head: str = "multiple_choice") -> str:
    shape = (
        f"{{model_type:bert,num_hidden_layers:{layers},hidden_size:32,num_attention_heads:2,"
        "intermediate_size:64,max_position_embeddings:32,initializer_range:0.1,"
        "hidden_dropout_prob:0.0,attention_probs_dropout_prob:0.0}"
    )
    return (
        f"+models.members.{name}={{family:transformers,max_length:24,head:{head},"
        f"tokenizer:'{tokenizer}',config:{shape}}}"
    )


@pytest.fixture
def questions(tmp_path):
    build_tokenizer(words(), max_length=32).save_pretrained(tmp_path / "tokenizer")
    return write_swag(tmp_path / "swag", 700, 200)


def test_questions_are_learned_recorded_and_cascaded(tmp_path, questions):
    tokenizer = tmp_path / "tokenizer"
    run(
        "train",
        tmp_path / "outputs" / "job",
        *POOL,
        f"data.root={questions}",
        member("bert_1l", 1, tokenizer),
        member("bert_2l", 2, tokenizer),
        "trainer.max_epochs=6",
    )
    job = tmp_path / "outputs" / "job"
    summary = json.loads((job / "results" / "summary.json").read_text())
    logits = np.load(job / "recordings" / "report" / "bert_2l.npy")
    labels = np.load(job / "recordings" / "report" / "labels.npy")
    assert logits.shape == (100, 4)
    score = float((logits.argmax(axis=1) == labels).mean())
    reported = {m["name"]: m["report"]["score"] for m in summary["single_models"]}
    assert reported["bert_2l"] == pytest.approx(score)
    assert score > 0.5  # a guess is right in a quarter of the cases
    with (job / "recordings" / "models.csv").open() as file:
        macs = {row["name"]: float(row["macs"]) for row in csv.DictReader(file)}
    assert macs["bert_1l"] < macs["bert_2l"]


def test_a_head_that_does_not_fit_the_data_is_one_line(tmp_path, questions):
    with pytest.raises(CascadeError, match=r"4 endings an example .*head=multiple_choice fits"):
        run(
            "train",
            tmp_path / "outputs" / "job",
            *POOL,
            f"data.root={questions}",
            member("bert_1l", 1, tmp_path / "tokenizer", head="classification"),
        )
