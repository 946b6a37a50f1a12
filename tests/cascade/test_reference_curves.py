"""Ideal and random deferral against every possible way of deferring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cascade_exp.cascade.costs import exit_costs
from cascade_exp.cascade.reference_curves import (
    ideal_deferral,
    ideal_front,
    leave_iff_right,
    most_confident,
    random_deferral,
)
from cascade_exp.cascade.stages import Stage, StageTable
from cascade_exp.errors import CascadeError
from tests.oracles import reference_curves as oracle

COSTS = st.lists(st.sampled_from([1.0, 2.0, 2.5, 40.0]), min_size=3, max_size=3)
ACCOUNTING = st.sampled_from(["cumulative", "exit_tier"])


def rights(stages, size):
    return arrays(np.bool_, (stages, size))


@given(st.integers(1, 6).flatmap(lambda n: rights(2, n)), COSTS, ACCOUNTING)
def test_ideal_deferral_is_the_best_choice_of_who_leaves(correct, costs, accounting):
    cost = exit_costs(np.array(costs[:2]), accounting)
    curve = ideal_deferral(correct, cost)
    size = correct.shape[1]
    for exits in range(size + 1):
        assert curve.score[exits] == oracle.best_score_at_exits(correct, cost, exits)
        assert curve.cost[exits] == pytest.approx(
            (exits * cost[0] + (size - exits) * cost[1]) / size
        )


@given(st.integers(1, 5).flatmap(lambda n: rights(3, n)), COSTS, ACCOUNTING)
def test_ideal_front_is_the_least_cost_of_every_score(correct, costs, accounting):
    cost = exit_costs(np.array(costs), accounting)
    curve = ideal_front(correct, cost)
    least = oracle.least_costs(correct, cost)
    for score, paid in zip(curve.score, curve.cost, strict=True):
        assert paid == pytest.approx(min(c for s, c in least.items() if s >= score))
    assert curve.score[-1] == max(least)
    cheapest = min(least.values())
    assert curve.score[0] == max(s for s, c in least.items() if c <= cheapest * (1 + 1e-12))
    assert np.all(np.diff(curve.cost) > 0)


@given(st.integers(1, 5).flatmap(lambda n: rights(3, n)), COSTS)
def test_no_rule_scores_more_than_leaving_iff_right(correct, costs):
    cost = exit_costs(np.array(costs), "cumulative")
    paid, score = leave_iff_right(correct, cost)
    assert score == max(s for _, _, s in oracle.outcomes(correct, cost))
    expected = [
        cost[next((s for s in range(3) if correct[s, i]), 2)] for i in range(correct.shape[1])
    ]
    assert paid == pytest.approx(np.mean(expected))


@given(st.integers(1, 30).flatmap(lambda n: rights(2, n)), COSTS)
def test_two_stages_pass_through_leaving_iff_right(correct, costs):
    cost = exit_costs(np.array(costs[:2]), "cumulative")
    curve = ideal_deferral(correct, cost)
    at = int(correct[0].sum())
    assert (curve.cost[at], curve.score[at]) == pytest.approx(leave_iff_right(correct, cost))
    assert curve.score[at] == curve.score.max()


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(rights(2, n), st.integers(0, 9))))
def test_no_confidence_beats_the_ideal_at_its_exit_rate(data):
    correct, seed = data
    size = correct.shape[1]
    confidence = np.random.default_rng(seed).integers(0, 5, size).astype(np.float64)
    prediction = np.zeros(size, dtype=np.int64)
    table = StageTable(
        ("a", "b"),
        tuple(Stage(confidence, prediction, right.astype(np.int64)[:, None]) for right in correct),
        np.array([1.0, 9.0]),
    )
    curve = ideal_deferral(correct, exit_costs(table.cost, "cumulative"))
    chance = random_deferral(
        correct.mean(axis=1), [1.0, 10.0], [[e / size, 1 - e / size] for e in range(size + 1)]
    )
    assert chance.cost == pytest.approx(curve.cost)
    assert np.all(chance.score <= curve.score + 1e-12)
    for threshold in (*np.unique(confidence), np.inf):
        outcome = table.run([threshold])
        exits = int((outcome.exit_stage == 0).sum())
        assert outcome.cost.mean() == pytest.approx(curve.cost[exits])
        assert outcome.statistics.sum() / size <= curve.score[exits]


def test_random_deferral_is_the_mean_over_random_cascades():
    rng = np.random.default_rng(0)
    correct = rng.random((3, 40)) < np.array([[0.5], [0.7], [0.9]])
    cost, rates = exit_costs(np.array([1.0, 2.0, 6.0]), "cumulative"), [0.5, 0.3, 0.2]
    exits = rng.choice(3, size=(20_000, 40), p=rates)
    drawn = correct[exits, np.arange(40)].mean(axis=1)
    curve = random_deferral(correct.mean(axis=1), cost, [rates])
    for found, sample in ((curve.score[0], drawn), (curve.cost[0], cost[exits].mean(axis=1))):
        assert found == pytest.approx(sample.mean(), abs=5 * sample.std() / np.sqrt(20_000))


@given(st.lists(st.tuples(st.integers(0, 6).map(float), st.booleans()), min_size=1, max_size=20))
def test_most_confident_by_definition(examples):
    confidence = np.array([c for c, _ in examples])
    correct = np.array([r for _, r in examples])
    curve = most_confident(confidence, correct)
    levels = np.unique(confidence)[::-1]
    assert curve.share == pytest.approx([np.mean(confidence >= t) for t in levels])
    assert curve.accuracy == pytest.approx([np.mean(correct[confidence >= t]) for t in levels])
    best = np.sort(correct)[::-1]
    counts = np.rint(curve.share * len(examples)).astype(int)
    assert curve.bound == pytest.approx([np.mean(best[:k]) for k in counts])
    assert np.all(curve.accuracy <= curve.bound + 1e-12)


def test_bad_input():
    nobody = np.zeros((2, 0), dtype=bool)
    for curve in (leave_iff_right, ideal_deferral, ideal_front):
        with pytest.raises(CascadeError, match="at least one example"):
            curve(nobody, np.ones(2))
        with pytest.raises(CascadeError, match="3 exit costs for 2 stages"):
            curve(np.ones((2, 4), dtype=bool), np.ones(3))
    with pytest.raises(CascadeError, match="needs 2 stages, found 3"):
        ideal_deferral(np.ones((3, 4), dtype=bool), np.ones(3))
    assert len(most_confident([], []).share) == 0
