"""The Pareto front of settings, the single-model baseline, and the improvement factor.

What is here works on points (score, cost): scores are fractions 0..1, costs positive numbers in one
unit. Finding the front lives in ``search``, choosing one of its points in ``selection``. Nothing
here mixes cascades: only single models are interpolated (Lebovitz et al. 2023, §4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cascade_exp.cascade.stages import Floats
from cascade_exp.errors import CascadeError

BaselineKind = Literal["hull", "adjacent"]

# Scores are ratios of counts: unequal ones lie at least 1/N apart, so this only evens out the
# rounding of two ways of computing one ratio (``0.9 - 0.01`` against ``890 / 1000``).
SCORE_SLACK = 1e-12


@dataclass(frozen=True)
class FrontPoint:
    """A cascade at one setting of its thresholds, with what it does on the split it was found on.

    Attributes:
        members: indices into the pool's models, in running order (a single model is one member).
        thresholds: one fewer than members, in stage order; Python floats.
        cost: mean cost per example. score: the objective, a fraction 0..1.
        worst_case_cost: cost of running every stage.

    >>> FrontPoint((0, 2), (0.9,), cost=3.5, score=0.8, worst_case_cost=6.0)
    FrontPoint(members=(0, 2), thresholds=(0.9,), cost=3.5, score=0.8, worst_case_cost=6.0)
    """

    members: tuple[int, ...]
    thresholds: tuple[float, ...]
    cost: float
    score: float
    worst_case_cost: float


def scores_and_costs(front: Sequence[FrontPoint]) -> tuple[Floats, Floats]:
    """The points' scores float64 [P] and mean costs float64 [P].

    >>> scores, costs = scores_and_costs(
    ...     [FrontPoint((0,), (), 1.0, 0.5, 1.0), FrontPoint((1,), (), 2.0, 0.75, 2.0)]
    ... )
    >>> scores.tolist(), costs.tolist()
    ([0.5, 0.75], [1.0, 2.0])
    """
    return (
        np.array([point.score for point in front], dtype=np.float64),
        np.array([point.cost for point in front], dtype=np.float64),
    )


@dataclass(frozen=True)
class Baseline:
    """What one pays for a score without cascades: single models, two of them mixed at random.

    Attributes:
        knots: (score, cost) of the models that matter, both growing; between two neighbours the
            mix of the two costs what the straight line says (Lebovitz et al. 2023, §3 Evaluation).
        kind: how the knots were picked, see :meth:`of`.
    """

    knots: tuple[tuple[float, float], ...]
    kind: BaselineKind

    @classmethod
    def of(cls, scores: ArrayLike, costs: ArrayLike, kind: BaselineKind = "hull") -> Baseline:
        """The baseline of single models with ``scores`` [M] and ``costs`` [M], in any order.

        ``adjacent`` joins consecutive non-dominated models. ``hull`` joins the corners of their
        lower-cost convex hull, which is the least cost of a mix of any two models.

        >>> Baseline.of([0.6, 0.7, 0.9], [1.0, 5.0, 7.0]).knots
        ((0.6, 1.0), (0.9, 7.0))

        Raises:
            CascadeError: if there is no model.
        """
        models = _non_dominated_models(scores, costs)
        if not models:
            raise CascadeError("the single-model baseline needs at least one model, found none")
        return cls(knots=tuple(_lower_hull(models) if kind == "hull" else models), kind=kind)

    @property
    def low(self) -> float:
        """The cheapest model's score (the best of the cheapest)."""
        return self.knots[0][0]

    @property
    def top(self) -> float:
        """The best single model's score."""
        return self.knots[-1][0]

    def cost_at(self, scores: ArrayLike) -> Floats:
        """Cost float64 [...] of each score [...].

        Below the cheapest model's score that model's cost; above the best model's score there is no
        baseline: NaN.
        """
        at = np.asarray(scores, dtype=np.float64)
        at = np.where((at > self.top) & (at <= self.top + SCORE_SLACK), self.top, at)
        knot_scores, knot_costs = np.array(self.knots, dtype=np.float64).T
        return np.asarray(np.interp(at, knot_scores, knot_costs, right=np.nan), dtype=np.float64)


def _non_dominated_models(scores: ArrayLike, costs: ArrayLike) -> list[tuple[float, float]]:
    """(score, cost) of the models that no other one beats, both growing."""
    models = zip(np.ravel(scores).tolist(), np.ravel(costs).tolist(), strict=True)
    kept: list[tuple[float, float]] = []
    for score, cost in sorted(models, key=lambda model: (model[1], -model[0])):
        if not kept or score > kept[-1][0]:
            kept.append((score, cost))
    return kept


