import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cascade_exp.cascade import rows
from cascade_exp.cascade.confidence import METRICS, summarise
from cascade_exp.errors import CascadeError
from tests.oracles import softmax_scores as oracle

LARGEST = float(np.finfo(np.float64).max)
EXTREMES = {
    np.float16: [0.0, -0.0, 6e-8, -6e-8, 1.0, 1.001, 65504.0, -65504.0],
    np.float32: [0.0, -0.0, 1e-45, 1.0, 1.0000001, 88.0, 3.4e38, -3.4e38],
    np.float64: [0.0, -0.0, 5e-324, 1e-300, 1.0, 745.0, 1e300, -1e300, LARGEST, -LARGEST],
}


@st.composite
def logits_arrays(draw: st.DrawFn, max_classes: int = 9) -> np.ndarray:
    dtype = draw(st.sampled_from(list(EXTREMES)))
    tied = st.integers(-12, 12).map(lambda i: i / 4)
    extreme = st.sampled_from(EXTREMES[dtype])
    ordinary = st.floats(-30, 30)
    element = draw(st.sampled_from([tied, ordinary, extreme, st.one_of(tied, extreme)]))
    shape = draw(st.tuples(st.integers(0, 6), st.integers(1, max_classes)))
    values = draw(hnp.arrays(np.float64, shape, elements=element))
    return values.astype(dtype)


temperatures = st.sampled_from([0.01, 0.7, 1.0, 1.3, 100.0])


@given(logits_arrays(), temperatures, st.integers(1, 10), st.data())
@settings(max_examples=300, deadline=None)
def test_every_metric_matches_its_definition(logits, temperature, k, data):
    size, classes = logits.shape
    labels = np.array([data.draw(st.integers(0, classes - 1)) for _ in range(size)], np.int64)
    answers = summarise(logits, labels, temperature=temperature, k=k)
    found = {name: metric(answers) for name, metric in METRICS.items()}
    for i, row in enumerate(logits):
        assert answers.prediction[i] == oracle.prediction(row)
        assert answers.label_rank[i] == oracle.label_rank(row, int(labels[i]))
        for name, expected in oracle.scores(row, temperature, k).items():
            value = found[name][i]
            assert np.isfinite(value)
            assert value == pytest.approx(expected, rel=4e-15, abs=2e-15), name
    assert all(values.shape == (size,) and values.dtype == np.float64 for values in found.values())


@pytest.mark.parametrize("classes", [2, 3, 17, 1000, 1024, 1025, 5000])
def test_a_few_units_in_the_last_place_of_extended_precision(classes):
    rng = np.random.default_rng(classes)
    logits = (rng.standard_normal((200, classes)) * 4).astype(np.float32)
    x = np.sort(logits.astype(np.longdouble) - logits.max(1, keepdims=True), axis=1)[:, ::-1]
    log_total = np.log1p(np.exp(x[:, 1:]).sum(1, keepdims=True))
    p = np.exp(x - log_total)
    expected = {
        "max_softmax": p[:, 0],
        "entropy": (p * (x - log_total)).sum(1),
        "topk_sum": p[:, :5].sum(1),
    }
    answers = summarise(logits, k=5)
    for name, values in expected.items():
        found = METRICS[name](answers)
        # entropy is a difference of terms of the order of 1: its last place is theirs
        scale = np.maximum(np.abs(found), 1.0) if name == "entropy" else np.abs(found)
        # NumPy's pairwise sums add up blocks of 128 one by one
        assert np.all(np.abs(found - values) <= 16 * np.spacing(scale)), name


