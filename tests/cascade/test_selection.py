"""The rules against their definitions, spelled out over every setting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.frontier import Baseline, FrontPoint
from cascade_exp.cascade.selection import ELSEWHERE, RULES, Goals, NotFeasible, select
from cascade_exp.errors import CascadeError

SIZE = 20
FRONTS = st.lists(
    st.builds(
        lambda right, cost, extra: FrontPoint((0, 1), (0.5,), cost, right / SIZE, cost + extra),
        st.integers(0, SIZE),
        st.integers(1, 9).map(float),
        st.integers(0, 5).map(float),
    ),
    min_size=1,
    max_size=9,
)
BASELINE = Baseline.of([0.3, 0.6, 0.8], [1.0, 3.0, 9.0])
LIMITS = st.none() | st.integers(1, 12).map(float)


def goals(**changes):
    return Goals(**{"baseline": BASELINE, "reference": "big", "reference_score": 0.8} | changes)


def allowed(front, limit):
    return [p for p in front if limit is None or p.worst_case_cost <= limit]


class TestRulesByDefinition:
    @given(FRONTS, LIMITS, st.integers(0, SIZE), st.integers(0, SIZE))
    def test_match_accuracy(self, front, limit, reference, lost):
        found = select(
            "match_accuracy",
            front,
            goals(reference_score=reference / SIZE, tolerance=lost / SIZE, worst_case_cost=limit),
        )
        # Counts are compared as integers here: no rounding can hide.
        good = [p for p in allowed(front, limit) if round(p.score * SIZE) >= reference - lost]
        self.expect(found, good, lambda p: (p.cost, -p.score))

    @given(FRONTS, LIMITS, st.integers(0, SIZE))
    def test_target_accuracy(self, front, limit, least):
        aim = goals(target_accuracy=least / SIZE, worst_case_cost=limit)
        good = [p for p in allowed(front, limit) if round(p.score * SIZE) >= least]
        self.expect(select("target_accuracy", front, aim), good, lambda p: (p.cost, -p.score))

    @given(FRONTS, LIMITS, st.integers(0, 10).map(float))
    def test_target_cost(self, front, limit, budget):
        aim = goals(target_cost=budget, worst_case_cost=limit)
        good = [p for p in allowed(front, limit) if p.cost <= budget]
        self.expect(select("target_cost", front, aim), good, lambda p: (-p.score, p.cost))

    @given(FRONTS, LIMITS)
    def test_max_improvement(self, front, limit):
        found = select("max_improvement", front, goals(worst_case_cost=limit))
        good = [p for p in allowed(front, limit) if p.score <= BASELINE.top]
        self.expect(found, good, lambda p: (-float(BASELINE.cost_at(p.score)) / p.cost, -p.score))

    @given(FRONTS.map(lambda front: front[0]), LIMITS, st.sampled_from(["fixed", "guaranteed"]))
    def test_given(self, point, limit, rule):
        found = select(rule, [], goals(given={rule: point}, worst_case_cost=limit))
        self.expect(found, allowed([point], limit), lambda p: p.cost)

    @staticmethod
    def expect(found, good, order):
        if not good:
            assert isinstance(found, NotFeasible)
            return
        assert found in good
        assert order(found) == min(map(order, good))


class TestRounding:
    @pytest.mark.parametrize("size", [3, 7, 10, 97, 1000, 49_999])
    def test_the_same_count_always_matches_and_one_less_never_does(self, size):
        for right in {0, 1, size // 3, size // 2, size - 1, size}:
            for lost in {0, 1, size // 5} & set(range(right + 1)):
                aim = goals(reference_score=float(np.mean(np.arange(size) < right)))
                aim = goals(reference_score=aim.reference_score, tolerance=lost / size)
                same = FrontPoint((0,), (), 1.0, (right - lost) / size, 1.0)
                less = FrontPoint((0,), (), 1.0, (right - lost - 1) / size, 1.0)
                assert select("match_accuracy", [same], aim) == same
                assert isinstance(select("match_accuracy", [less], aim), NotFeasible)

    def test_costs_added_up_in_another_order_are_within_the_limit(self):
        point = FrontPoint((0, 1, 2), (0.5, 0.5), 0.1 + (0.2 + 0.3), 0.5, 0.1 + 0.2 + 0.3)
        assert select("target_cost", [point], goals(target_cost=0.6, worst_case_cost=0.6)) == point


class TestReasons:
    FRONT = (
        FrontPoint((0,), (), 2.0, 0.5, 2.0),
        FrontPoint((0, 1), (0.5,), 4.0, 0.75, 6.0),
    )

    @pytest.mark.parametrize(
        ("rule", "changes", "reason"),
        [
            ("match_accuracy", {}, "no setting keeps the 0.8 of big; the best scores 0.75"),
            (
                "match_accuracy",
                {"tolerance": 0.01},
                "no setting keeps the 0.8 of big less 0.01; the best scores 0.75",
            ),
            (
                "target_accuracy",
                {"target_accuracy": 0.9},
                "no setting scores at least 0.9; the best scores 0.75",
            ),
            (
                "target_accuracy",
                {"target_accuracy": 0.75, "worst_case_cost": 3.0},
                "no setting scores at least 0.75; the best scores 0.5",
            ),
            (
                "target_cost",
                {"target_cost": 1.5},
                "no setting costs at most 1.5; the cheapest costs 2",
            ),
            (
                "target_cost",
                {"target_cost": 9.0, "worst_case_cost": 1.0},
                "no setting has a worst-case cost of at most 1; the least on the front is 2",
            ),
            (
                "max_improvement",
                {"baseline": Baseline.of([0.4], [1.0])},
                "no setting scores at most the 0.4 of the best single model, above which there is "
                "no baseline; the least score is 0.5",
            ),
            (
                "fixed",
                {"given": {"fixed": FRONT[1]}, "worst_case_cost": 5.0},
                "the fixed setting has a worst-case cost of 6, above 5",
            ),
            ("guaranteed", {"given": {"guaranteed": NotFeasible("not shown")}}, "not shown"),
        ],
    )
    def test_say_the_numbers(self, rule, changes, reason):
        assert select(rule, self.FRONT, goals(**changes)) == NotFeasible(reason)

    def test_an_empty_front(self):
        assert select("max_improvement", [], goals()) == NotFeasible("the front is empty")
        assert select("max_improvement", [], goals(worst_case_cost=1.0)) == NotFeasible(
            "no setting has a worst-case cost of at most 1"
        )

    @pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
    def test_a_rule_needs_the_goal_that_it_declares_and_no_other(self, rule):
        limit = {"target_cost": 9.0, "target_accuracy": 0.1}
        if rule.goal is None:
            assert select(rule.name, self.FRONT, goals())
            return
        with pytest.raises(CascadeError, match=f"{rule.name}, but threshold.{rule.goal} is not"):
            select(rule.name, self.FRONT, goals())
        assert select(rule.name, self.FRONT, goals(**{rule.goal: limit.get(rule.goal, 1.0)}))

    @pytest.mark.parametrize("rule", RULES)
    def test_every_rule_chooses_from_the_front_it_is_given_within_the_limit(self, rule):
        aim = goals(target_cost=9.0, target_accuracy=0.1, worst_case_cost=3.0)
        found = select(rule, self.FRONT, aim)
        assert found == self.FRONT[0] or isinstance(found, NotFeasible)
        assert isinstance(select(rule, [], aim), NotFeasible)

    @pytest.mark.parametrize("rule", ELSEWHERE)
    def test_a_setting_that_must_be_given_is_asked_for(self, rule):
        with pytest.raises(CascadeError, match=f"rules names {rule}, but no {rule} setting"):
            select(rule, self.FRONT, goals())

    def test_an_unknown_rule_is_refused(self):
        with pytest.raises(CascadeError, match="did you mean 'target_cost'"):
            select("targetcost", self.FRONT, goals())
