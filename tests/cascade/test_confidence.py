import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cascade_exp.cascade import rows, softmax
from cascade_exp.cascade.confidence import METRICS, make_metric, score_rows, scores_of
from cascade_exp.cascade.row_block import LogitBlock, ProbabilityBlock
from cascade_exp.errors import CascadeError
from tests.cascade.metrics import every_metric
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
    metrics = every_metric(k=k)
    scored = score_rows(logits, metrics, labels, temperature=temperature)
    for i, row in enumerate(logits):
        assert scored.prediction[i] == oracle.prediction(row)
        assert scored.label_rank[i] == oracle.label_rank(row, int(labels[i]))
        expected = oracle.scores(row, temperature, k)
        for metric, value in zip(metrics, scored.columns[:, i], strict=True):
            if metric.name in expected:
                approximately = pytest.approx(expected[metric.name], rel=4e-15, abs=2e-15)
                assert value == approximately, metric.name
    assert scored.columns.shape == (len(metrics), size)


def test_the_oracle_defines_the_metrics_that_ship():
    shipped = {"max_softmax", "entropy", "softmax_margin", "logits_margin", "topk_sum", "energy"}
    assert shipped <= set(oracle.scores(np.zeros(3))) and shipped <= set(METRICS)


each_metric = pytest.mark.parametrize("metric", every_metric(), ids=lambda metric: metric.name)


@each_metric
@given(logits=logits_arrays(), temperature=temperatures)
@settings(deadline=None, max_examples=60)
def test_every_metric_is_finite_and_within_the_bounds_it_declares(metric, logits, temperature):
    values = score_rows(logits, [metric], temperature=temperature).columns[0]
    assert np.all(np.isfinite(values))
    rounding = 1e-13 * np.maximum(np.abs(values), 1)
    assert np.all(values >= metric.lowest(logits.shape[1]) - rounding)
    assert np.all(values <= metric.highest + rounding)


@each_metric
@given(logits=logits_arrays(), temperature=temperatures)
@settings(deadline=None, max_examples=40)
def test_every_metric_scores_a_row_alone_as_in_a_batch(metric, logits, temperature):
    together = score_rows(logits, [*METRICS_BEFORE, metric], temperature=temperature).columns[-1]
    for i in range(len(logits)):
        alone = score_rows(logits[i : i + 1], [metric], temperature=temperature).columns[0]
        np.testing.assert_array_equal(alone, together[i : i + 1])


METRICS_BEFORE = every_metric()  # what others read of a block must not change what one reads


@each_metric
@given(logits=logits_arrays(), data=st.data())
@settings(deadline=None, max_examples=40)
def test_renaming_classes_changes_no_metric_that_is_not_declared_by_class(metric, logits, data):
    order = np.array(data.draw(st.permutations(range(logits.shape[1]))))
    assume(not metric.by_class)
    before, after = (score_rows(z, [metric]).columns[0] for z in (logits, logits[:, order]))
    np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-14)


@each_metric
def test_chunks_and_blocks_change_no_bit_of_any_metric(metric, monkeypatch):
    logits = (np.random.default_rng(0).standard_normal((400, 1030)) * 3).astype(np.float32)
    whole = score_rows(logits, [metric], temperature=1.7).columns
    monkeypatch.setattr(rows, "CHUNK_BYTES", 50_000)
    monkeypatch.setattr(softmax, "BLOCK", 3000)
    np.testing.assert_array_equal(score_rows(logits, [metric], temperature=1.7).columns, whole)


@each_metric
def test_a_metric_that_reads_logits_says_so(metric):
    block = ProbabilityBlock(np.array([[0.5, 1.5]]), 2, np.array([1]), np.array([0.5]))
    if metric.needs_logits:
        with pytest.raises(CascadeError, match="needs_logits=True"):
            metric(block)
    else:
        assert np.isfinite(metric(block)).all()


def test_what_a_metric_reads_it_cannot_write():
    block = LogitBlock(np.array([[1.0, 0.0]]), np.array([0]), np.array([0.0]))
    with pytest.raises(ValueError, match="read-only"):
        block.p[0, 0] = 1.0


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
    for name, values in expected.items():
        found = scores_of(logits, name, **({"k": 5} if name == "topk_sum" else {}))
        # entropy is a difference of terms of the order of 1: its last place is theirs
        scale = np.maximum(np.abs(found), 1.0) if name == "entropy" else np.abs(found)
        # NumPy's pairwise sums add up blocks of 128 one by one
        assert np.all(np.abs(found - values) <= 16 * np.spacing(scale)), name


