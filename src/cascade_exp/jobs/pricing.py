"""What running each model costs, by the option ``cost=…``, and how far away its tier is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from cascade_exp.cascade.costs import Accounting, dollars_per_example
from cascade_exp.cascade.links import DISTRIBUTIONS, Distribution, Links, links_of
from cascade_exp.cascade.stages import Floats
from cascade_exp.errors import CascadeError, choice
from cascade_exp.recordings.folder import Recordings
from cascade_exp.recordings.prices import gpu_prices, rates_of
from cascade_exp.schema.evaluating import Cost, DollarsCost, EdgeCloudCost


def check_cost(cost: Cost) -> None:
    """Refuse settings of the cost that cannot be, before any compute.

    Raises:
        CascadeError: naming the key.
    """
    choice(cost.accounting, ("cumulative", "exit_tier"), "cost.accounting")
    choice(cost.parallel, ("sum", "max"), "cost.parallel")
    if isinstance(cost, DollarsCost):
        choice(cost.basis, ("per_example", "rate"), "cost.basis")
        gpu_prices(cost.prices)
    if isinstance(cost, EdgeCloudCost):
        choice(cost.distribution, DISTRIBUTIONS, "cost.distribution")


def unit_of(cost: Cost) -> str:
    """The unit that costs are told in."""
    if isinstance(cost, DollarsCost):
        return "dollars" if cost.basis == "per_example" else "dollars per hour"
    return cost.column


def model_costs(recordings: Recordings, cost: Cost) -> dict[str, float]:
    """By model, the cost of running it on one example, links apart.

    Raises:
        CascadeError: if a model lacks what its cost is made from.
    """
    names = recordings.names
    if not isinstance(cost, DollarsCost):
        return dict(zip(names, recordings.costs(cost.column).tolist(), strict=True))
    rates = rates_of(names, cost.gpu, cost.prices)
    if cost.basis == "rate":
        return rates
    seconds = recordings.costs(cost.column).tolist()
    return {n: dollars_per_example(rates[n], s) for n, s in zip(names, seconds, strict=True)}


def tier_links(cost: Cost, tiers: int) -> Links | None:
    """The links to the tiers of a cascade; None where costs know of none.

    Raises:
        CascadeError: if they do not fit that many tiers.
    """
    if not isinstance(cost, EdgeCloudCost):
        return None
    return links_of(
        tiers,
        _numbers(cost.delays, "cost.delays"),
        cost.payload,
        _numbers(cost.bandwidth, "cost.bandwidth"),
        cast(Distribution, cost.distribution),
        cost.spread,
    )


def link_costs(cost: Cost, tiers: int) -> Floats:
    """What links add to the cost of each tier: float64 [tiers], 0 where costs know of none."""
    links = tier_links(cost, tiers)
    if links is None:
        return np.zeros(tiers)
    return links.stage_costs(cast(Accounting, cost.accounting))


def alone_costs(
    recordings: Recordings, cost: Cost, tiers: int, tier_of: Callable[[str], int]
) -> dict[str, float]:
    """By model, the cost of one example that it answers alone, in the tier where it runs."""
    links, costs = tier_links(cost, tiers), model_costs(recordings, cost)
    if links is None:
        return costs
    return {name: costs[name] + float(links.mean[tier_of(name)]) for name in costs}


def refuse_links(cost: Cost, cascade: str) -> None:
    """Raise :class:`CascadeError` if costs depend on where each model runs, which no one said."""
    if isinstance(cost, EdgeCloudCost):
        raise CascadeError(
            f"cost={cost.name} with cascade={cascade}: which tier a model runs in must be known, "
            "expected cascade=stages or cascade=tiers with cascade.tiers"
        )


def _numbers(given: object, key: str) -> Sequence[float] | None:
    if given is None:
        return None
    values = given if isinstance(given, list) else [given]
    try:
        return [float(str(value)) for value in values]
    except ValueError:
        raise CascadeError(f"{key}={given}: expected a list of numbers") from None
