"""GLUE in the original TSV layout: real files, small ones of every layout, and broken ones."""

from __future__ import annotations

import logging
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from cascade_exp.data import load_source
from cascade_exp.data.examples import Source
from cascade_exp.data.sources import glue
from cascade_exp.data.splitting import SPLITS, carve
from cascade_exp.errors import CascadeError
from tests.data.shared import shared

MNLI_TRAIN = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
)
MNLI_DEV = MNLI_TRAIN.replace("label1\t", "label1\tlabel2\tlabel3\tlabel4\tlabel5\t")
LAYOUTS: dict[str, tuple[str, str, str, str, list[object]]] = {
    # task: folder, header of train, a row, its label in classes, (text, pair)
    "sst2": (
        "SST-2",
        "sentence\tlabel\n",
        'a "fine film \t1\n',
        "positive",
        ['a "fine film ', None],
    ),
    "mrpc": (
        "MRPC",
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n",
        "0\t1\t2\tOne .\tTwo .\n",
        "not_equivalent",
        ["One .", "Two ."],
    ),
    "rte": (
        "RTE",
        "index\tsentence1\tsentence2\tlabel\n",
        "0\tOne.\tTwo.\tnot_entailment\n",
        "not_entailment",
        ["One.", "Two."],
    ),
    "cola": ("CoLA", "", "gj04\t0\t*\tBad the is.\n", "unacceptable", ["Bad the is.", None]),
    "qnli": (
        "QNLI",
        "index\tquestion\tsentence\tlabel\n",
        "0\tWho?\tMe.\tentailment\n",
        "entailment",
        ["Who?", "Me."],
    ),
    "qqp": (
        "QQP",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n",
        "0\t1\t2\tWho?\tWhat?\t1\n",
        "duplicate",
        ["Who?", "What?"],
    ),
    "mnli": (
        "MNLI",
        MNLI_TRAIN,
        "0\t1\t2\tfiction\t(\t)\t(\t)\tOne.\tTwo.\tneutral\tcontradiction\n",
        "contradiction",
        ["One.", "Two."],
    ),
}


def write(root: Path, folder: str, **files: str | bytes) -> Path:
    path = root / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        content = content.encode() if isinstance(content, str) else content
        (path / f"{name}.tsv").write_bytes(content)
    return root


def load(task: str, root: Path) -> Source:
    return load_source({"source": "glue", "task": task, "root": str(root)})


def sst2(root: Path, train: str | bytes, dev: str | bytes = "sentence\tlabel\ngood\t1\n") -> Source:
    return load("sst2", write(root, "SST-2", train=train, dev=dev))


@pytest.mark.parametrize("task", LAYOUTS)
def test_each_layout_gives_its_label_and_texts(tmp_path: Path, task: str):
    folder, header, row, label, texts = LAYOUTS[task]
    files = {"train": header + row * 2, "dev": header + row}
    if task == "mnli":
        wide = row.replace("neutral\t", "neutral\t" * 5)
        files = {"train": header + row * 2, "dev_matched": MNLI_DEV + wide, "test": "unread"}
    source = load(task, write(tmp_path, folder, **files))
    assert source.name == task and source.kind == "text"
    assert source.test is not None
    assert len(source.train) == 2 and len(source.test) == 1
    for examples in (source.train, source.test):
        assert {source.classes[i] for i in examples.labels} == {label}
        assert [list(text) for text in examples.inputs] == [texts] * len(examples)
    assert source.test.ids.tolist() == [2]
    inside = load(task, tmp_path / folder)
    assert list(inside.train.inputs) == list(source.train.inputs)


