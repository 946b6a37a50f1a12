"""The words for thresholds, and the pool that wraps another one."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from cascade_exp.cascade.confidence import Confidence, make_metric
from cascade_exp.cascade.links import Links
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import WrappedPool, condition, conditions
from cascade_exp.cascade.pools.exits import ExitPool
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.pools.placed import PlacedPool, Placement
from cascade_exp.cascade.pools.tiers import TierPool, agreement_text
from tests.cascade.search.search_pools import random_pool


def logits_pool(metric="max_softmax", names="abc"):
    rng = np.random.default_rng(0)
    return LogitsPool.build(
        {name: rng.normal(size=(7, 3)) for name in names},
        {name: float(cost) for cost, name in enumerate(names, start=1)},
        rng.integers(0, 3, 7),
        metric=make_metric(metric),
        objective=make_objective("accuracy"),
    )


def test_conditions_in_words():
    thresholds = [0.5, -0.25, math.inf, -math.inf]
    entropy = logits_pool("entropy")
    assert entropy.describe((0, 1, 2), thresholds, "ge") == [
        "−entropy ≥ 0.5",
        "−entropy ≥ −0.25",
        "never",
        "always",
    ]
    assert logits_pool().describe((0, 1), [0.5], "gt") == ["max softmax > 0.5"]
    assert conditions(Confidence("x", "X"), [], "ge") == []


@pytest.mark.parametrize("members", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("compare", ["ge", "gt"])
def test_agreement_is_the_exit_rule_on_shares(members, compare):
    for k in range(members + 1):
        text = agreement_text(k / members, members, compare)
        leaves = [
            v / members >= k / members if compare == "ge" else v / members > k / members
            for v in range(1, members + 1)
        ]
        if all(leaves):
            assert text == "always"
        elif not any(leaves):
            assert text == "never"
        else:
            least = 1 + leaves.index(True)
            words = f"all {members}" if least == members else f"at least {least} of {members}"
            assert text == f"{words} agree"


def tiers(combine="vote"):
    metric = "vote" if combine == "vote" else "entropy"
    return TierPool.build(
        logits_pool(), [(0, 1), (0, 1, 2), (2,)], metric=make_metric(metric), combine=combine
    )


def test_tiers_say_how_many_agree():
    pool = tiers()
    assert pool.confidence.name == "vote"
    assert pool.describe((0, 1, 2), [1.0, 2 / 3], "ge") == ["all 2 agree", "at least 2 of 3 agree"]
    assert pool.describe_shared(2 / 3, "ge") == "share of votes ≥ 2/3"
    assert pool.describe_shared(math.inf, "ge") == "never"
    assert tiers("mean_logits").describe((0, 1), [-0.5], "ge") == ["−entropy ≥ −0.5"]


def test_placed_stages_are_described_as_the_stages_they_are():
    placement = Placement.of([0, 0, 1], Links((0.0, 1.0), (0.0, 0.0)), "cumulative")
    placed = PlacedPool(tiers(), np.ones(3), placement)
    members = placement.members((1, 2))
    assert members != (1, 2)
    assert placed.describe(members, [2 / 3], "ge") == ["at least 2 of 3 agree"]
    assert placed.confidence == tiers().confidence


def test_exits_with_patience_count_runs():
    exits = ExitPool(logits_pool(), patient=True)
    assert exits.describe(exits.cascade, [2.0, 3.0], "ge") == [
        "agreeing exits in a row ≥ 2",
        "agreeing exits in a row ≥ 3",
    ]
    assert exits.confidence.name == "patience"
    assert ExitPool(logits_pool(), patient=False).confidence == logits_pool().confidence


@dataclass
class Doubled(WrappedPool):
    """Another cost, and nothing else."""

    @property
    def cost(self):
        return 2 * self.base.cost


@pytest.mark.parametrize("prefix_free", [True, False])
def test_a_wrapped_pool_is_its_base_but_for_what_it_overrides(prefix_free):
    base = random_pool(0, 3, 20, 5, prefix_free)
    pool = Doubled(base)
    assert pool.cost.tolist() == (2 * base.cost).tolist()
    assert (pool.names, pool.size, pool.prefix_free) == (base.names, 20, prefix_free)
    assert pool.confidence == base.confidence
    assert pool.stage((0, 1)) == base.stage((0, 1))
    assert np.array_equal(pool.final_statistics((0, 2)), base.final_statistics((0, 2)))
    assert pool.describe((0, 1), [0.5], "ge") == [condition("table", 0.5, "ge")]
