"""Axes for costs, scores and thresholds: limits, ticks and their labels, whatever the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.confidence import known_confidence
from cascade_exp.report.pages import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_LOG_GRIDS = (
    (1.0,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
)


def log_cost(axes: Axes, costs: Sequence[float], unit: str, title: str, most: int) -> None:
    """Make x a logarithmic cost axis that holds ``costs``, with at most ``most`` ticks.

    It is linear where something is free, since a logarithmic axis has no 0.
    """
    if min(costs) <= 0:
        axes.set_xlim(-0.05 * max(costs), 1.1 * max(costs) or 1.0)
        linear_cost(axes.xaxis, unit)
        name = numbers.unit_title(unit)
        axes.set_xlabel(f"{title} ({name})" if name else title)
        return
    low, high = math.log10(min(costs)), math.log10(max(costs))
    pad = max((high - low) * 0.1, 0.08)
    axes.set_xscale("log")
    axes.set_xlim(10 ** (low - pad), 10 ** (high + pad))
    ticks = cost_ticks(*axes.get_xlim(), most)
    _fixed_ticks(axes.xaxis, ticks, [numbers.cost_tick(tick, unit) for tick in ticks])
    name = numbers.unit_title(unit)
    axes.set_xlabel(f"{title} ({name}, log scale)" if name else f"{title} (log scale)")


def cost_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between ``low`` and ``high``: the densest log grid of at most ``most`` ticks.

    Within a factor of two they are evenly spaced.
    """
    if high < 2 * low:
        return [tick for tick in _round_ticks(low, high, most) if low <= tick <= high]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    best: list[float] = []
    for steps in _LOG_GRIDS:
        ticks = [float(f"{s * 10.0**d:.12g}") for d in decades for s in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) > most:
            break
        best = ticks
    return best or ticks[:: math.ceil(len(ticks) / most)]


def linear_cost(axis: Axis, unit: str) -> None:
    """Label a linear cost axis with short costs."""
    axis.set_major_formatter(lambda value, _: numbers.cost_tick(value, unit))


def score_limits(scores: Sequence[float], room: float = 0.12) -> tuple[float, float]:
    """Limits that hold ``scores`` with ``room``; at least half a percentage point wide."""
    low, high = min(scores), max(scores)
    pad = max((high - low) * room, 0.0025 - (high - low) / 2)
    return low - pad, high + pad


def percent_ticks(axis: Axis, most: int = 6) -> None:
    """Label a score axis in percent, sign-free: the axis title says it."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}")


@dataclass(frozen=True)
class ThresholdScale:
    """Where thresholds stand on a linear x axis, infinities included, and the axis's ticks."""

    positions: NDArray[np.float64]
    ticks: list[float]
    labels: list[str]

    @classmethod
    def of(cls, thresholds: Sequence[float], metric: str, most: int) -> ThresholdScale:
        """Positions float64 [P] of ``thresholds``, evenly or by their distance to 1 (entropy: 0).

        The distance is taken, on a log scale, when most thresholds crowd below the metric's
        ceiling. Infinities stand a little beyond the others. About ``most`` ticks fit.
        """
        values = np.array(thresholds, dtype=np.float64)
        finite = values[np.isfinite(values)]
        known = known_confidence(metric)
        # Confident examples crowd below the metric's least upper bound, thousands within a
        # thousandth, so the distance to it is what must be spread out.
        ceiling = known.highest if known and math.isfinite(known.highest) else None
        if ceiling is not None and len(finite):
            ceiling = max(ceiling, float(finite.max()))  # a sum of probabilities may round above 1
        marks: list[tuple[float, str]] = []
        positions = values.copy()
        if ceiling is not None and len(finite) and _crowded(ceiling - finite):
            positions, marks = _below_ceiling(values, finite, ceiling)
        elif len(finite):
            ticks = _round_ticks(float(finite.min()), float(finite.max()), most)
            marks = [(tick, numbers.threshold(tick)) for tick in ticks]
        inner = positions[np.isfinite(values)]
        low, high = (float(inner.min()), float(inner.max())) if len(inner) else (0.0, 0.0)
        apart = high - low > 1e-9 * max(1.0, abs(low), abs(high))
        beyond = 0.08 * (high - low) if apart else 0.5
        positions[values == -np.inf], positions[values == np.inf] = low - beyond, high + beyond
        ends = [(-np.inf, low - beyond, "all"), (np.inf, high + beyond, "none")]
        kept = [(at, label) for infinity, at, label in ends if np.any(values == infinity)]
        for at, label in marks:
            near = min((abs(at - other) for other, _ in kept), default=np.inf)
            if low <= at <= high and near >= 0.7 * (high - low) / most:
                kept.append((at, label))
        kept.sort()
        return cls(positions, [at for at, _ in kept], [label for _, label in kept])

    def apply(self, axis: Axis) -> None:
        """Put the ticks on ``axis``."""
        _fixed_ticks(axis, self.ticks, self.labels)


def _crowded(distances: NDArray[np.float64]) -> bool:
    return bool(distances.min() >= 0 and np.median(distances) < 0.1 * distances.max())


def _below_ceiling(
    values: NDArray[np.float64], finite: NDArray[np.float64], ceiling: float
) -> tuple[NDArray[np.float64], list[tuple[float, str]]]:
    """Positions −log10(ceiling − t) and marks; what is nearer than a percent's share is as near."""
    distances = ceiling - finite
    floor = max(float(np.quantile(distances[distances > 0], 0.01)), 1e-9)
    with np.errstate(invalid="ignore"):
        positions = -np.log10(np.maximum(np.where(np.isfinite(values), ceiling - values, 1), floor))
    powers = range(1, math.ceil(-math.log10(floor)) + 1)
    # The lower thresholds first: there the curves move.
    marks = [0.1, 0.01, 0.5, *(10.0**-k for k in powers if k > 2)]
    return positions, [(-math.log10(mark), _below(ceiling, mark)) for mark in marks]


def _below(ceiling: float, distance: float) -> str:
    """``ceiling - distance`` as a tick: ``0.99``, ``1−10⁻⁶``."""
    if distance >= 1e-4:
        return f"{ceiling - distance:.4g}".replace("-", "−")
    power = str(round(math.log10(distance))).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{ceiling:g}−10{power}" if ceiling else f"−10{power}"


def _round_ticks(low: float, high: float, most: int) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(f"{tick:.12g}") for tick in MaxNLocator(nbins=most - 1).tick_values(low, high)]


def _fixed_ticks(axis: Axis, ticks: Sequence[float], labels: Sequence[str]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FixedFormatter(list(labels)))
    axis.set_minor_locator(NullLocator())