def test_mismatched_is_its_own_dev_set(tmp_path: Path):
    row = LAYOUTS["mnli"][2]
    wide = row.replace("neutral\t", "neutral\t" * 5)
    files = {
        "train": MNLI_TRAIN + row,
        "dev_matched": MNLI_DEV + wide,
        "dev_mismatched": MNLI_DEV + wide.replace("One.", "Elsewhere."),
    }
    root = write(tmp_path, "MNLI", **files)
    matched, mismatched = load("mnli", root), load("mnli_mismatched", root)
    assert matched.test is not None and mismatched.test is not None
    assert matched.test.inputs[0] == ("One.", "Two.")
    assert mismatched.test.inputs[0] == ("Elsewhere.", "Two.")
    assert list(matched.train.inputs) == list(mismatched.train.inputs)
    assert not mismatched.further
    (further,) = matched.further.items()
    assert further[0] == "mnli_mismatched" and further[1].inputs == mismatched.test.inputs
    assert further[1].ids.tolist() == [2]


def test_byte_order_mark_carriage_returns_and_words_like_null_are_read_as_meant(tmp_path: Path):
    train = b"\xef\xbb\xbfsentence\tlabel\r\nNA\t1\r\nnull\t0\r\n\xc3\xa9t\xc3\xa9\t0\r\n"
    source = sst2(tmp_path, train)
    assert source.train.inputs == [("NA", None), ("null", None), ("été", None)]
    assert source.train.labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (b"", r"train\.tsv: the file is empty"),
        (b"sentence\tlabel\n", r"train\.tsv: no rows below the header"),
        (b"text\tlabel\nx\t1\n", r"train\.tsv: no column 'sentence'; it has text, label"),
        (b"sentences\tlabel\nx\t1\n", r"no column 'sentence' \(did you mean 'sentences'\?\)"),
        (b"sentence\tlabel\nx\t1\ny\n", r"train\.tsv line 3: 1 fields, the last one 'label'"),
        (b"sentence\tlabel\nx\t1\n\ny\t1\n", r"train\.tsv line 3: 1 fields, the last one"),
        (b"sentence\tlabel\nx\t\n", r"train\.tsv line 2: 2 fields, the last one 'label' missing"),
        (b"sentence\tlabel\nx\t1\t2\n", r"train\.tsv line 2: 3 fields, expected 2"),
        (b"sentence\tlabel\nx\t1\ny\ty\t1\n", r"train\.tsv line 3: 3 fields, expected 2"),
        (b"sentence\tlabel\nx\t1\ny\t2\n", r"train\.tsv line 3: label '2'; expected one of 0, 1"),
        (b"sentence\tlabel\n\xff\xfe\t1\n", r"train\.tsv: not UTF-8 text"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, train: bytes, message: str):
    with pytest.raises(CascadeError, match=message) as raised:
        sst2(tmp_path, train)
    assert "\n" not in str(raised.value)


def test_cola_without_header_counts_its_lines_from_one(tmp_path: Path):
    good = "gj04\t0\t*\tBad the is.\n"
    with pytest.raises(CascadeError, match=r"dev\.tsv line 2: label 'x'"):
        load("cola", write(tmp_path / "a", "CoLA", train=good, dev=good + "gj04\tx\t\tHi.\n"))
    with pytest.raises(
        CascadeError, match=r"train\.tsv line 1: 2 fields; expected 4 \(source, lab"
    ):
        load("cola", write(tmp_path / "b", "CoLA", train="sentence\tlabel\n", dev=good))


def test_rows_of_qqp_that_line_feeds_broke_are_left_out_and_counted(tmp_path: Path, caplog):
    _, header, row, _, _ = LAYOUTS["qqp"]
    broken = '1\t2\t3\t"\n"\tWas he real?\t0\n'
    with caplog.at_level(logging.WARNING):
        source = load(
            "qqp", write(tmp_path, "QQP", train=header + row + broken + row, dev=header + row)
        )
    assert len(source.train) == 2
    assert "left out 2 rows" in caplog.text and "the first is line 3" in caplog.text


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(
        CascadeError, match=r"data.root=.*nowhere: no such folder; expected one with SST"
    ):
        load("sst2", tmp_path / "nowhere")
    with pytest.raises(CascadeError, match=r"neither SST-2/train.tsv and SST-2/dev.tsv nor these"):
        load("sst2", tmp_path)
    write(tmp_path, "QNLI", dev=LAYOUTS["qnli"][1] + LAYOUTS["qnli"][2])
    with pytest.raises(CascadeError, match=r"QNLI/train\.tsv: no such file"):
        load("qnli", tmp_path)
    write(tmp_path, "RTE", train=LAYOUTS["rte"][1] + LAYOUTS["rte"][2])
    with pytest.raises(CascadeError, match=r"RTE/dev\.tsv: no such file"):
        load("rte", tmp_path)
    with pytest.raises(CascadeError, match=r"data.task=sst: .*did you mean 'sst2'"):
        load("sst", tmp_path)


