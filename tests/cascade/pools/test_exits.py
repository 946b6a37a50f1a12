"""Exits as stages, and patience, against a loop over every example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.exits import ExitPool, run_lengths
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.search.engine import search

ACCURACY = make_objective("accuracy")


def pool_of(logits, labels, cost=None, metric="max_softmax", patient=False, ensemble="none"):
    """``logits`` [N, exits, K]."""
    exits = logits.shape[1]
    cumulative = np.cumsum(np.ones(exits)) if cost is None else cost
    models = LogitsPool.build(
        {f"net@{e + 1}": logits[:, e] for e in range(exits)},
        {f"net@{e + 1}": float(cumulative[e]) for e in range(exits)},
        labels,
        metric=make_metric(metric),
        objective=ACCURACY,
        ensemble=ensemble,
    )
    return ExitPool(models, patient)


def test_run_lengths_by_hand():
    predictions = np.array([[0, 1, 2], [0, 2, 2], [0, 2, 0], [1, 2, 0]])
    assert run_lengths(predictions).tolist() == [[1, 1, 1], [2, 1, 2], [3, 2, 1], [1, 3, 2]]
    assert run_lengths(predictions[:, :0]).shape == (4, 0)
    assert run_lengths(predictions[:1]).tolist() == [[1, 1, 1]]


@st.composite
def networks(draw):
    """Logits [N, exits, K] with many ties, labels, growing costs."""
    size, exits, classes = (draw(st.integers(1, n)) for n in (9, 5, 3))
    values = st.lists(
        st.sampled_from([-1.0, 0.0, 0.5, 2.0]),
        min_size=size * exits * classes,
        max_size=size * exits * classes,
    )
    logits = np.array(draw(values)).reshape(size, exits, classes)
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size))
    steps = draw(st.lists(st.sampled_from([1.0, 2.0, 0.25]), min_size=exits, max_size=exits))
    return logits, np.array(labels), np.cumsum(steps)


def literal(logits, labels, cost, threshold, patient):
    """Mean cost and accuracy of one network, example by example, exit by exit."""
    paid, right = [], []
    for row, label in zip(logits, labels, strict=True):
        run, before = 0, None
        for exit, scores in enumerate(row):
            answer = int(np.argmax(scores))
            run = run + 1 if answer == before else 1
            before = answer
            p = np.exp(scores - scores.max())
            sure = run if patient else (p / p.sum()).max()
            if sure >= threshold or exit == len(row) - 1:
                paid.append(cost[exit])
                right.append(answer == label)
                break
    return sum(paid) / len(paid), sum(right) / len(right)


@given(networks(), st.booleans())
def test_shared_sweep_is_every_threshold_of_every_example(network, patient):
    logits, labels, cost = network
    pool = pool_of(logits, labels, cost, patient=patient)
    found = search(
        pool,
        ACCURACY,
        cascades=[pool.cascade, *((m,) for m in pool.static)],
        shared=True,
        threads=1,
    )
    assert found.exact
    p = np.exp(logits - logits.max(axis=2, keepdims=True))
    values = (p / p.sum(axis=2, keepdims=True)).max(axis=2)
    thresholds = range(1, logits.shape[1] + 2) if patient else [*np.unique(values), np.inf]
    settings = [literal(logits, labels, cost, t, patient) for t in thresholds]
    settings += [
        (cost[e], float((logits[:, e].argmax(axis=1) == labels).mean()))
        for e in range(logits.shape[1])
    ]
    best = {c: max(s for d, s in settings if d <= c) for c, _ in settings}
    front = sorted(
        (c, s) for c, s in best.items() if not any(d < c and t >= s for d, t in best.items())
    )
    assert [point.cost for point in found.front] == pytest.approx([c for c, _ in front])
    assert [point.score for point in found.front] == pytest.approx([s for _, s in front])


@given(networks())
def test_a_cascade_costs_what_the_exit_has_cost(network):
    logits, labels, cost = network
    pool = pool_of(logits, labels, cost)
    exits = logits.shape[1]
    table = table_of(pool, pool.cascade)
    assert table.worst_case_cost == pytest.approx(cost[-1])
    never = table.run([np.inf] * (exits - 1))
    assert never.cost.tolist() == pytest.approx([cost[-1]] * len(labels))
    for exit in range(exits):
        alone = table_of(pool, pool.static[exit : exit + 1])
        assert alone.names == (f"net@{exit + 1}",)
        assert alone.run([]).cost.tolist() == [cost[exit]] * len(labels)
        assert alone.run([]).prediction.tolist() == logits[:, exit].argmax(axis=1).tolist()


def test_ten_exits_stay_in_order():
    rng = np.random.default_rng(0)
    pool = pool_of(rng.normal(size=(5, 12, 2)), np.zeros(5, np.int64))
    assert pool.names[:12] == tuple(f"net@{e}" for e in range(1, 13))


def test_ensembles_take_the_exits_before():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 3, 2)), np.zeros(6, np.int64)
    pool = pool_of(logits, labels, ensemble="mean_logits")
    means = logits.mean(axis=1).argmax(axis=1)
    assert pool.stage((0, 1, 2)).prediction.tolist() == means.tolist()
    assert pool.stage(pool.static[2:]).prediction.tolist() == logits[:, 2].argmax(axis=1).tolist()
    assert not pool.prefix_free
