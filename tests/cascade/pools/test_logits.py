from pathlib import Path

import numpy as np
import pytest

from cascade_exp.cascade import rows
from cascade_exp.cascade.confidence import METRICS, Metric, make_metric, score_rows
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.logits import Answers, LogitsPool
from cascade_exp.errors import CascadeError
from tests.cascade.metrics import every_metric

RECORDINGS = Path(__file__).parents[3] / "../shared/data/recordings/cifar10_jpeg_resnets"


def random_logits(size: int, classes: int, models: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal((size, classes)) * 2).astype(np.float32)
        for name in "abcdefgh"[:models]
    }


def build(outputs, labels, metric="max_softmax", **settings) -> LogitsPool:
    costs = {name: 1.0 + i for i, name in enumerate(outputs)}
    chosen = {"objective": make_objective("accuracy"), **settings}
    bound = metric if isinstance(metric, Metric) else make_metric(metric)
    return LogitsPool.build(outputs, costs, labels, metric=bound, **chosen)


def test_models_stand_in_order_of_growing_cost_then_name():
    logits = random_logits(4, 3, 4)
    pool = LogitsPool.build(
        logits,
        {"a": 5.0, "b": 1.0, "c": 5.0, "d": 0.5},
        np.zeros(4, np.int64),
        metric=make_metric("entropy"),
        objective=make_objective("accuracy"),
        temperatures={"b": 2.0},
    )
    assert pool.names == ("d", "b", "a", "c")
    assert pool.cost.tolist() == [0.5, 1.0, 5.0, 5.0]
    assert pool.size == 4 and pool.classes == 3 and pool.prefix_free
    expected = score_rows(logits["b"], [METRICS["entropy"]], temperature=2.0).columns[0]
    np.testing.assert_array_equal(pool.stage((0, 1)).confidence, expected)
    np.testing.assert_array_equal(pool.stage((1,)).prediction, logits["b"].argmax(1))


@pytest.mark.parametrize("metric", every_metric(k=2), ids=lambda metric: metric.name)
@pytest.mark.parametrize("size", [0, 1, 23])
def test_without_ensembling_a_stage_is_its_last_models_own(metric, size):
    logits = random_logits(size, 5, 3)
    labels = np.arange(size) % 5
    pool = build(logits, labels, metric=metric)
    assert pool.stage((0, 2)) is pool.stage((2,))
    stage = pool.stage((2,))
    scored = score_rows(logits["c"], [metric, METRICS["max_softmax"]])
    np.testing.assert_array_equal(stage.confidence, scored.columns[0])
    np.testing.assert_array_equal(pool.probability(2), scored.columns[1])
    np.testing.assert_array_equal(stage.prediction, scored.prediction)
    np.testing.assert_array_equal(stage.statistics[:, 0], scored.prediction == labels)
    assert (stage.confidence.dtype, stage.prediction.dtype) == (np.float64, np.int64)


def test_topk_accuracy_and_f1_statistics_reach_the_stage():
    logits = random_logits(30, 2, 2)
    labels = np.arange(30) % 2
    f1 = build(logits, labels, objective=make_objective("f1"))
    assert f1.stage((1,)).statistics.shape == (30, 3)
    top2 = build(logits, labels, objective=make_objective("topk_accuracy", k=2))
    assert top2.stage((0,)).statistics.sum() == 30


def test_negative_zero_confidences_are_zeros():
    recorded = Answers(np.array([1, 0]), np.array([-0.0, 0.5]))
    pool = build({"a": recorded}, np.array([1, 1]), metric="recorded")
    assert not np.signbit(pool.stage((0,)).confidence).any()
    sure = build({"a": np.array([[0.0, -2000.0]])}, np.array([0]), metric="entropy")
    assert sure.stage((0,)).confidence[0] == 0.0
    assert not np.signbit(sure.stage((0,)).confidence).any()


def test_black_boxes_make_stages_of_their_own_word():
    box = Answers(np.array([0, 9, 2]), np.array([0.1, 0.9, np.finfo(float).max]))
    pool = build({"box": box}, np.array([0, 1, 1]), metric="recorded")
    stage = pool.stage((0,))
    assert stage.statistics[:, 0].tolist() == [1, 0, 0]
    assert stage.confidence.tolist() == box.confidence.tolist() == pool.probability(0).tolist()
    assert pool.classes == 2


def test_preparing_reads_every_model_and_reports_progress(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_BYTES", 100)
    pool = build(random_logits(40, 5, 3), np.zeros(40, np.int64))
    seen = []
    pool.prepare(lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and {(40, 120), (80, 120), (120, 120)} <= set(seen)


def test_models_that_do_not_fit_are_named():
    labels = np.zeros(4, np.int64)
    logits = random_logits(4, 3, 3)
    box = Answers(labels, np.zeros(4))
    nan = Answers(labels, np.array([0.0, np.nan, 0.0, 0.0]))
    for outputs, settings, message in (
        (logits | {"b": np.zeros((4, 2), np.float32)}, {}, "^b: 2 classes, expected 3 as in a"),
        (logits | {"b": np.zeros((5, 3), np.float32)}, {}, "^b: 5 examples, expected 4"),
        (logits | {"b": np.zeros((4, 2, 3), np.float32)}, {}, r"^b: shape \(4, 2, 3\)"),
        (logits | {"b": box}, {}, "metric=max_softmax: b holds recorded answers, not logits"),
        (logits, {"metric": "recorded"}, "metric=recorded: a holds logits"),
        ({"b": nan}, {"metric": "recorded"}, "^b: row 1: prediction 0 with confidence nan"),
        ({"b": Answers(labels - 1, np.zeros(4))}, {"metric": "recorded"}, "row 0: prediction -1"),
        ({"b": Answers(labels, np.zeros(3))}, {"metric": "recorded"}, "3 confidences for 4"),
        ({}, {}, "holds no model"),
        (logits, {"metric": "vote"}, "metric=vote: expected one of max_softmax"),
        (logits, {"ensemble": "mean"}, "ensemble=mean: expected one of"),
    ):
        with pytest.raises(CascadeError, match=message):
            build(outputs, labels, **settings)
    with pytest.raises(CascadeError, match=r"label 3 of row 2, expected 0\.\.2"):
        build(logits, np.array([0, 1, 3, 0]))
    with pytest.raises(CascadeError, match="label -1 of row 0"):
        build({"b": box}, labels - 1, metric="recorded")
    bad = logits | {"c": np.full((4, 3), np.inf, np.float32)}
    pool = build(bad, labels, sources={"c": "report/c.npy"})
    with pytest.raises(CascadeError, match=r"^report/c\.npy: row 0, class 0: logit inf"):
        pool.stage((2,))
    top2 = build(
        {"b": box}, labels, metric="recorded", objective=make_objective("topk_accuracy", k=2)
    )
    with pytest.raises(CascadeError, match="topk_accuracy needs logits"):
        top2.stage((0,))


@pytest.mark.real_data
@pytest.mark.skipif(not RECORDINGS.exists(), reason=f"no recordings at {RECORDINGS}")
def test_real_recordings_make_a_cascade_better_than_its_models():
    names = ("resnet20", "resnet56")
    labels = np.load(RECORDINGS / "selection/labels.npy")
    logits = {n: np.load(RECORDINGS / "selection" / f"{n}.npy", mmap_mode="r") for n in names}
    pool = build(logits, labels)
    right = [int(pool.stage((m,)).statistics.sum()) for m in range(2)]
    assert right == [int((logits[n].argmax(1) == labels).sum()) for n in names]
    assert table_of(pool, (0, 1)).run([0.9]).statistics.sum() > max(right)
