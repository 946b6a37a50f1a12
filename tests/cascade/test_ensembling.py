from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cascade_exp.cascade import rows
from cascade_exp.cascade.confidence import METRICS, Metric, make_metric
from cascade_exp.cascade.ensembling import (
    ENSEMBLES,
    MEANS,
    Member,
    check_combination,
    comparison,
    score_means,
)
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools import logits as pool_module
from cascade_exp.cascade.pools.logits import Answers, LogitsPool
from cascade_exp.cascade.stages import Stage
from cascade_exp.errors import CascadeError
from tests.cascade.metrics import every_metric, metric_called
from tests.oracles import ensembles as oracle
from tests.oracles import softmax_scores

OBJECTIVES = [
    make_objective("accuracy"),
    make_objective("topk_accuracy", k=2),
    make_objective("f1", average="macro"),
]


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    size, classes = draw(st.integers(0, 5)), draw(st.integers(1, 7))
    values = draw(
        st.sampled_from(
            [
                st.integers(-8, 8).map(lambda i: i / 2),
                st.floats(-20, 20),
                st.sampled_from([0.0, -0.0, 40.0, 60_000.0, -60_000.0]),
            ]
        )
    )
    drawn = []
    for i in range(draw(st.integers(2, 4))):
        logits = draw(hnp.arrays(np.float64, (size, classes), elements=values))
        dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
        temperature = draw(st.sampled_from([0.5, 1.0, 3.0]))
        drawn.append(Member(logits.astype(dtype), temperature, f"model{i}"))
    return drawn


def pool_of(members_: list[Member], labels: np.ndarray, metric="max_softmax", **chosen):
    return LogitsPool.build(
        {member.source: member.logits for member in members_},
        {member.source: 1.0 for member in members_},
        labels,
        metric=metric if isinstance(metric, Metric) else make_metric(metric),
        temperatures={member.source: member.temperature for member in members_},
        **{"objective": make_objective("accuracy"), **chosen},
    )


def some_labels(drawn: list[Member]) -> np.ndarray:
    size, classes = drawn[0].logits.shape
    return np.arange(size) % classes


