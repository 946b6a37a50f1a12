"""Examples keep together, ids count through, and a fingerprint differs with every difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cascade_exp.data import load_source, loader_of, source_names
from cascade_exp.data.examples import Examples, Inputs, fingerprint, source_of
from cascade_exp.errors import CascadeError


def examples(inputs: Inputs, labels: list[int] | None = None) -> Examples:
    n = len(inputs)
    return Examples(
        ids=np.arange(n), labels=np.asarray(labels if labels else [0] * n), inputs=inputs
    )


def test_take_keeps_ids_labels_and_inputs_together():
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    taken = examples(images, [3, 2, 1, 0]).take(np.array([2, 0]))
    assert taken.ids.tolist() == [2, 0]
    assert taken.labels.tolist() == [1, 3]
    assert taken.inputs[:, 0, 0, 0].tolist() == [2, 0]
    texts = examples([("a", None), ("b", "c")]).take(np.array([1]))
    assert texts.inputs == [("b", "c")]
    assert len(examples([]).take(np.array([], dtype=np.int64))) == 0


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 ids, 1 labels, 2 inputs"):
        Examples(ids=np.arange(2), labels=np.zeros(1, np.int64), inputs=[("a", None)] * 2)


def test_ids_count_through_train_test_and_selection():
    labels = np.array([0, 1])
    texts = [("a", None), ("b", None)]
    source = source_of(
        "x", "text", ["no", "yes"], (labels, texts), (labels, texts), (labels, texts)
    )
    assert source.test is not None and source.selection is not None
    assert source.train.ids.tolist() == [0, 1]
    assert source.test.ids.tolist() == [2, 3]
    assert source.selection.ids.tolist() == [4, 5]
    without_test = source_of("x", "text", ["no", "yes"], (labels, texts), None, (labels, texts))
    assert without_test.test is None and without_test.selection is not None
    assert without_test.selection.ids.tolist() == [2, 3]


def test_a_source_needs_examples_and_two_classes():
    with pytest.raises(CascadeError, match="data x: no training examples"):
        source_of("x", "text", ["no", "yes"], (np.array([], np.int64), []))
    with pytest.raises(CascadeError, match="data x: one class only \\(no\\)"):
        source_of("x", "text", ["no"], (np.array([0]), [("a", None)]))


def test_fingerprint_depends_on_every_part():
    base = examples([("a", "b"), ("c", "d")], [0, 1])
    others = [
        examples([("a", "b"), ("c", "d")], [1, 1]),
        examples([("ab", ""), ("c", "d")], [0, 1]),
        examples([("a", None), ("c", "d")], [0, 1]),
        examples([("a", ""), ("c", "d")], [0, 1]),
        examples([("c", "d"), ("a", "b")], [0, 1]),
        Examples(ids=np.array([1, 0]), labels=base.labels, inputs=base.inputs),
        base.take(np.array([0])),
    ]
    prints = [fingerprint(x) for x in [base, *others]]
    assert len(set(prints)) == len(prints)
    assert fingerprint(examples([("a", "b"), ("c", "d")], [0, 1])) == prints[0]


def test_fingerprint_of_arrays_knows_their_shape():
    flat = np.zeros((2, 1, 4, 1), np.uint8)
    assert fingerprint(examples(flat)) != fingerprint(examples(flat.reshape(2, 2, 2, 1)))
    assert fingerprint(examples(flat)) == fingerprint(examples(flat.copy()[::-1]))


def test_fingerprint_of_files_is_that_of_their_bytes(tmp_path: Path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (fingerprint(examples([tmp_path / name])) for name in "abc")
    assert a == b != c
    with pytest.raises(CascadeError, match="gone: cannot be read"):
        fingerprint(examples([tmp_path / "gone"]))


def test_every_source_has_a_loader():
    assert {"digits", "glue", "table"} <= set(source_names())
    for name in source_names():
        assert callable(loader_of(name))


def test_options_are_arguments_of_the_loader():
    made = {"source": "synthetic_text", "options": {"train_size": 20, "test_size": 10}}
    assert len(load_source(made).train) == 20
    with pytest.raises(CascadeError, match=r"data\.options=trainsize: .*did you mean 'train_size'"):
        load_source({"source": "synthetic_text", "options": {"trainsize": 20}})
    with pytest.raises(
        CascadeError, match=r"data\.options\.test_size: there is a key data\.test_s"
    ):
        load_source({"source": "synthetic_text", "test_size": 9, "options": {"test_size": 10}})
    with pytest.raises(CascadeError, match=r"data\.options\.task: a value is needed; data\.source"):
        load_source({"source": "glue"})


def test_an_unknown_source_is_named_with_the_nearest():
    with pytest.raises(CascadeError, match=r"data.source=digit: .*did you mean 'digits'"):
        load_source({"source": "digit"})
