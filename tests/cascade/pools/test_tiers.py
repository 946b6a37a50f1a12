"""Tiers against votes counted one by one; means against the pool's own ensembles."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.logits import Answers, LogitsPool
from cascade_exp.cascade.pools.tiers import (
    TierPool,
    check_tiers,
    vote,
    vote_decided,
    vote_threshold,
)
from cascade_exp.cascade.search.engine import search
from cascade_exp.errors import CascadeError
from tests.oracles.votes import demanded, plurality, undecided

COARSE = st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.75, 1.0, -3.0])
WILD = st.floats(-1.7e308, 1.7e308, allow_subnormal=False)


@st.composite
def ballots(draw, scores):
    n, size = draw(st.integers(1, 6)), draw(st.integers(0, 12))
    votes = draw(st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), max_size=size))
    given_scores = [[draw(scores) for _ in row] for row in votes]
    return n, votes, given_scores


@given(ballots(COARSE))
def test_the_plurality_wins_and_ties_go_by_score_then_index(ballot):
    n, votes, scores = ballot
    answer, share = vote(np.array(votes).reshape(-1, n).T, np.array(scores).reshape(-1, n).T)
    expected = [plurality(v, s) for v, s in zip(votes, scores, strict=True)]
    assert answer.tolist() == [e[0] for e in expected]
    assert share.tolist() == [e[1] for e in expected]


@given(ballots(WILD))
def test_huge_scores_never_overflow(ballot):
    n, votes, scores = ballot
    with np.errstate(all="raise", under="ignore"):
        _, share = vote(np.array(votes).reshape(-1, n).T, np.array(scores).reshape(-1, n).T)
    assert np.isfinite(share).all()


@given(
    st.integers(1, 4).flatmap(
        lambda members: st.tuples(
            st.just(members),
            st.lists(st.integers(0, 3), min_size=1, max_size=members),
            st.sampled_from([None, -np.inf, np.inf, *(k / members for k in range(members + 1))]),
            st.sampled_from(["ge", "gt"]),
        )
    )
)
def test_a_vote_is_decided_where_no_further_votes_change_what_the_tier_does(case):
    members, so_far, threshold, compare = case
    found = vote_decided(np.array(so_far)[:, None], members, threshold, compare)
    assert found.tolist() == [not undecided(so_far, members, threshold, compare)]


@given(st.integers(1, 12), st.integers(0, 24), st.integers(1, 24))
def test_a_fraction_demands_exactly_its_votes(members, a, b):
    wanted = Fraction(a, b)
    if wanted > 1:
        with pytest.raises(CascadeError, match="share of the votes"):
            vote_threshold(f"{a}/{b}", members)
        return
    k = demanded(wanted, members)
    assert vote_threshold(f"{a}/{b}", members) == k / members
    strict = vote_threshold(f"{a}/{b}", members, "gt")
    for votes in range(members + 1):
        assert (votes / members >= k / members) == (Fraction(votes, members) >= wanted)
        assert (votes / members > strict) == (Fraction(votes, members) > wanted)


@given(st.integers(1, 20), st.data())
def test_a_share_rounded_to_two_places_means_that_share(members, data):
    k = data.draw(st.integers(1, members))
    rounded = f"{k / members:.2f}"
    assert vote_threshold(rounded, members) == k / members
    assert vote_threshold(rounded, members, "gt") == k / members


@pytest.mark.parametrize(
    ("given_text", "members", "expected"),
    [
        ("0.67", 3, 2 / 3),
        ("0.66", 3, 2 / 3),
        ("0.66", 4, 0.75),
        ("2/3", 2, 1.0),
        ("1", 5, 1.0),
        ("0.5", 2, 0.5),
        ("inf", 3, np.inf),
        ("-inf", 3, -np.inf),
    ],
)
def test_thresholds_are_snapped_to_votes(given_text, members, expected):
    assert vote_threshold(given_text, members) == expected


@pytest.mark.parametrize("text", ["1.2", "-1", "3/2", "1/0", "nan", "most", ""])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(CascadeError, match="expected a share of the votes from 0 to 1"):
        vote_threshold(text, 3)


def logits_pool(rng, models=5, size=60, classes=3, **kwargs) -> LogitsPool:
    labels = rng.integers(0, classes, size)
    names = [f"m{i}" for i in range(models)]
    outputs = {
        name: np.round(rng.normal(0, 1, (size, classes)) + np.eye(classes)[labels] * (1 + i), 1)
        for i, name in enumerate(names)
    }
    return LogitsPool.build(
        outputs,
        {name: float(1 + i) for i, name in enumerate(names)},
        labels,
        metric=make_metric(kwargs.pop("metric", "max_softmax")),
        objective=make_objective("accuracy"),
        **kwargs,
    )


def tier_pool(models, tiers, metric="vote", combine="vote", ensemble="none", parallel="sum"):
    return TierPool.build(
        models,
        tiers,
        metric=make_metric(metric),
        combine=combine,
        ensemble=ensemble,
        parallel=parallel,
    )


def heard(said, tier, x):
    """What a tier says of example x, counted by hand."""
    return plurality([said[m].prediction[x] for m in tier], [said[m].confidence[x] for m in tier])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["ge", "gt"]), st.sampled_from(["sum", "max"]))
def test_every_threshold_of_tiers_as_if_run_by_hand(seed, compare, parallel):
    rng = np.random.default_rng(seed)
    models = logits_pool(rng, size=25)
    tiers = [(2, 0, 1), (3, 4)]
    pool = tier_pool(models, tiers, parallel=parallel)
    found = search(pool, models.objective, cascades=[(0, 1)], compare=compare)
    said = [models.stage((m,)) for m in range(5)]
    add = {"sum": sum, "max": max}[parallel]
    cost = [add(models.cost[list(t)]) for t in tiers]
    settings_by_hand = []
    for least in range(1, 5):  # votes demanded of the first tier; 4 of 3 are never there
        right, paid = 0, 0.0
        for x in range(25):
            answer, share = heard(said, (0, 1, 2), x)
            paid += cost[0]
            if share * 3 < least - 1e-9:
                answer, _ = heard(said, (3, 4), x)
                paid += cost[1]
            right += int(answer == models.labels[x])
        settings_by_hand.append((paid / 25, right / 25))
    best = {}
    for paid, score in settings_by_hand:
        if all(p > paid or s < score or (p, s) == (paid, score) for p, s in settings_by_hand):
            best[round(paid, 9)] = score
    assert {round(p.cost, 9): p.score for p in found.front} == pytest.approx(best)
    for point in found.front:
        outcome = table_of(pool, point.members).run(point.thresholds, compare)
        assert outcome.cost.mean() == pytest.approx(point.cost)


def test_black_boxes_vote_with_their_confidences():
    labels = np.array([0, 1, 2])
    answers = {
        "a": Answers(np.array([0, 1, 7]), np.array([0.2, 0.9, 0.4])),
        "b": Answers(np.array([1, 1, 2]), np.array([0.3, 0.1, 0.4])),
    }
    models = LogitsPool.build(
        answers,
        {"a": 1.0, "b": 2.0},
        labels,
        metric=make_metric("recorded"),
        objective=make_objective("accuracy"),
    )
    stage = tier_pool(models, [(0, 1)]).stage((0,))
    assert stage.prediction.tolist() == [1, 1, 2]  # surer, agreed, the lower index
    assert stage.confidence.tolist() == [0.5, 1.0, 0.5]
    assert stage.statistics[:, 0].tolist() == [0, 1, 1]


@pytest.mark.parametrize("combine", ["mean_logits", "mean_softmax"])
def test_a_mean_tier_is_the_ensemble_of_its_models(combine):
    models = logits_pool(np.random.default_rng(1), metric="entropy")
    pool = tier_pool(models, [(1, 0), (2,)], metric="entropy", combine=combine)
    whole = logits_pool(np.random.default_rng(1), metric="entropy", ensemble=combine)
    both = (pool.stage((0,)), whole.stage((0, 1))), (pool.stage((0, 1)), models.stage((2,)))
    for mine, its in both:
        assert mine.confidence.tolist() == its.confidence.tolist()
        assert mine.prediction.tolist() == its.prediction.tolist()
    for run in ((0,), (1,), (0, 1)):
        expected = pool.stage(run).statistics.tolist()
        fresh = tier_pool(models, [(1, 0), (2,)], metric="entropy", combine=combine)
        assert fresh.final_statistics(run).tolist() == expected
    together = tier_pool(models, [(1, 0), (2,)], "entropy", combine, combine)
    assert together.stage((0, 1)).confidence.tolist() == whole.stage((0, 1, 2)).confidence.tolist()
    surer = tier_pool(models, [(1, 0), (2,)], "entropy", combine, "comparison")
    early, late = whole.stage((0, 1)), models.stage((2,))
    expected = np.where(late.confidence >= early.confidence, late.prediction, early.prediction)
    assert surer.stage((0, 1)).prediction.tolist() == expected.tolist()


def test_names_and_costs_of_tiers():
    models = logits_pool(np.random.default_rng(0))
    assert tier_pool(models, [(2, 0), (4,)]).names == ("m2+m0", "m4")
    assert tier_pool(models, [(2, 0), (4,)]).cost.tolist() == [4.0, 5.0]
    assert tier_pool(models, [(2, 0), (4,)], parallel="max").cost.tolist() == [3.0, 5.0]
    with pytest.raises(CascadeError, match="different models"):
        tier_pool(models, [(0, 0)])


@pytest.mark.parametrize(
    ("metric", "combine", "ensemble", "said"),
    [
        ("max_softmax", "vote", "none", "metric=max_softmax with cascade.combine=vote"),
        ("vote", "mean_logits", "none", "metric=vote with cascade.combine=mean_logits"),
        ("vote", "vote", "mean_logits", "metric=vote with ensemble=mean_logits"),
        (
            "logits_margin",
            "mean_softmax",
            "none",
            "logits_margin with cascade.combine",
        ),
        (
            "max_softmax",
            "mean_logits",
            "mean_softmax",
            "mean_softmax with cascade.combine",
        ),
        ("recorded", "mean_logits", "none", "metric=recorded with cascade.combine=mean_logits"),
        ("vote", "votes", "none", "cascade.combine=votes.*did you mean 'vote'"),
    ],
)
def test_what_does_not_go_together_names_both_keys(metric, combine, ensemble, said):
    with pytest.raises(CascadeError, match=said):
        check_tiers(metric, combine, ensemble)