@pytest.mark.parametrize("name", METRICS)
@given(drawn=members(), k=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_mean_logits_is_its_definition(name, drawn, k):
    labels = some_labels(drawn)
    pool = pool_of(drawn, labels, metric=metric_called(name, k=k), ensemble="mean_logits")
    stage = pool.stage(tuple(range(len(drawn))))
    for i in range(len(labels)):
        combined = oracle.mean_logits(
            [member.logits[i] for member in drawn], [member.temperature for member in drawn]
        )
        assert stage.prediction[i] == softmax_scores.prediction(combined)
        assert stage.statistics[i, 0] == (stage.prediction[i] == labels[i])
        rounding = 1e-15 * (1 + np.abs(combined).max())  # the oracle's, in the mean it divides
        expected = softmax_scores.scores(combined, k=k).get(name, np.nan)
        if not np.isnan(expected):
            assert stage.confidence[i] == pytest.approx(expected, rel=4e-15, abs=rounding)


@pytest.mark.parametrize("name", [m.name for m in METRICS.values() if not m.needs_logits])
@given(drawn=members(), k=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_mean_softmax_is_its_definition(name, drawn, k):
    labels = some_labels(drawn)
    pool = pool_of(drawn, labels, metric=metric_called(name, k=k), ensemble="mean_softmax")
    stage = pool.stage(tuple(range(len(drawn))))
    for i in range(len(labels)):
        q = oracle.mean_softmax(
            [member.logits[i] for member in drawn], [member.temperature for member in drawn]
        )
        highest = q.max()
        assert q[stage.prediction[i]] == pytest.approx(highest, rel=1e-14)
        expected = oracle.distribution_scores(q, k).get(name, np.nan)
        if not np.isnan(expected):
            assert stage.confidence[i] == pytest.approx(expected, rel=4e-14, abs=1e-15)


@pytest.mark.parametrize("name", METRICS)
@given(drawn=members(), k=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_comparison_takes_the_most_confident_and_the_later_of_equals(name, drawn, k):
    labels = some_labels(drawn)
    pool = pool_of(drawn, labels, metric=metric_called(name, k=k), ensemble="comparison")
    stage = pool.stage(tuple(range(len(drawn))))
    alone = [pool.stage((m,)) for m in range(len(drawn))]
    for i in range(len(labels)):
        winner = max(range(len(drawn)), key=lambda m: (alone[m].confidence[i], m))
        assert stage.confidence[i] == alone[winner].confidence[i]
        assert stage.prediction[i] == alone[winner].prediction[i]
        if name in softmax_scores.scores(drawn[0].logits[i]):
            _, highest, _ = oracle.comparison(
                [member.logits[i] for member in drawn],
                [member.temperature for member in drawn],
                name,
                k,
            )
            assert stage.confidence[i] == pytest.approx(highest, rel=4e-14, abs=2e-15)


def test_comparison_of_equally_confident_stages_is_the_later_ones_answer():
    confidence = np.array([0.5, 0.7, 0.2])
    first = Stage(confidence, np.array([0, 0, 0]), np.array([[1], [1], [1]]))
    second = Stage(np.array([0.5, 0.6, 0.3]), np.array([1, 1, 1]), np.array([[0], [0], [0]]))
    both = comparison(first, second)
    assert both.prediction.tolist() == [1, 0, 1]
    assert both.statistics[:, 0].tolist() == [0, 1, 0]
    assert both.confidence.tolist() == [0.5, 0.7, 0.3]


@pytest.mark.parametrize("ensemble", [name for name in ENSEMBLES if name != "none"])
@given(drawn=members())
@settings(deadline=None, max_examples=30)
def test_an_ensemble_of_one_is_that_one(ensemble, drawn):
    labels = some_labels(drawn)
    alone = pool_of(drawn, labels, metric="entropy")
    pool = pool_of(drawn, labels, metric="entropy", ensemble=ensemble)
    assert not pool.prefix_free
    for m in range(len(drawn)):
        for field in ("confidence", "prediction", "statistics"):
            np.testing.assert_array_equal(
                getattr(pool.stage((m,)), field), getattr(alone.stage((m,)), field)
            )


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)
@given(drawn=members())
@settings(deadline=None, max_examples=30)
def test_final_statistics_are_the_stages_own(ensemble, objective, drawn):
    labels = some_labels(drawn)
    pool = pool_of(drawn, labels, metric="max_softmax", ensemble=ensemble, objective=objective)
    n = len(drawn)
    for run in [(0,), (1, 0), tuple(range(n)), (0, *range(n))]:
        np.testing.assert_array_equal(pool.final_statistics(run), pool.stage(run).statistics)


@pytest.mark.parametrize("ensemble", MEANS)
def test_a_lead_lost_to_rounding_goes_to_the_lower_class_in_either_way_of_asking(ensemble):
    low = 1.5
    while low / 3 != np.nextafter(low, 2) / 3:
        low = np.nextafter(low, 2)
    tiny = Member(np.array([[0.0, 1e-20]]), 1.0, "tiny")
    lost = Member(np.array([[low, np.nextafter(low, 2)]]), 3.0, "lost")
    drawn = [lost, replace(lost, source="lost too")] if ensemble == "mean_logits" else [tiny, lost]
    pool = pool_of(drawn, np.array([1]), metric="max_softmax", ensemble=ensemble)
    assert [pool.stage((m,)).prediction[0] for m in range(2)] == [1, 1]
    assert pool.final_statistics((0, 1))[0, 0] == 0
    assert pool.stage((0, 1)).prediction[0] == 0


@pytest.mark.parametrize("ensemble", MEANS)
@pytest.mark.parametrize("classes", [3, 1023, 1024, 1500, 2049])
def test_chunks_and_memory_maps_change_no_bit_of_a_mean(ensemble, classes, tmp_path, monkeypatch):
    rng = np.random.default_rng(classes)
    logits = [(rng.standard_normal((13, classes)) * 4).astype(np.float32) for _ in range(3)]
    labels = rng.integers(0, classes, 13)
    drawn = [Member(z, 1.5, "model") for z in logits]
    functions = [m for m in every_metric(k=4) if ensemble == "mean_logits" or not m.needs_logits]
    whole = score_means(ensemble, drawn, functions, labels)
    mapped = []
    for i, z in enumerate(logits):
        np.save(tmp_path / f"{i}.npy", z)
        mapped.append(Member(np.load(tmp_path / f"{i}.npy", mmap_mode="r"), 1.5, "model"))
    monkeypatch.setattr(rows, "CHUNK_BYTES", 100_000)
    found = score_means(ensemble, mapped, functions, labels)
    for name, values in vars(found).items():
        np.testing.assert_array_equal(values, getattr(whole, name), err_msg=name)
    combine = {"mean_logits": oracle.mean_logits, "mean_softmax": oracle.mean_softmax}[ensemble]
    for i in range(13):
        mean = combine([z[i] for z in logits], [1.5] * 3)
        assert whole.prediction[i] == mean.argmax()
        assert whole.label_rank[i] == softmax_scores.label_rank(mean, int(labels[i]))


def test_stages_are_kept_up_to_a_bound_and_come_out_the_same_again(monkeypatch):
    rng = np.random.default_rng(0)
    drawn = [Member(rng.standard_normal((50, 4)), 1.0, f"m{i}") for i in range(5)]
    pool = pool_of(drawn, some_labels(drawn), metric="max_softmax", ensemble="mean_softmax")
    first = pool.stage((0, 1, 2))
    assert pool.stage((0, 1, 2)) is first
    monkeypatch.setattr(pool_module, "KEPT_BYTES", 3 * 50 * 24)
    for last in (3, 4):
        pool.stage((0, last))
        pool.stage((1, last))
    again = pool.stage((0, 1, 2))
    assert again is not first
    np.testing.assert_array_equal(again.confidence, first.confidence)
    assert pool.stage((1, 4)) is pool.stage((1, 4))


def test_what_cannot_go_together_names_both_keys():
    for metric, ensemble in (
        ("logits_margin", "mean_softmax"),
        ("energy", "mean_softmax"),
        ("recorded", "comparison"),
        ("recorded", "mean_logits"),
        ("recorded", "mean_softmax"),
    ):
        with pytest.raises(CascadeError, match=f"metric={metric} with ensemble={ensemble}: "):
            check_combination(metric, ensemble)
        with pytest.raises(CascadeError, match=f"metric={metric} with ensemble={ensemble}: "):
            LogitsPool.build(
                {"box": Answers(np.zeros(1, np.int64), np.zeros(1))},
                {"box": 1.0},
                np.zeros(1, np.int64),
                metric=make_metric(metric),
                ensemble=ensemble,
                objective=make_objective("accuracy"),
            )
    refused = {(m, "mean_softmax") for m in ("logits_margin", "energy")}
    for metric in METRICS:
        for ensemble in ENSEMBLES:
            if (metric, ensemble) not in refused:
                check_combination(metric, ensemble)


@pytest.mark.parametrize("ensemble", MEANS)
def test_a_row_that_is_not_finite_is_named_with_its_model(ensemble):
    good = Member(np.zeros((3, 2)), 1.0, "good.npy")
    bad = Member(np.array([[0, 0], [0, 0], [1, np.nan]]), 1.0, "bad.npy")
    labels = np.zeros(3, np.int64)
    pool = pool_of([good, bad], labels, metric="max_softmax", ensemble=ensemble)
    with pytest.raises(CascadeError, match=r"^bad\.npy: row 2, class 1: logit nan"):
        pool.stage((0, 1))
    with pytest.raises(CascadeError, match=r"^bad\.npy: row 2, class 1: logit nan"):
        pool.final_statistics((0, 1))


def test_logits_whose_sum_overflows_are_refused():
    huge = [Member(np.array([[1.7e308, 0.0]]), 1.0, name) for name in "ab"]
    labels = np.zeros(1, np.int64)
    with pytest.raises(CascadeError, match=r"mean_logits of a, b: row 0, class 0: logit inf"):
        pool_of(huge, labels, metric="max_softmax", ensemble="mean_logits").stage((0, 1))
