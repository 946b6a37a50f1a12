"""What is said of the data before training: counts against a slow twin, and every doubt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.data.examples import source_of
from cascade_exp.data.splitting import Splits, carve
from cascade_exp.data.summary import summarise


def source(train, test, classes=("no", "yes"), **more):
    def part(rows):
        return np.array([y for _, y in rows]), [(text, None) for text, _ in rows]

    return source_of("x", "text", classes, part(train), part(test), **more)


def described(made, **changes):
    settings = {"selection": "report_half", "validation_share": 0.2, "selection_share": 0.2}
    settings |= {"limit_train": None, "seed": 0, **changes}
    splits = carve(made, **settings)
    return summarise(made, splits), splits


def rows(size, classes=2, prefix="t"):
    return [(f"{prefix}{i}", i % classes) for i in range(size)]


def test_clean_data_has_counts_and_no_warning():
    found, _ = described(source(rows(40), rows(20, prefix="u")))
    assert not found.warnings
    assert found.counts.tolist() == [[16, 4, 5, 5], [16, 4, 5, 5]]
    assert found.table()[0].split() == ["class", "train", "validation", "selection", "report"]
    assert [line.split()[0] for line in found.table()[1:]] == ["no", "yes"]


def test_a_class_that_a_split_lacks_is_named():
    names = ("no", "yes", "maybe")
    found, _ = described(source(rows(60, 3), rows(20, 2, "u"), names))
    assert found.warnings == ("class 'maybe' has no example in selection and report",)


def test_splits_without_a_common_class_are_named():
    test = [(f"u{i}", 1) for i in range(10)]
    found, _ = described(source(rows(40)[::2], test))
    assert "train and report have no class in common" in found.warnings


def test_tiny_classes_are_named():
    train = [*rows(40), ("x", 2), ("y", 2)]
    found, _ = described(source(train, [*rows(20, 2, "u"), ("v", 2), ("w", 2)], ("a", "b", "c")))
    assert any("class 'c' has fewer than 5 training examples" in line for line in found.warnings)


def test_texts_in_two_splits_are_counted_up_to_case_and_blanks():
    test = [("T0 ", 0), ("t1", 1), *rows(18, 2, "u")]
    found, splits = described(source(rows(40), test))
    in_report = sum(" ".join(t.split()).lower() in ("t0", "t1") for t, _ in splits.report.inputs)
    lines = [line for line in found.warnings if "are in train, too" in line]
    total = sum(int(line.split(" of ")[0]) for line in lines)
    assert total == 2 and (
        in_report == 0 or f"{in_report} of 10 texts of report" in " ".join(lines)
    )


def test_texts_that_chose_the_thresholds_are_counted():
    test = [(f"u{i // 2}", i // 2 % 2) for i in range(40)]  # each text twice
    found, splits = described(source(rows(40), test))
    chosen = {text for text, _ in splits.selection.inputs}
    shared = sum(text in chosen for text, _ in splits.report.inputs)
    assert shared and any(
        line.startswith(f"{shared} of 20 texts of report are in selection, too")
        for line in found.warnings
    )


def test_a_text_with_two_labels_is_counted():
    found, _ = described(source([*rows(40), ("t0", 1)], rows(20, 2, "u")))
    assert "1 texts are there more than once with different labels" in found.warnings


def test_image_files_are_compared_by_their_bytes(tmp_path: Path):
    contents = [b"a" * 5, b"b" * 5, b"c" * 6, b"d" * 7, b"a" * 5, b"e" * 5, b"f" * 9, b"g" * 6]
    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    labels = np.array([0, 1, 0, 1])
    made = source_of("x", "image", ("n", "y"), (labels, paths[:4]), (labels, paths[4:]))
    splits = Splits(made.train, made.train, made.test, made.test)
    lines = summarise(made, splits).warnings
    assert (
        "1 of 4 images of report are in train, too: results on them say little about new ones"
        in (lines)
    )


def test_notes_of_the_source_come_first_and_many_classes_are_cut():
    names = [f"c{i}" for i in range(50)]
    made = source(rows(500, 50), rows(200, 50, "u"), names, notes=["seen while reading"])
    found, _ = described(made)
    assert found.warnings == ("seen while reading",)
    assert len(found.table()) == 1 + 20 + 1
    assert "30 classes between" in found.table()[11]


@pytest.mark.parametrize("split", [2, 3])
@given(
    train=st.lists(st.sampled_from("abcdefgh"), min_size=10, max_size=20),
    test=st.lists(st.sampled_from("efghijkl"), min_size=4, max_size=12),
)
def test_shared_texts_are_as_many_as_a_slow_count_finds(split, train, test):
    made = source(
        [(t, i % 2) for i, t in enumerate(train)], [(t, i % 2) for i, t in enumerate(test)]
    )
    found, splits = described(made)
    part = (splits.selection, splits.report)[split - 2]
    name = ("selection", "report")[split - 2]
    fitted = [*splits.train.inputs, *splits.validation.inputs]
    count = len([item for item in part.inputs if item in fitted])
    line = f"{count} of {len(part)} texts of {name} are in train, too"
    assert any(warning.startswith(line) for warning in found.warnings) == (count > 0)