def _lower_hull(models: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of the least cost convex in the score, of models (score, cost), both growing."""
    hull: list[tuple[float, float]] = []
    for score, cost in models:
        while len(hull) > 1:
            (score_0, cost_0), (score_1, cost_1) = hull[-2:]
            if (cost_1 - cost_0) * (score - score_0) < (cost - cost_0) * (score_1 - score_0):
                break
            hull.pop()
        hull.append((score, cost))
    return hull


def cost_at_score(scores: ArrayLike, costs: ArrayLike, levels: ArrayLike) -> Floats:
    """Least cost [...] of a point with ``score >= level``, for each of ``levels`` [...].

    A step function, as cascades are not interpolated. The points, ``scores`` [P] and ``costs`` [P],
    come in any order and may be dominated; a level that none reaches costs +inf.

    >>> cost_at_score([0.6, 0.8], [1.0, 3.0], [0.5, 0.7, 0.9]).tolist()
    [1.0, 3.0, inf]
    """
    score, cost = np.ravel(scores).astype(np.float64), np.ravel(costs).astype(np.float64)
    order = np.argsort(score, kind="stable")
    # least[i]: the least cost among the i-th worst point and all better ones.
    least = np.append(np.minimum.accumulate(cost[order][::-1])[::-1], np.inf)
    found: Floats = least[np.searchsorted(score[order], levels, side="left")]
    return found


def improvement_factor(scores: ArrayLike, costs: ArrayLike, baseline: Baseline) -> Floats:
    """I = baseline cost at the point's score / the point's cost, per point, float64 [P].

    NaN above the best single model's score, and where the point costs nothing. Source: Lebovitz et
    al. 2023, §2 (I = C_b / C).

    >>> baseline = Baseline.of([0.6, 0.9], [1.0, 7.0])
    >>> improvement_factor([0.75, 0.95], [2.0, 5.0], baseline).tolist()
    [2.0, nan]
    """
    paid = np.asarray(costs, dtype=np.float64)
    return baseline.cost_at(scores) / np.where(paid > 0, paid, np.nan)


def average_improvement(
    scores: ArrayLike,
    costs: ArrayLike,
    baseline: Baseline,
    low: float | None = None,
    high: float | None = None,
) -> float | None:
    """Mean improvement factor over the accuracies from ``low`` to ``high``, integrated exactly.

    (1 / (high - low)) * integral of baseline(a) / cost(a) da, where cost(a) is the step function
    :func:`cost_at_score` and baseline(a) is piecewise linear: between neighbouring steps and knots
    the integrand is a straight line, so the trapezoid rule is exact there. The points [P] come in
    any order. ``low`` defaults to the cheapest single model's score, ``high`` to the best one's; a
    higher ``high`` is lowered to it, as there is no baseline above. Accuracies that no point
    reaches count as factor 0 (their cost is infinite).

    >>> baseline = Baseline.of([0.6, 0.9], [1.0, 7.0])
    >>> average_improvement([0.9], [2.0], baseline)  # the mean baseline cost 4, over 2
    2.0

    Returns:
        The mean factor; None if the range is empty or inverted, or part of it costs nothing.
    """
    start = baseline.low if low is None else low
    stop = baseline.top if high is None else min(high, baseline.top)
    if not start < stop:
        return None
    steps = np.concatenate([np.ravel(scores), [score for score, _ in baseline.knots]])
    cuts = np.unique(np.concatenate([[start, stop], steps[(steps > start) & (steps < stop)]]))
    line = baseline.cost_at(cuts)
    paid = cost_at_score(scores, costs, cuts[1:])
    if not (paid > 0).all():
        return None
    pieces = (line[:-1] + line[1:]) / 2 / paid * np.diff(cuts)
    return float(pieces.sum() / (stop - start))


@dataclass(frozen=True)
class Peak:
    """A point of a front by its place, with its score and its improvement factor.

    >>> max_improvement([0.75], [2.0], Baseline.of([0.6, 0.9], [1.0, 7.0]))
    Peak(index=0, score=0.75, factor=2.0)
    """

    index: int
    score: float
    factor: float


def max_improvement(scores: ArrayLike, costs: ArrayLike, baseline: Baseline) -> Peak | None:
    """The point [P] with the largest improvement factor; of equal ones that of the best score.

    None if no point lies at or below the best single model's score.

    >>> max_improvement([0.75, 0.9], [2.0, 5.0], Baseline.of([0.6, 0.9], [1.0, 7.0]))
    Peak(index=0, score=0.75, factor=2.0)
    """
    factor = improvement_factor(scores, costs, baseline)
    defined = np.flatnonzero(~np.isnan(factor))
    if not len(defined):
        return None
    score = np.asarray(scores, dtype=np.float64)
    best = max(defined.tolist(), key=lambda i: (factor[i], score[i], -i))
    return Peak(index=best, score=float(score[best]), factor=float(factor[best]))


def local_maxima(scores: ArrayLike, costs: ArrayLike, baseline: Baseline, k: int) -> list[Peak]:
    """The k best local maxima of the improvement along the front (Lebovitz et al. 2023, Table 1).

    ``scores`` [P] and ``costs`` [P] are in the front's order. A local maximum is a point, or the
    middle of a run of equal ones, whose factor exceeds that of its neighbours; the front's ends
    count. The factor goes up and down with single examples, so that the k highest maxima may all
    sit on one hill: they are ranked by prominence, how far one must descend before climbing to a
    higher one (infinite for the highest), then by factor. Returned in the front's order.

    >>> flat = Baseline.of([0.9], [6.0])
    >>> [peak.factor for peak in local_maxima([0.6, 0.7, 0.8], [2.0, 3.0, 2.5], flat, k=2)]
    [3.0, 2.4]
    """
    if k < 1:
        return []
    from scipy.signal import find_peaks, peak_prominences  # slow to import, seldom needed

    factor = improvement_factor(scores, costs, baseline)
    walled = np.concatenate([[-np.inf], np.where(np.isnan(factor), -np.inf, factor), [-np.inf]])
    found: NDArray[np.intp] = find_peaks(walled)[0]
    prominence = peak_prominences(walled, found)[0]
    best = np.lexsort((-walled[found], -prominence))[:k]
    score = np.asarray(scores, dtype=np.float64)
    return [
        Peak(index=int(i), score=float(score[i]), factor=float(factor[i]))
        for i in np.sort(found[best] - 1)
    ]
