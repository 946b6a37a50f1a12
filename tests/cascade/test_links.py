"""Links between tiers, and the arithmetic of CoE's Table 2 out of its own shares and tier costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.cascade.costs import dollars_per_example, exit_costs, tier_cost
from cascade_exp.cascade.links import (
    communication_saved,
    default_delays,
    latency_of,
    links_of,
)
from cascade_exp.errors import CascadeError
from cascade_exp.recordings.prices import gpu_prices

# Kolawole et al. 2024, Table 2: by data set, shares, then by metric the tiers' costs, CoE's, the
# best single model's. Dollars per hour are the GPUs' of Table 1, which the printed cells are shares
# of: 0.73 x 0.5 = 0.36.
PRICES = gpu_prices(None)
V100, A6000, A100, H100 = (PRICES[gpu] for gpu in ("V100", "A6000", "A100", "H100"))
TABLE_2 = {
    "CIFAR-10": {
        "shares": (0.73, 0.09, 0.08, 0.10),
        "dollars": ((V100, A6000, A100, H100), 0.79, 2.49),
        "latency": ((3.11, 3.79, 7.76, 9.07), 4.13, 9.07),
        "flops": ((5.42e6, 2.32e7, 1.16e8, 2.47e8), 3.97e7, 2.48e8),
    },
    "ImageNet-1K": {
        "shares": (0.52, 0.29, 0.19),
        "dollars": ((V100, A6000, A100), 0.74, 1.29),
        "latency": ((2.45, 2.88, 3.17), 2.71, 3.17),
        "flops": ((2.15e9, 3.90e9, 4.30e9), 3.07e9, 4.30e9),
    },
    "SWAG": {
        "shares": (0.71, 0.29),
        "dollars": ((V100, A6000), 0.59, 0.80),
        "latency": ((4.52, 8.05), 5.53, 8.05),
        "flops": ((1.88e10, 6.67e10), 3.25e10, 6.67e10),
    },
    "SST-2": {
        "shares": (0.93, 0.07),
        "dollars": ((V100, A6000), 0.52, 0.80),
        "latency": ((3.88, 7.22), 4.13, 7.22),
        "flops": ((5.43e9, 1.68e10), 6.26e9, 1.68e10),
    },
    "Twitter": {
        "shares": (0.65, 0.35),
        "dollars": ((V100, A6000), 0.61, 0.80),
        "latency": ((4.05, 7.26), 5.19, 7.26),
        "flops": ((6.83e9, 2.42e10), 1.30e10, 2.42e10),
    },
}
ROWS = [(data, metric) for data in TABLE_2 for metric in ("dollars", "latency", "flops")]


def slack(shares, paid, printed, metric):
    """What rounding allows: of shares (0.005 each, their sum 1), of the tiers' and own digits."""
    ordered = np.sort(paid)
    half = len(paid) // 2
    moved = 0.005 * (ordered[-half:].sum() - ordered[:half].sum())
    digits = 0.005 * (10 ** np.floor(np.log10(printed)) if metric == "flops" else 1)
    return moved + 2 * digits


@pytest.mark.parametrize(("data", "metric"), ROWS)
def test_table_2_counts_the_tier_that_answered_alone(data, metric):
    shares = np.array(TABLE_2[data]["shares"])
    costs, printed, _ = TABLE_2[data][metric]
    paid = exit_costs(np.array(costs), "exit_tier")
    off = abs(shares @ paid - printed)
    assert off <= slack(shares, paid, printed, metric)


@pytest.mark.parametrize(("data", "metric"), ROWS)
def test_cumulatively_every_row_costs_more_than_printed(data, metric):
    shares = np.array(TABLE_2[data]["shares"])
    costs, printed, _ = TABLE_2[data][metric]
    by_hand = sum(s * sum(costs[: i + 1]) for i, s in enumerate(shares))
    assert shares @ exit_costs(np.array(costs), "cumulative") == pytest.approx(by_hand)
    assert by_hand > printed + slack(shares, np.array(costs), printed, metric)


