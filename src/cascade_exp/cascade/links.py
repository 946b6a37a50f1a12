"""Tiers at a distance: what reaching a tier takes, and the latency that examples see.

Seconds everywhere. An example that leaves at tier i has waited for the models of the tiers that ran
and for the link to tier i alone (Kolawole et al. 2024, §4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.errors import CascadeError

Distribution = Literal["constant", "exponential", "lognormal"]
DISTRIBUTIONS = ("constant", "exponential", "lognormal")

DELAYS = (1e-6, 1e-2, 1e-1, 1.0)
"""On the device, in the same room, in the region, far away (ibid.)."""


def default_delays(tiers: int) -> tuple[float, ...]:
    """1 µs to the first tier, 1 s to the last, 10 ms and 100 ms to those between.

    Source: docs/definitions.md#cost.

    >>> default_delays(3)
    (1e-06, 0.01, 1.0)

    Raises:
        CascadeError: for more than four tiers, of which no defaults are known.
    """
    if tiers > len(DELAYS):
        raise CascadeError(
            f"cost.delays: {tiers} tiers, but defaults are known of {len(DELAYS)}; name one delay "
            "per tier"
        )
    return DELAYS[: max(tiers - 1, 1)] + DELAYS[-1:] if tiers > 1 else DELAYS[:1]


@dataclass(frozen=True)
class Links:
    """The links to n tiers.

    Attributes:
        delays: seconds until an answer of each tier is back, n of them, growing.
        transfers: seconds that sending the example takes, n of them; 0 where it is free.
        distribution: of each example's delay and, independently, transfer around these means.
        spread: standard deviation of their logarithm, for ``lognormal``.

    >>> links = Links(delays=(0.0, 1.0), transfers=(0.0, 0.5))
    >>> links.mean.tolist(), links.stage_costs("cumulative").tolist()
    ([0.0, 1.5], [0.0, 1.5])
    """

    delays: tuple[float, ...]
    transfers: tuple[float, ...]
    distribution: Distribution = "constant"
    spread: float = 0.5

    @property
    def mean(self) -> Floats:
        """Mean seconds of each link: float64 [n]."""
        return np.asarray(np.array(self.delays) + np.array(self.transfers), dtype=np.float64)

    def stage_costs(self, accounting: Accounting) -> Floats:
        """What each link adds to the cost of running its tier: float64 [n].

        Added to the latencies of the tiers, the accounting's own sums give an example that leaves
        at tier i the link to tier i and no other.
        """
        mean = self.mean
        return mean if accounting == "exit_tier" else np.append(mean[:1], np.diff(mean))

    def at(self, places: Sequence[int]) -> Links:
        """The links to tiers that run at ``places``, of which several may be one."""
        delays, transfers = ([times[p] for p in places] for times in (self.delays, self.transfers))
        return replace(self, delays=tuple(delays), transfers=tuple(transfers))

    def draw(self, tier: Ints, rng: np.random.Generator) -> Floats:
        """Seconds float64 [N] on the link of examples that leave at ``tier`` int64 [N]."""
        delays, transfers = np.array(self.delays)[tier], np.array(self.transfers)[tier]
        return delays * self._around_one(len(tier), rng) + transfers * self._around_one(
            len(tier), rng
        )

    def _around_one(self, size: int, rng: np.random.Generator) -> Floats:
        """Draws float64 [size] whose mean is 1."""
        if self.distribution == "exponential":
            return rng.exponential(1.0, size)
        if self.distribution == "lognormal":
            return rng.lognormal(-(self.spread**2) / 2, self.spread, size)
        return np.ones(size)


def links_of(
    tiers: int,
    delays: Sequence[float] | None,
    payload: float,
    bandwidth: Sequence[float] | None,
    distribution: Distribution,
    spread: float,
) -> Links:
    """The links to ``tiers`` tiers.

    Args:
        delays: seconds, one per tier; None: the defaults.
        payload: bytes that an example sends. bandwidth: bytes per second, one per tier; None: free.

    Raises:
        CascadeError: unless there is one per tier, and links take growing time above 0.

    >>> links = links_of(2, [0.0, 1.0], 8e6, [1e9, 1e6], "constant", 0.5)
    >>> links.transfers
    (0.008, 8.0)
    >>> links_of(2, [1.0, 0.0], 0.0, None, "constant", 0.5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cascade_exp.errors.CascadeError: cost.delays=[1.0, 0.0]: a link to a later tier ...
    """
    held = default_delays(tiers) if delays is None else tuple(float(delay) for delay in delays)
    if len(held) != tiers or any(not np.isfinite(d) or d < 0 for d in held):
        raise CascadeError(
            f"cost.delays={list(held)}: expected seconds, one for each of {tiers} tiers"
        )
    speeds = [np.inf] * tiers if bandwidth is None else [float(speed) for speed in bandwidth]
    if len(speeds) != tiers or any(not speed > 0 for speed in speeds):
        raise CascadeError(
            f"cost.bandwidth={bandwidth}: expected bytes per second, one for each of {tiers} tiers"
        )
    if not (np.isfinite(payload) and payload >= 0 and np.isfinite(spread) and spread >= 0):
        raise CascadeError(
            f"cost.payload={payload} and cost.spread={spread}: expected finite numbers of 0 or more"
        )
    links = Links(held, tuple(payload / speed for speed in speeds), distribution, spread)
    if np.any(np.diff(links.mean) < 0):
        raise CascadeError(
            f"cost.delays={list(held)}: a link to a later tier takes less time than one to an "
            "earlier; expected growing delays"
        )
    return links


@dataclass(frozen=True)
class Latency:
    """Seconds that examples wait: mean and percentiles; ``link``: the mean part on links.

    >>> latency_of(np.full(100, 0.2), np.zeros(100)).p99
    0.2
    """

    mean: float
    p50: float
    p95: float
    p99: float
    link: float


def latency_of(compute: Floats, link: Floats) -> Latency:
    """The latency of N examples that wait ``compute`` [N] for models and ``link`` [N] for links.

    >>> latency_of(np.array([1.0, 3.0]), np.array([0.5, 0.5]))
    Latency(mean=2.5, p50=2.5, p95=3.4, p99=3.48, link=0.5)
    """
    total = compute + link
    p50, p95, p99 = np.percentile(total, [50, 95, 99]).tolist()
    return Latency(float(total.mean()), p50, p95, p99, float(link.mean()))


def communication_saved(
    shares: Sequence[float], links: Links, farthest: float | None = None
) -> float:
    """Mean time on links if all went to the last tier, over that of the cascade.

    Args:
        shares: of the examples that leave at each tier.
        farthest: seconds of the link that all would go over, where that is not the last tier's.

    Source: Kolawole et al. 2024, §4.3: 14x on SST-2, of which 0.07 go to the cloud.

    >>> links = Links(delays=(0.0, 1.0), transfers=(0.0, 0.0))
    >>> round(communication_saved([0.93, 0.07], links), 2)
    14.29
    """
    mean = links.mean
    most = mean[-1] if farthest is None else farthest
    return float(most / (np.asarray(shares, dtype=np.float64) @ mean))
