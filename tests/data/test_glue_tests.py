"""The GLUE test sets without labels: from files, and from the hub's documented columns."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from cascade_exp.data.glue_tests import TEST_SETS, load_test
from cascade_exp.errors import CascadeError

ASKED = [asked for sets in TEST_SETS.values() for asked in sets]
SUBMITTED = [asked.submitted for asked in ASKED]
COLUMNS = {
    "sst2": ("sentence", None),
    "cola": ("sentence", None),
    "qnli": ("question", "sentence"),
    "qqp": ("question1", "question2"),
    "mnli": ("premise", "hypothesis"),
}


@pytest.mark.parametrize("asked", ASKED, ids=SUBMITTED)
def test_the_hub_gives_what_the_file_gives(monkeypatch, tmp_path: Path, asked):
    task = asked.task
    text, pair = COLUMNS.get(task.hub_config, ("sentence1", "sentence2"))
    split = {text: ["one", "two"], "label": [-1, -1], "idx": [7, 3]}
    if pair:
        split[pair] = ["three", "four"]
    name = {"MNLI-m.tsv": "test_matched", "MNLI-mm.tsv": "test_mismatched"}
    served = types.ModuleType("datasets")
    loaded = {name.get(asked.submitted, "test"): split}
    served.load_dataset = lambda *asked_for: calls.append(asked_for) or loaded  # type: ignore[attr-defined]
    calls: list[tuple[str, str]] = []
    monkeypatch.setitem(sys.modules, "datasets", served)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    numbers, examples = load_test(asked, None)
    assert calls == [("nyu-mll/glue", task.hub_config)]
    assert numbers == ["7", "3"] and examples.labels.tolist() == [0, 0]

    folder = tmp_path / task.folder
    folder.mkdir()
    columns = [asked.number, task.text, *([task.pair] if pair else [])]
    rows = [["7", "one", "three"], ["3", "two", "four"]]
    lines = ["\t".join(row[: len(columns)]) for row in [columns, *rows]]
    (folder / asked.file).write_text("\n".join([*lines, ""]))
    for root in (tmp_path, folder):
        from_file, same = load_test(asked, str(root))
        assert from_file == numbers and same.inputs == examples.inputs


@pytest.mark.parametrize("asked", ASKED, ids=SUBMITTED)
def test_without_datasets_or_hub_the_file_is_named(monkeypatch, asked):
    wanted = f"give root=FOLDER with {asked.task.folder}/{asked.file}"
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CascadeError) as raised:
        load_test(asked, None)
    said = str(raised.value)
    assert said.startswith("root is left out and the package 'datasets' is not installed")
    assert wanted in said and "\n" not in said
    monkeypatch.setitem(sys.modules, "datasets", types.ModuleType("datasets"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CascadeError) as raised:
        load_test(asked, None)
    said = str(raised.value)
    assert said.startswith("root is left out and the Hugging Face hub does not answer")
    assert wanted in said and "\n" not in said