def test_cumulatively_imagenet_costs_more_flops_than_the_best_single_model():
    shares, (costs, _, best) = TABLE_2["ImageNet-1K"]["shares"], TABLE_2["ImageNet-1K"]["flops"]
    assert shares @ exit_costs(np.array(costs), "cumulative") == pytest.approx(4.84e9, rel=0.002)
    assert best == 4.30e9


def test_sst2_saves_fourteen_times_the_communication():
    links = links_of(2, None, 0.0, None, "constant", 0.0)
    saved = communication_saved(TABLE_2["SST-2"]["shares"], links)
    assert saved == pytest.approx(1 / 0.07, rel=1e-4) and round(saved) == 14


def test_lambda_prices_and_dollars_per_example():
    assert PRICES == {"V100": 0.5, "A6000": 0.8, "A100": 1.29, "H100": 2.49}
    assert dollars_per_example(3.6, 2.0) == pytest.approx(0.002)


@given(st.lists(st.floats(0.001, 1e9), min_size=1, max_size=5))
def test_a_tier_costs_its_sum_or_its_largest(costs):
    assert tier_cost(np.array(costs), "sum") == pytest.approx(sum(costs))
    assert tier_cost(np.array(costs), "max") == max(costs)


def test_default_delays_are_those_of_the_design():
    assert [default_delays(n) for n in (1, 2, 3, 4)] == [
        (1e-6,),
        (1e-6, 1.0),
        (1e-6, 1e-2, 1.0),
        (1e-6, 1e-2, 1e-1, 1.0),
    ]
    with pytest.raises(CascadeError, match="5 tiers, but defaults"):
        default_delays(5)


@given(st.data(), st.integers(1, 4), st.sampled_from(["cumulative", "exit_tier"]))
def test_an_example_pays_the_link_of_the_tier_it_leaves_at_alone(data, n, accounting):
    numbers = st.lists(st.floats(0.0, 10.0), min_size=n, max_size=n)
    latency, delays = np.array(data.draw(numbers)), sorted(data.draw(numbers))
    speeds = [4.0] * n
    links = links_of(n, delays, 8.0, speeds, "constant", 0.0)
    paid = exit_costs(latency + links.stage_costs(accounting), accounting)
    models = np.cumsum(latency) if accounting == "cumulative" else latency
    assert paid == pytest.approx(models + np.array(delays) + 2.0, abs=1e-9)


@pytest.mark.parametrize("distribution", ["constant", "exponential", "lognormal"])
def test_drawn_links_have_the_mean_they_are_said_to(distribution):
    links = links_of(2, [0.5, 2.0], 3.0, [6.0, 1.0], distribution, 0.4)
    tier = np.repeat([0, 1], 40_000)
    seconds = links.draw(tier, np.random.default_rng(0))
    assert seconds[:40_000].mean() == pytest.approx(1.0, rel=0.03)
    assert seconds[40_000:].mean() == pytest.approx(5.0, rel=0.03)
    assert (np.unique(seconds).size == 2) == (distribution == "constant")
    again = links.draw(tier, np.random.default_rng(0))
    assert seconds.tolist() == again.tolist()


def test_percentiles_of_latency():
    found = latency_of(np.arange(101.0), np.zeros(101))
    assert (found.mean, found.p50, found.p95, found.p99, found.link) == (50, 50, 95, 99, 0)


@pytest.mark.parametrize(
    ("delays", "payload", "bandwidth", "said"),
    [
        ([1.0], 0.0, None, "one for each of 2 tiers"),
        ([2.0, 1.0], 0.0, None, "expected growing delays"),
        ([-1.0, 1.0], 0.0, None, "cost.delays"),
        (None, 0.0, [1.0, 0.0], "cost.bandwidth"),
        (None, 1.0, [1.0], "cost.bandwidth"),
        (None, -1.0, None, "cost.payload"),
    ],
)
def test_links_that_cannot_be_are_refused(delays, payload, bandwidth, said):
    with pytest.raises(CascadeError, match=said):
        links_of(2, delays, payload, bandwidth, "constant", 0.1)