def test_without_datasets_the_folder_form_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        CascadeError, match=r"'datasets' is not installed: give data.root=FOLDER with"
    ):
        load_source({"source": "glue", "task": "mrpc", "root": None})


def test_a_hub_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", types.ModuleType("datasets"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        CascadeError, match=r"hub does not answer: give data.root=FOLDER with MRPC/tr"
    ):
        load_source({"source": "glue", "task": "mrpc", "root": None})


@pytest.mark.parametrize("task", glue.TASKS)
def test_the_hubs_columns_are_read_as_the_files_are(monkeypatch, task: str):
    """The hub itself is out of reach here: its documented columns, served from memory."""
    known = glue.TASKS[task]
    columns = {
        "sst2": ("sentence", None),
        "cola": ("sentence", None),
        "qnli": ("question", "sentence"),
        "qqp": ("question1", "question2"),
        "mnli": ("premise", "hypothesis"),
    }
    text, pair = columns.get(known.hub_config, ("sentence1", "sentence2"))
    split = {text: ["one", "two"], "label": [1, 0], "idx": [0, 1]}
    if pair:
        split[pair] = ["three", "four"]
    dev = {"mnli": "validation_matched", "mnli_mismatched": "validation_mismatched"}
    served = types.ModuleType("datasets")
    asked: list[tuple[str, str]] = []

    def load_dataset(path: str, config: str) -> dict[str, object]:
        asked.append((path, config))
        others = {dev[other]: split for other in known.further}
        return {"train": split, dev.get(task, "validation"): split, **others}

    served.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", served)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    source = load_source({"source": "glue", "task": task, "root": None})
    assert asked == [("nyu-mll/glue", known.hub_config)]
    assert source.train.inputs == [
        ("one", "three" if pair else None),
        ("two", "four" if pair else None),
    ]
    assert source.train.labels.tolist() == [1, 0]
    assert source.test is not None and source.test.ids.tolist() == [2, 3]
    assert [it.ids.tolist() for it in source.further.values()] == [[4, 5]] * len(known.further)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("task", "train", "dev", "positives"),
    [
        ("sst2", 67349, 872, 444),
        ("mrpc", 3668, 408, 279),
        ("rte", 2490, 277, 131),
        ("cola", 8551, 1043, 721),
    ],
)
def test_the_real_files_have_the_published_sizes(task: str, train: int, dev: int, positives: int):
    source = load(task, shared("data/glue"))
    assert source.test is not None
    assert (len(source.train), len(source.test)) == (train, dev)
    assert int(source.test.labels.sum()) == positives
    paired = task in ("mrpc", "rte")
    assert all(text and bool(pair) == paired for text, pair in source.train.inputs)
    for policy in ("report_half", "train"):
        splits = carve(
            source,
            selection=policy,
            validation_share=0.05,
            selection_share=0.05,
            limit_train=1000,
            seed=1,
        )
        assert len(splits.train) == 1000
        assert len(splits.report) == (dev if policy == "train" else dev - dev // 2)
        shares = [np.mean(splits.named(name).labels) for name in SPLITS]
        of = {"train": source.train.labels.mean(), "report": source.test.labels.mean()}
        selection = of["train" if policy == "train" else "report"]
        expected = [of["train"], of["train"], selection, of["report"]]
        assert np.allclose(shares, expected, atol=0.01)


@pytest.mark.real_data
def test_real_qnli_has_no_train_file():
    root = shared("data/glue")
    with pytest.raises(CascadeError, match=r"QNLI/train\.tsv: no such file"):
        load("qnli", root)