def test_agrees_with_scipy():
    logits = np.random.default_rng(3).standard_normal((500, 11)) * 5
    p = scipy.special.softmax(logits, axis=1)
    two = np.sort(p, axis=1)[:, -2:]
    # to the bit: a threshold found here parts the same examples in anybody's NumPy script
    np.testing.assert_array_equal(scores_of(logits, "max_softmax"), two[:, 1])
    np.testing.assert_array_equal(scores_of(logits, "softmax_margin"), two[:, 1] - two[:, 0])
    np.testing.assert_allclose(
        scores_of(logits, "entropy"), scipy.special.xlogy(p, p).sum(1), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(
        scores_of(logits, "energy"), scipy.special.logsumexp(logits, axis=1), rtol=1e-14
    )
    np.testing.assert_array_equal(score_rows(logits).prediction, logits.argmax(1))


@given(st.lists(st.tuples(st.integers(-64, 64), st.integers(-64, 64)), min_size=1, max_size=30))
@settings(deadline=None)
def test_two_classes_with_bounded_gaps_rank_alike_under_four_metrics(pairs):
    logits = np.array(pairs, np.float16) / np.float16(16)
    ranks = [
        np.unique(scores_of(logits, name), return_inverse=True)[1]
        for name in ("max_softmax", "entropy", "softmax_margin", "logits_margin")
    ]
    for other in ranks[1:]:
        np.testing.assert_array_equal(ranks[0], other)


def test_saturation_ties_in_float64_only():
    gaps = np.array([17.0, 18.0, 30.0, 36.0, 40.0, 800.0])  # 1 - p is 4e-8 ... 0 in float32
    logits = np.stack([gaps, np.zeros(6)], axis=1).astype(np.float32)
    highest, entropies = scores_of(logits, "max_softmax"), scores_of(logits, "entropy")
    assert np.all(np.diff(highest[:4]) > 0)
    assert highest[4] == highest[5] == 1.0
    assert np.all(np.diff(entropies[:5]) > 0)
    assert entropies[5] == 0.0
    np.testing.assert_array_equal(scores_of(logits, "logits_margin"), gaps)


def test_one_class_is_as_confident_as_can_be_and_still_finite():
    logits = np.array([[3.0], [-1.0]])
    expected = {
        "max_softmax": [1.0, 1.0],
        "entropy": [0.0, 0.0],
        "softmax_margin": [1.0, 1.0],
        "logits_margin": [LARGEST, LARGEST],
        "energy": [3.0, -1.0],
    }
    for name, values in expected.items():
        assert scores_of(logits, name).tolist() == values
    assert scores_of(logits, "topk_sum", k=5).tolist() == [1.0, 1.0]
    assert score_rows(logits, [], np.zeros(2, np.int64)).label_rank.tolist() == [0, 0]


def test_settings_are_bound_once_and_checked():
    for name, settings_, message in (
        ("max_sofmax", {}, r"metric=max_sofmax: .*did you mean 'max_softmax'"),
        ("topk_sum", {"k": 0}, r"^metric\.k=0: expected at least 1"),
        ("topk_sum", {}, r"^metric\.k: metric=topk_sum needs it"),
        ("topk_sum", {"k": 1, "kk": 2}, r"^metric\.kk: metric=topk_sum has no such setting"),
        ("entropy", {"k": 1}, r"^metric\.k: metric=entropy has no such setting"),
        ("vote", {"k": 1}, r"^metric\.k: metric=vote has no such setting"),
    ):
        with pytest.raises(CascadeError, match=message):
            make_metric(name, **settings_)
    with pytest.raises(CascadeError, match="metric=vote: no function of logits"):
        scores_of([[1.0]], "vote")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f2"])
def test_chunks_memory_maps_strides_and_byte_order_change_no_bit(dtype, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    logits = (rng.standard_normal((57, 1030)) * 3).astype(np.float16).astype(dtype)
    labels = rng.integers(0, 1030, 57)
    metrics = every_metric(k=3)
    whole = score_rows(logits.astype(np.float64), metrics, labels, temperature=1.7)
    np.save(tmp_path / "logits.npy", logits)
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    strided = np.repeat(logits[:, None, :], 2, axis=1)[:, 1, :]
    monkeypatch.setattr(rows, "CHUNK_BYTES", 5000)
    for source in (mapped, strided):
        found = score_rows(source, metrics, labels, temperature=1.7)
        for name, values in vars(found).items():
            np.testing.assert_array_equal(values, getattr(whole, name), err_msg=name)


def test_every_half_is_widened_exactly():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(1, -1)
    found = rows.float_rows(halves, slice(0, 1))
    np.testing.assert_array_equal(found.view(np.uint32), halves.astype(np.float32).view(np.uint32))


def test_progress_comes_from_the_calling_thread_and_reaches_the_end(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_BYTES", 64)
    seen = []
    score_rows(
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
        score_rows(logits, where="net.npy")


def test_labels_and_shapes_that_cannot_be_are_refused():
    logits = np.zeros((3, 4), np.float32)
    for labels, message in (
        (np.array([0, 4, 1]), r"labels.*label 4 of row 1, expected 0\.\.3|label 4 of row 1"),
        (np.array([0, -1, 1]), "label -1 of row 1"),
        (np.array([0, 1]), "3 examples, but labels are"),
        (np.array([0.0, 1.0, 2.0]), "labels are float64"),
    ):
        with pytest.raises(CascadeError, match=message):
            score_rows(logits, labels=labels)
    with pytest.raises(CascadeError, match=r"shape \(3, 4, 1\), expected \[examples, classes\]"):
        score_rows(logits[..., None])
    with pytest.raises(CascadeError, match="dtype int64, expected float16"):
        score_rows(logits.astype(np.int64))


@given(logits_arrays(), st.integers(1, 10))
@settings(deadline=None)
def test_topk_sum_of_one_is_max_softmax_and_of_all_is_one(logits, k):
    assume(logits.size)
    np.testing.assert_array_equal(
        scores_of(logits, "topk_sum", k=1), scores_of(logits, "max_softmax")
    )
    np.testing.assert_array_equal(scores_of(logits, "topk_sum", k=logits.shape[1]), 1.0)
    assert np.all(scores_of(logits, "topk_sum", k=k) <= 1.0)


def test_a_recording_is_never_written_to(tmp_path: Path):
    logits = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    before = logits.copy()
    score_rows(logits, every_metric())
    np.testing.assert_array_equal(logits, before)
    assert logits.flags.writeable
