"""Labels as people write them: what is noted about a column, and what is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.data.labels import Classes, as_override, label_of
from cascade_exp.data.table_files import Table
from cascade_exp.errors import CascadeError


def classes(words: list[str], given=None) -> Classes:
    table = Table(Path("x.csv"), {"label": list(words)}, "row", range(1, len(words) + 1))
    return Classes(given, table, words)


@pytest.mark.parametrize(
    ("words", "noted"),
    [
        (
            ["positive"] * 9 + ["Positive"] * 3,
            r"'positive' \(9 rows\) and 'Positive' \(3 rows\) differ",
        ),
        (["not good", "not  good", "bad"], "differ in case, blanks"),
        (["not_good", "not-good", "bad"], "differ in case, blanks"),
        (["1", "01", "2"], r"'1' \(1 row\) and '01' \(1 row\) differ"),
        (
            ["a", "-", "b"],
            r"label '-' \(1 row\) usually says that there is no label: data\.drop=unl",
        ),
        (["a", "NaN", "b"], "label 'NaN' .1 row. usually"),
        (["0", "1", "2", "-1"], "label '-1' .1 row. usually"),
        (
            ["joy", "fear", "joy,fear"],
            "'joy,fear' .1 row. looks like a list of the labels joy, fear",
        ),
        (["joy", "fear", "3"], r"labels mix words \(joy, fear\) and numbers \(3\)"),
        (
            ["positive"] * 60 + ["negative"] * 60 + ["postive"],
            "'postive' .1 row. may be 'positive'",
        ),
    ],
)
def test_doubtful_labels_are_noted(words, noted):
    (note,) = classes(words).notes
    assert re.search(noted, note), note
    assert not classes(words, list(dict.fromkeys(words))).notes


@pytest.mark.parametrize(
    "words",
    [
        ["good", "bad", "None"],
        ["-1", "1"],
        ["3", "7", "11"],
        ["New York, NY", "Austin, TX"],
        ["positive"] * 50 + ["negative"] * 50,
        ["class1"] * 60 + ["class2"],
        ["C", "C++", "C#"],
        ["+", "0"],
    ],
)
def test_ordinary_labels_are_not_doubted(words):
    notes = [note for note in classes(words).notes if "mix words" not in note]
    assert not notes


WORDS = st.text(min_size=1) | st.text("ab01 -_+./eE", min_size=1) | st.sampled_from(["null", "-1"])


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
def test_the_suggested_override_means_what_it_says(pairs):
    line = as_override(dict(pairs).items())
    if line.endswith("in a file of conf/data"):
        return
    (override,) = OverridesParser.create().parse_overrides([line.strip("'")])
    assert {str(key): str(value) for key, value in override.value().items()} == dict(pairs)


@given(st.integers(-(10**12), 10**12))
def test_whole_numbers_are_one_label_however_written(number):
    assert {label_of(v) for v in (number, float(number), str(number), f"{number}.0")} == {
        str(number)
    }


def test_a_column_of_other_things_is_no_column_of_labels():
    with pytest.raises(
        CascadeError, match=r"30 different labels in 40 rows, such as 'text 0'; .*dat"
    ):
        classes([f"text {i % 30}" for i in range(40)])
    assert len(classes([f"text {i}" for i in range(20)]).names) == 20


def test_one_command_makes_every_spelling_one():
    words = ["Good", "good", "good", "Bad", "bad", "bad"]
    (note,) = classes(words).notes
    assert "'data.classes={Bad:bad,Good:good,bad:bad,good:good}'" in note
