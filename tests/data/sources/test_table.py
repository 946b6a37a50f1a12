"""The user's own files: every format, every way they can be wrong, and real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cascade_exp.data import load_source
from cascade_exp.data.examples import Source
from cascade_exp.data.splitting import SPLITS, carve
from cascade_exp.errors import CascadeError
from tests.data.shared import shared

ROWS = [("fine, really", "good"), ('a "dull" film', "bad"), ("two\nlines", "good"), ("NA", "bad")]


def load(train: Path, **keys: Any) -> Source:
    return load_source({"source": "table", "train_file": str(train), **keys})


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def frame_of(rows: list[tuple[Any, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["text", "label"])


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_each_format_gives_the_rows_back(tmp_path: Path, extension: str):
    path = tmp_path / f"x.{extension}"
    frame = frame_of(ROWS)
    if extension == "csv":
        frame.to_csv(path, index=False)
    elif extension == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    source = load(path)
    assert source.kind == "text" and source.classes == ("bad", "good")
    assert source.name == f"{tmp_path.name}/x.{extension}"
    assert source.train.inputs == [(text, None) for text, _ in ROWS]
    assert source.train.labels.tolist() == [1, 0, 1, 0]
    assert source.test is None and source.selection is None


def test_tsv_takes_quotation_marks_as_they_are(tmp_path: Path):
    path = write(tmp_path / "x.tsv", 'text\tlabel\na "quote\t1\nb" too\t0\n')
    assert load(path).train.inputs == [('a "quote', None), ('b" too', None)]


def test_byte_order_mark_and_carriage_returns(tmp_path: Path):
    path = write(tmp_path / "x.csv", b"\xef\xbb\xbftext,label\r\na,1\r\nb,0\r\n")
    assert load(path).train.inputs == [("a", None), ("b", None)]


def test_pairs_other_columns_and_further_splits(tmp_path: Path):
    train = write(tmp_path / "a.csv", "x,y,z,w\na,b,1,-\nc,d,0,-\n")
    test = write(tmp_path / "b.jsonl", '{"x":"e","y":"f","z":1}\n\n{"x":"g","y":"h","z":0}\n')
    own = write(tmp_path / "c.tsv", "z\ty\tx\n1\tj\ti\n0\tl\tk\n")
    keys = {"text": "x", "text_pair": "y", "label": "z"}
    source = load(train, test_file=str(test), selection_file=str(own), **keys)
    assert source.test is not None and source.selection is not None
    assert source.train.inputs == [("a", "b"), ("c", "d")]
    assert source.test.inputs == [("e", "f"), ("g", "h")]
    assert source.selection.inputs == [("i", "j"), ("k", "l")]
    assert source.selection.ids.tolist() == [4, 5]
    assert [part.labels.tolist() for part in (source.train, source.test, source.selection)] == [
        [1, 0]
    ] * 3


@pytest.mark.parametrize(
    ("labels", "classes", "names", "indices"),
    [
        ([10, 2, 10], None, ("2", "10"), [1, 0, 1]),
        ([-1, 1, 0], None, ("-1", "0", "1"), [0, 2, 1]),
        (["b", "10", "a"], None, ("10", "a", "b"), [2, 0, 1]),
        (["b", "a", " b "], ["b", "a", "c"], ("b", "a", "c"), [0, 1, 0]),
        ([0, 2, 1], {0: "bear", 1: "bull", 2: "flat"}, ("bear", "bull", "flat"), [0, 2, 1]),
        (["A", "a", "b"], {"A": "a", "a": "a", "b": "b"}, ("a", "b"), [0, 0, 1]),
        (["3.0", "7", 3], None, ("3", "7"), [0, 1, 0]),
        ([0.5, "1.0", 0.5], ["1.0", 0.5], ("1.0", "0.5"), [1, 0, 1]),
        ([2, 1, 2], [2, 1], ("2", "1"), [0, 1, 0]),
        ([True, False, True], None, ("false", "true"), [1, 0, 1]),
        ([1.0, 0.0, 1.0], None, ("0", "1"), [1, 0, 1]),
    ],
)
def test_labels_become_indices_of_classes(tmp_path: Path, labels, classes, names, indices):
    mixed = len({type(label) for label in labels}) > 1  # which a column of parquet cannot hold
    for extension in ("jsonl",) if mixed else ("jsonl", "parquet"):
        path = tmp_path / f"x.{extension}"
        frame = frame_of([("t", label) for label in labels])
        if extension == "jsonl":
            path.write_text("\n".join(json.dumps({"text": "t", "label": x}) for x in labels))
        else:
            frame.to_parquet(path)
        source = load(path, classes=classes)
        assert source.classes == names
        assert source.train.labels.tolist() == indices


HEAD = "text,label\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "", r"x\.csv: the file is empty"),
        ("x.csv", HEAD, r"x\.csv: no rows"),
        (
            "x.csv",
            "text,labels\na,1\n",
            r"no column 'label' \(data\.label\) \(did you mean 'labels'\?\); it",
        ),
        ("x.csv", "a,b\na,1\n", r"no column 'text' \(data\.text\); it has a, b; give data\.text="),
        ("x.csv", HEAD + "a,1\nb\n", r"x\.csv row 2: column 'label' is empty"),
        ("x.csv", HEAD + "a,1\n  ,0\n", r"x\.csv row 2: column 'text' is empty"),
        ("x.csv", HEAD + "a,1\nb,0,7\n", r"x\.csv: Expected 2 fields in line 3, saw 3"),
        ("x.csv", HEAD + "a,1,2\n", r"x\.csv: Expected 2 fields in line 2, saw 3"),
        ("x.csv", HEAD + 'a,1\n"b,0\n', r"x\.csv: EOF inside string"),
        ("x.csv", b"text,label\n\xff,1\n", r"x\.csv: not UTF-8 text"),
        ("x.csv", HEAD + "a,1\nb,1\n", r"one class only \(1\)"),
        ("x.jsonl", "", r"x\.jsonl: the file is empty"),
        ("x.jsonl", '{"text":"a","label":1}\n{"text":', r"x\.jsonl line 2: not JSON"),
        ("x.jsonl", "[1]\n", r"x\.jsonl line 1: expected an object, found \[1\]"),
        ("x.jsonl", b'{"text":"\xff"}\n', r"x\.jsonl: not UTF-8 text"),
        ("x.jsonl", '{"text":"a","label":1}\n\n{"text":"a"}\n', r"line 3: column 'label' is empty"),
        ("x.jsonl", '{"text":"a","label":NaN}\n', r"line 1: column 'label' is empty"),
        ("x.jsonl", '{"text":null,"label":1}\n', r"line 1: column 'text' is empty"),
        ("x.jsonl", '{"text":3,"label":1}\n', r"line 1: column 'text' is 3; expected a text"),
        ("x.jsonl", '{"text":"a","label":0.5}\n', r"line 1: label '0\.5' is a decimal number"),
        ("x.jsonl", '{"text":"a","label":[1]}\n', r"line 1: column 'label' is \[1\]; expected"),
        ("x.parquet", b"PAR1 not really", r"x\.parquet: not a parquet file that can be read"),
        ("x.parquet", b"", r"x\.parquet: the file is empty"),
        ("x.json", "{}", r"data\.train_file=.*unknown ending '\.json'; expected \.csv, \.tsv"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, name, content, message):
    with pytest.raises(CascadeError, match=message) as raised:
        load(write(tmp_path / name, content))
    assert "\n" not in str(raised.value)


def test_missing_values_in_parquet_are_named(tmp_path: Path):
    path = tmp_path / "x.parquet"
    frame_of([("a", 1), ("b", None), ("c", 0)]).to_parquet(path)
    with pytest.raises(CascadeError, match=r"x\.parquet row 2: column 'label' is empty"):
        load(path)
    frame_of([("a", 1), (None, 0)]).to_parquet(path)
    with pytest.raises(CascadeError, match=r"x\.parquet row 2: column 'text' is empty"):
        load(path)


def test_a_missing_file_is_named_with_its_key(tmp_path: Path):
    train = write(tmp_path / "a.csv", HEAD + "a,1\nb,0\n")
    with pytest.raises(CascadeError, match=r"data\.train_file=.*gone\.csv: no such file"):
        load(tmp_path / "gone.csv")
    with pytest.raises(CascadeError, match=r"data\.test_file=.*gone\.csv: no such file"):
        load(train, test_file=str(tmp_path / "gone.csv"))
    with pytest.raises(CascadeError, match=r"data\.selection_file=.*gone\.csv: no such file"):
        load(train, selection_file=str(tmp_path / "gone.csv"))


def test_a_label_outside_the_classes_is_named_with_its_row(tmp_path: Path):
    train = write(tmp_path / "a.csv", HEAD + "a,good\nb,bad\nc,goood\n")
    test = write(tmp_path / "b.csv", HEAD + "a,good\nb,worst\n")
    with pytest.raises(
        CascadeError,
        match=r"a\.csv row 3: label 'goood' is outside the classes good, bad \(did you mean 'good'",
    ):
        load(train, classes=["good", "bad"])
    with pytest.raises(
        CascadeError, match=r"b\.csv row 2: label 'worst' is outside the classes bad"
    ):
        load(train, test_file=str(test))
    numbers = write(tmp_path / "c.csv", HEAD + "a,0\nb,3\n")
    with pytest.raises(
        CascadeError,
        match=r"row 1: label '0' is outside the classes x, y; .*'data\.classes=\{0:x,1:y\}'",
    ):
        load(numbers, classes=["x", "y"])
    with pytest.raises(CascadeError, match=r"c\.csv row 1: label '0' is outside the classes 3, 7"):
        load(numbers, classes=[3, 7])
    with pytest.raises(CascadeError, match="one is twice"):
        load(train, classes=["good", "good"])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("task", "classes"),
    [
        ("MNLI", ("contradiction", "entailment", "neutral")),
        ("QQP", ("0", "1")),
        ("QNLI", ("entailment", "not_entailment")),
    ],
)
def test_the_real_subsets_of_glue(task: str, classes: tuple[str, ...]):
    folder = shared(f"data/glue_subset/{task}")
    source = load(
        folder / "train.jsonl",
        test_file=str(folder / "dev.jsonl"),
        text="text_a",
        text_pair="text_b",
    )
    assert source.test is not None
    assert source.classes == classes
    assert (len(source.train), len(source.test)) == (8999, 1000)
    assert all(a and b for a, b in source.train.inputs)


@pytest.mark.real_data
def test_the_real_tweets_with_named_classes():
    folder = shared("data/twitter_financial_news")
    source = load(
        folder / "sent_train.csv",
        test_file=str(folder / "sent_valid.csv"),
        classes={0: "bearish", 1: "bullish", 2: "neutral"},
    )
    assert source.test is not None
    assert (len(source.train), len(source.test)) == (9543, 2388)
    assert source.classes == ("bearish", "bullish", "neutral")
    splits = carve(
        source,
        selection="train",
        validation_share=0.1,
        selection_share=0.2,
        limit_train=None,
        seed=0,
    )
    assert [len(splits.named(name)) for name in SPLITS] == [6680, 954, 1909, 2388]
    for name in ("train", "validation", "selection"):
        part = splits.named(name)
        shares = np.bincount(part.labels) / len(part)
        assert np.allclose(shares, np.bincount(source.train.labels) / 9543, atol=1 / len(part))


def test_numbers_are_never_places_in_the_list_of_classes(tmp_path: Path):
    train = write(tmp_path / "a.csv", HEAD + "a,entailment\nb,neutral\nc,contradiction\n")
    test = write(tmp_path / "b.csv", HEAD + "a,0\nb,1\nc,2\n")
    with pytest.raises(
        CascadeError, match=r"b\.csv row 1: label '0' .*the training labels are words and these are"
    ):
        load(train, test_file=str(test))
    both = {0: "entailment", 1: "neutral", 2: "contradiction"}
    names = {name: name for name in both.values()}
    source = load(train, test_file=str(test), classes={**names, **both})
    assert source.classes == ("entailment", "neutral", "contradiction")
    assert source.test is not None
    assert source.train.labels.tolist() == source.test.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0.0", "1.0", "1.5"], r"row 3: label '1\.5' is a decimal number; .*\(regression is not"),
        (["0.000", "3.8", "-1"], r"row 2: label '3\.8' is a decimal number"),
        (["1e-3", "1"], r"row 1: label '1e-3' is a decimal number"),
        (["0", '"0,2"', "2"], r"row 2: label '0,2' looks like a list; expected one label"),
        (["0 2", "2"], r"row 1: label '0 2' looks like a list"),
        (["joy", "\"['joy', 'fear']\""], r"row 2: label '\['joy', 'fear'\]' looks like a list"),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, labels, message):
    rows = "".join(f"t{i},{label}\n" for i, label in enumerate(labels))
    path = write(tmp_path / "x.csv", HEAD + rows)
    with pytest.raises(CascadeError, match=message):
        load(path)
    named = list(dict.fromkeys(label.strip('"') for label in labels))
    assert len(load(path, classes=named).classes) == len(labels)


def test_rows_without_text_or_label_are_dropped_only_when_asked(tmp_path: Path):
    rows = 'a,good\n,bad\nb,bad\n"  ",\nc,\nd,-\ne,NaN\nf,good\n'
    path = write(tmp_path / "x.csv", HEAD + rows)
    with pytest.raises(
        CascadeError, match=r"row 4: column 'label' is empty, as are 1 more; .*drop="
    ):
        load(path)
    with pytest.raises(CascadeError, match=r"row 2: column 'text' is empty; expected .*drop=empty"):
        load(path, drop="unlabelled")
    source = load(path, drop=["empty", "unlabelled"])
    assert source.train.inputs == [("a", None), ("b", None), ("f", None)]
    assert source.classes == ("bad", "good")
    assert [note.split(" of ")[0] for note in source.notes] == ["2", "3"]
    assert load(path, drop="empty,unlabelled").train.inputs == source.train.inputs
    with pytest.raises(CascadeError, match=r"data\.drop=emty: expected .*did you mean 'empty'"):
        load(path, drop="emty")
    gone = write(tmp_path / "y.csv", HEAD + "a,\nb,-\n")
    with pytest.raises(CascadeError, match=r"data\.drop leaves none of its 2 rows"):
        load(path, test_file=str(gone), drop=["empty", "unlabelled"])


def test_a_class_that_the_user_names_is_never_dropped(tmp_path: Path):
    path = write(tmp_path / "x.csv", HEAD + "a,-1\nb,0\nc,1\n")
    assert load(path, drop="unlabelled").classes == ("0", "1")
    named = load(path, drop="unlabelled", classes=[-1, 0, 1])
    assert named.classes == ("-1", "0", "1") and not named.notes
    two = write(tmp_path / "y.csv", HEAD + "a,-1\nb,1\n")
    assert load(two, drop="unlabelled").classes == ("-1", "1")


def test_options_that_no_file_reads_are_refused(tmp_path: Path):
    path = write(tmp_path / "x.jsonl", '{"text":"a","label":1}\n{"text":"b","label":0}\n')
    for options in ({"header": False}, {"separator": "tab"}, {"escape": "backslash"}):
        with pytest.raises(CascadeError, match=r"only csv and tsv files have one; found .*x\.j"):
            load(path, **options)


def test_words_that_look_like_nothing_stay_texts_and_classes(tmp_path: Path):
    texts = ["NA", "None", "nan", "null", "N/A", "-", "0", "1.0"]
    rows = "".join(f"{text},{'None' if i % 2 else 'Some'}\n" for i, text in enumerate(texts))
    source = load(write(tmp_path / "x.csv", HEAD + rows))
    assert [text for text, _ in source.train.inputs] == texts
    assert source.classes == ("None", "Some") and not source.notes


def test_a_header_within_the_file_is_refused(tmp_path: Path):
    path = write(tmp_path / "x.csv", HEAD + "a,good\n" + HEAD + "b,bad\n")
    with pytest.raises(CascadeError, match=r"row 2: repeats the names of the columns"):
        load(path)


def test_a_quotation_mark_left_open_is_noted(tmp_path: Path):
    rows = 'a,good\n"b is dull,bad\nc,good\nd" or so,bad\ne,good\n'
    (note,) = load(write(tmp_path / "x.csv", HEAD + rows)).notes
    assert "row 2: its text holds 2 lines that end in a label" in note
    fine = 'a,good\n"two lines,\nof text",bad\n'
    assert not load(write(tmp_path / "y.csv", HEAD + fine)).notes


def test_words_where_train_has_numbers_are_refused_with_what_to_give(tmp_path: Path):
    train = write(tmp_path / "a.csv", HEAD + "a,0\nb,1\n")
    test = write(tmp_path / "b.csv", HEAD + "c,good\nd,bad\n")
    with pytest.raises(CascadeError, match=r"label 'good' .*numbers and these are words: .*0:NAME"):
        load(train, test_file=str(test))