def test_agrees_with_scipy():
    logits = np.random.default_rng(3).standard_normal((500, 11)) * 5
    p = scipy.special.softmax(logits, axis=1)
    answers = summarise(logits)
    two = np.sort(p, axis=1)[:, -2:]
    # to the bit: a threshold found here parts the same examples in anybody's NumPy script
    np.testing.assert_array_equal(METRICS["max_softmax"](answers), two[:, 1])
    np.testing.assert_array_equal(METRICS["softmax_margin"](answers), two[:, 1] - two[:, 0])
    np.testing.assert_allclose(
        METRICS["entropy"](answers), scipy.special.xlogy(p, p).sum(1), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(
        METRICS["energy"](answers), scipy.special.logsumexp(logits, axis=1), rtol=1e-14
    )
    np.testing.assert_array_equal(answers.prediction, logits.argmax(1))


@given(st.lists(st.tuples(st.integers(-64, 64), st.integers(-64, 64)), min_size=1, max_size=30))
@settings(deadline=None)
def test_two_classes_with_bounded_gaps_rank_alike_under_four_metrics(pairs):
    logits = np.array(pairs, np.float16) / np.float16(16)
    answers = summarise(logits)
    ranks = [
        np.unique(METRICS[name](answers), return_inverse=True)[1]
        for name in ("max_softmax", "entropy", "softmax_margin", "logits_margin")
    ]
    for other in ranks[1:]:
        np.testing.assert_array_equal(ranks[0], other)


def test_saturation_ties_in_float64_only():
    gaps = np.array([17.0, 18.0, 30.0, 36.0, 40.0, 800.0])  # 1 - p is 4e-8 ... 0 in float32
    logits = np.stack([gaps, np.zeros(6)], axis=1).astype(np.float32)
    answers = summarise(logits)
    surest = METRICS["max_softmax"](answers)
    assert np.all(np.diff(surest[:4]) > 0)
    assert surest[4] == surest[5] == 1.0
    assert np.all(np.diff(METRICS["entropy"](answers)[:5]) > 0)
    assert METRICS["entropy"](answers)[5] == 0.0
    np.testing.assert_array_equal(METRICS["logits_margin"](answers), gaps)


def test_one_class_is_as_sure_as_can_be_and_still_finite():
    answers = summarise(np.array([[3.0], [-1.0]]), np.zeros(2, np.int64), k=5)
    assert METRICS["max_softmax"](answers).tolist() == [1.0, 1.0]
    assert METRICS["entropy"](answers).tolist() == [0.0, 0.0]
    assert METRICS["softmax_margin"](answers).tolist() == [1.0, 1.0]
    assert METRICS["logits_margin"](answers).tolist() == [LARGEST, LARGEST]
    assert METRICS["topk_sum"](answers).tolist() == [1.0, 1.0]
    assert METRICS["energy"](answers).tolist() == [3.0, -1.0]
    assert answers.label_rank.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f2"])
def test_chunks_memory_maps_strides_and_byte_order_change_no_bit(dtype, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    logits = (rng.standard_normal((57, 1030)) * 3).astype(np.float16).astype(dtype)
    labels = rng.integers(0, 1030, 57)
    whole = summarise(logits.astype(np.float64), labels, temperature=1.7, k=3)
    np.save(tmp_path / "logits.npy", logits)
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    strided = np.repeat(logits[:, None, :], 2, axis=1)[:, 1, :]
    monkeypatch.setattr(rows, "CHUNK_BYTES", 5000)
    for source in (mapped, strided):
        found = summarise(source, labels, temperature=1.7, k=3)
        for name, values in vars(found).items():
            np.testing.assert_array_equal(values, getattr(whole, name), err_msg=name)


def test_every_half_is_widened_exactly():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(1, -1)
    found = rows.float_rows(halves, slice(0, 1))
    np.testing.assert_array_equal(found.view(np.uint32), halves.astype(np.float32).view(np.uint32))


def test_progress_comes_from_the_calling_thread_and_reaches_the_end(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_BYTES", 64)
    seen = []
    summarise(
        np.zeros((50, 4), np.float32),
        progress=lambda done, total: seen.append((done, total, threading.current_thread())),
    )
    assert [total for _, total, _ in seen] == [50] * len(seen)
    assert seen[-1][0] == 50
    assert sorted(done for done, _, _ in seen) == [done for done, _, _ in seen]
    assert {thread for _, _, thread in seen} == {threading.main_thread()}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 41, 99])
def test_a_row_that_is_not_finite_is_named(dtype, bad, row, monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_BYTES", 100)
    logits = np.zeros((100, 7), dtype)
    logits[row:, 5] = bad
    with pytest.raises(
        CascadeError, match=rf"^net\.npy: row {row}, class 5: logit {bad}, expected"
    ):
        summarise(logits, where="net.npy")


def test_labels_and_shapes_that_cannot_be_are_refused():
    logits = np.zeros((3, 4), np.float32)
    for labels, message in (
        (np.array([0, 4, 1]), r"labels.*label 4 of row 1, expected 0\.\.3|label 4 of row 1"),
        (np.array([0, -1, 1]), "label -1 of row 1"),
        (np.array([0, 1]), "3 examples, but labels are"),
        (np.array([0.0, 1.0, 2.0]), "labels are float64"),
    ):
        with pytest.raises(CascadeError, match=message):
            summarise(logits, labels)
    with pytest.raises(CascadeError, match=r"shape \(3, 4, 1\), expected \[examples, classes\]"):
        summarise(logits[..., None])
    with pytest.raises(CascadeError, match="dtype int64, expected float16"):
        summarise(logits.astype(np.int64))


@given(logits_arrays(), st.integers(1, 10))
@settings(deadline=None)
def test_topk_sum_of_one_is_max_softmax_and_of_all_is_one(logits, k):
    assume(logits.size)
    np.testing.assert_array_equal(
        METRICS["topk_sum"](summarise(logits, k=1)), METRICS["max_softmax"](summarise(logits))
    )
    np.testing.assert_array_equal(METRICS["topk_sum"](summarise(logits, k=logits.shape[1])), 1.0)
    assert np.all(METRICS["topk_sum"](summarise(logits, k=k)) <= 1.0)


def test_a_recording_is_never_written_to(tmp_path: Path):
    logits = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    before = logits.copy()
    summarise(logits)
    np.testing.assert_array_equal(logits, before)
    assert logits.flags.writeable
