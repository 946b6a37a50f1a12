"""SWAG: the original layout, the hub's, what is refused, and the batches of questions."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cascade_exp.data.examples import Choice, Examples, as_texts, fingerprint
from cascade_exp.data.sources import swag
from cascade_exp.data.splitting import carve
from cascade_exp.data.text import TextDataModule
from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.errors import CascadeError
from tests.data.sources.making_swag import words, write_swag


def test_reads_the_original_columns(tmp_path):
    source = swag.load(str(write_swag(tmp_path, 40, 12)))
    table = pd.read_csv(tmp_path / "train.csv")
    assert source.kind == "choice" and len(source.classes) == 4
    assert len(source.train) == 40 and len(source.test) == 12
    assert source.train.labels.tolist() == table["label"].tolist()
    row = table.iloc[7]
    expected = tuple(f"{row['sent2']} {row[f'ending{c}']}" for c in range(4))
    assert source.train.inputs[7] == Choice(row["sent1"], expected)


def test_the_hub_gives_the_same(tmp_path, monkeypatch):
    local = swag.load(str(write_swag(tmp_path, 20, 10)))
    served = {
        "train": pd.read_csv(tmp_path / "train.csv").to_dict("list"),
        "validation": pd.read_csv(tmp_path / "val.csv").to_dict("list"),
    }
    asked = []

    def load(*arguments):
        asked.append(arguments)
        return served

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))
    hub = swag.load()
    assert asked == [("allenai/swag", "regular")]
    assert fingerprint(hub.train) == fingerprint(local.train)
    assert fingerprint(hub.test) == fingerprint(local.test)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: "", r"train.csv: the file is empty"),
        (lambda text: text.splitlines()[0], r"train.csv: no rows below the header"),
        (lambda text: text.replace("sent2", "sent_2"), r"no column 'sent2'.*did you mean 'sent_2'"),
        (lambda text: text.rstrip()[:-1] + "4", r"train.csv row 30: label '4'; expected one of 0"),
    ],
)
def test_bad_files_are_one_line(tmp_path, spoil, said):
    write_swag(tmp_path, 30, 10)
    path = tmp_path / "train.csv"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(CascadeError, match=said):
        swag.load(str(tmp_path))


def test_missing_files_are_one_line(tmp_path):
    with pytest.raises(CascadeError, match=r"no such folder with train.csv and val.csv"):
        swag.load(str(tmp_path / "nowhere"))
    write_swag(tmp_path, 30, 10)
    (tmp_path / "val.csv").unlink()
    with pytest.raises(CascadeError, match=r"val.csv: no such file"):
        swag.load(str(tmp_path))


def test_the_fingerprint_depends_on_where_an_ending_starts():
    def of(*endings):
        return fingerprint(Examples(np.arange(1), np.zeros(1, np.int64), [Choice("a", endings)]))

    assert len({of("bc", "d"), of("b", "cd"), of("b", "c", "d")}) == 3


def test_every_ending_is_a_pair_with_the_context():
    questions = [Choice("a", ("b", "c")), Choice("d", ("e", "f"))]
    flat, endings = as_texts(Examples(np.array([7, 9]), np.array([1, 0]), questions))
    assert endings == 2
    assert flat.inputs == [("a", "b"), ("a", "c"), ("d", "e"), ("d", "f")]


@pytest.mark.parametrize("bucketed", [True, False])
def test_batches_hold_the_endings_side_by_side(tmp_path, bucketed):
    source = swag.load(str(write_swag(tmp_path, 40, 20)))
    splits = carve(
        source,
        selection="report_half",
        validation_share=0.1,
        selection_share=0.1,
        limit_train=None,
        seed=0,
    )
    tokenizer = build_tokenizer(words(), max_length=32)
    data = TextDataModule(
        splits,
        tokenizer=tokenizer,
        max_length=32,
        batch_size=6,
        bucketed=bucketed,
        cache_dir=None,
        workers=0,
        seed=0,
    )
    by_id = {int(i): q for i, q in zip(splits.report.ids, splits.report.inputs, strict=True)}
    seen = set()
    for batch in data.loader("report"):
        ids = batch["inputs"]["input_ids"]
        assert ids.shape[:2] == (len(batch["id"]), 4)
        assert bucketed or ids.shape[2] == 32
        for question, example in zip(ids, batch["id"].tolist(), strict=True):
            seen.add(example)
            question_of = by_id[example]
            for tokens, ending in zip(question, question_of.endings, strict=True):
                pair = tokenizer(question_of.context, ending)["input_ids"]
                assert tokens[: len(pair)].tolist() == pair
                assert not tokens[len(pair) :].any()
    assert seen == set(by_id)
    assert len({data.content_key(split) for split in ("selection", "report")}) == 2
