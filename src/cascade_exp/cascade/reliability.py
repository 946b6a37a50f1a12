"""How well a confidence separates right answers from wrong ones, and what a cascade does with it.

Everything here takes confidences [N] (higher = more confident, never NaN) and whether the answers
were right [N], and treats equal confidences as what they are: no threshold parts them, so no result
depends on the order of the examples. Curves also take :class:`Levels`, sorted once for several.
Plots live in ``report``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cascade_exp.cascade.stages import Floats, Ints, Outcome

Bools = NDArray[np.bool_]


def dis(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Difficulty inversion score: share of (easy, difficult) pairs that are not inverted.

    DIS = 1 - DI-Sum / K, where DI-Sum counts the pairs whose difficult member is the more confident
    and K = number of easy times number of difficult examples; difficult = this model is wrong. A
    tie is no inversion. None when nothing or everything is wrong. Source: Li et al. 2021
    (CascadeBERT), Eqs. 1-3, with the inequality of Eq. 1 turned round as the text around it says.

    >>> dis([0.9, 0.8, 0.7, 0.6], [True, False, True, False])  # 1 of 4 pairs is inverted
    0.75
    """
    return ordered_pairs(confidence, correct).dis


def auroc(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Chance that a right answer is more confident than a wrong one, a tie counting half.

    The area under the ROC curve of correctness (Mann-Whitney U / K). None when nothing or
    everything is wrong.

    >>> auroc([0.9, 0.8, 0.8, 0.6], [True, False, True, False])  # (1 + 1 + 0.5 + 1) / 4
    0.875
    """
    return ordered_pairs(confidence, correct).auroc


@dataclass(frozen=True)
class OrderedPairs:
    """Pairs of a right and a wrong answer: the right one more confident, equally so, and all.

    >>> found = OrderedPairs(greater=3, equal=1, pairs=5)
    >>> found.dis, found.auroc
    (0.8, 0.7)
    """

    greater: int
    equal: int
    pairs: int

    @property
    def dis(self) -> float | None:
        """See :func:`dis`."""
        return (self.greater + self.equal) / self.pairs if self.pairs else None

    @property
    def auroc(self) -> float | None:
        """See :func:`auroc`."""
        return (self.greater + self.equal / 2) / self.pairs if self.pairs else None


def ordered_pairs(confidence: ArrayLike, correct: ArrayLike) -> OrderedPairs:
    """What :func:`dis` and :func:`auroc` are made of, counted once for both; in O(N log N).

    >>> ordered_pairs([0.9, 0.8, 0.8, 0.6], [True, False, True, False])
    OrderedPairs(greater=3, equal=1, pairs=4)
    """
    scores, right = np.asarray(confidence), np.asarray(correct, dtype=bool)
    easy, difficult = np.sort(scores[right]), np.sort(scores[~right])
    not_above = int(np.searchsorted(easy, difficult, side="right").sum())
    below = int(np.searchsorted(easy, difficult, side="left").sum())
    pairs = len(easy) * len(difficult)
    return OrderedPairs(pairs - not_above, not_above - below, pairs)


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float | None:
    """Expected calibration error: sum over bins of share * |accuracy - mean confidence|.

    ``bins`` of equal width over 0..1, each open below and closed above, the first closed. None if a
    confidence lies outside 0..1 (it is no probability then) or there is no example. Source: Guo et
    al. 2017, Eq. 3; Li et al. 2021 (CascadeBERT), Eq. 7.

    >>> round(ece([0.95, 0.95, 0.65, 0.65], [1, 1, 1, 0]), 6)  # (2 * 0.05 + 2 * 0.15) / 4
    0.1
    """
    scores, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return None
    place = np.searchsorted(np.arange(1, bins) / bins, scores, side="left")
    gap = np.bincount(place, right, bins) - np.bincount(place, scores, bins)
    return float(np.abs(gap).sum() / len(scores))


@dataclass(frozen=True)
class ReliabilityCurve:
    """Moving averages over ``window`` examples ordered by confidence; both float64 [M].

    >>> curve = reliability_curve([0.6, 0.9], [0, 1])
    >>> curve.confidence.tolist(), curve.accuracy.tolist(), curve.window
    ([0.6, 0.9], [0.0, 1.0], 1)
    """

    confidence: Floats
    accuracy: Floats
    window: int


def reliability_curve(
    confidence: ArrayLike | Levels, correct: ArrayLike = (), window: int = 1000
) -> ReliabilityCurve:
    """Accuracy against confidence as moving averages (Lebovitz et al. 2023, Fig. 13).

    The window is lowered to a tenth of the examples where these are few. Examples of equal
    confidence share their mean accuracy. Infinite confidences, which have no mean, are left out.

    >>> curve = reliability_curve(np.linspace(0, 1, 40), np.arange(40) >= 20)
    >>> curve.window, curve.accuracy[[0, -1]].tolist()
    (4, [0.0, 1.0])
    """
    level = levels_of(confidence, correct)
    ranked, right = level.keep(np.isfinite(level.confidence)).ranked()
    width = min(window, max(len(ranked) // 10, 1))
    accuracy = np.clip(_moving_average(right, width), 0, 1)
    return ReliabilityCurve(_moving_average(ranked, width), accuracy, width)


def _moving_average(values: Floats, width: int) -> Floats:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    averages: Floats = (sums[width:] - sums[:-width]) / width
    return averages


@dataclass(frozen=True)
class Levels:
    """Examples by confidence, those of equal confidence together: what every curve here is of.

    Attributes:
        confidence: float64 [L], the distinct confidences, growing.
        count: int64 [L], examples of each. right: float64 [L], the sum of their correctness.

    >>> found = levels_of([0.9, 0.5, 0.9], [1, 0, 0])
    >>> found.confidence.tolist(), found.count.tolist(), found.right.tolist()
    ([0.5, 0.9], [1, 2], [0.0, 1.0])
    """

    confidence: Floats
    count: Ints
    right: Floats

    def keep(self, which: Bools) -> Levels:
        """Those of ``which`` [L] alone."""
        return Levels(self.confidence[which], self.count[which], self.right[which])

    def ranked(self) -> tuple[Floats, Floats]:
        """Confidences [N] in growing order, and the mean correctness of those that share each."""
        mean = self.right / np.maximum(self.count, 1)
        return np.repeat(self.confidence, self.count), np.repeat(mean, self.count)


def levels_of(confidence: ArrayLike | Levels, correct: ArrayLike = ()) -> Levels:
    """Sort once what several curves are drawn of; what is sorted already is returned as it is.

    >>> found = levels_of([0.9, 0.5, 0.9], [1, 1, 0])
    >>> found.confidence.tolist(), found.count.tolist(), found.right.tolist()
    ([0.5, 0.9], [1, 2], [1.0, 1.0])
    """
    if isinstance(confidence, Levels):
        return confidence
    scores, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    order = np.argsort(scores)
    ordered = scores[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    if not len(ordered):
        return Levels(ordered, np.empty(0, dtype=np.int64), right)
    count = np.diff(starts, append=len(ordered)).astype(np.int64)
    return Levels(ordered[starts], count, np.add.reduceat(right[order], starts))


@dataclass(frozen=True)
class ThresholdCurve:
    """What each threshold parts (exit iff ``confidence >= threshold``), thresholds growing.

    Attributes:
        threshold: float64 [M], every distinct confidence, then +inf (nothing exits).
        below: int64 [M], how many examples are deferred.
        accuracy_below, accuracy_above: float64 [M], of those deferred and of those that exit; NaN
            where there are none.

    >>> curve = threshold_curve([0.5, 0.9], [0, 1])
    >>> curve.below.tolist(), curve.accuracy_below[1:].tolist()
    ([0, 1, 2], [0.0, 0.5])
    """

    threshold: Floats
    below: Ints
    accuracy_below: Floats
    accuracy_above: Floats


def threshold_curve(confidence: ArrayLike | Levels, correct: ArrayLike = ()) -> ThresholdCurve:
    """Accuracy below and above every threshold (Lebovitz et al. 2023, Fig. 14).

    ``correct`` may also hold probabilities: with the confidences themselves this is the paper's
    "assumed perfect calibration".

    >>> curve = threshold_curve([0.5, 0.9, 0.9], [0, 1, 1])
    >>> curve.threshold.tolist(), curve.below.tolist(), curve.accuracy_above[:2].round(3).tolist()
    ([0.5, 0.9, inf], [0, 1, 3], [0.667, 1.0])
    """
    found = levels_of(confidence, correct)
    level, below = found.confidence, np.concatenate([[0], np.cumsum(found.count)])
    right_below = np.concatenate([[0.0], np.cumsum(found.right)])
    above = below[-1] - below
    with np.errstate(invalid="ignore"):
        accuracy_below = right_below / below
        accuracy_above = (right_below[-1] - right_below) / above
    keep = slice(None, -1) if len(level) and level[-1] == np.inf else slice(None)
    return ThresholdCurve(
        threshold=np.append(level, np.inf)[keep],
        below=below[keep].astype(np.int64),
        accuracy_below=accuracy_below[keep],
        accuracy_above=accuracy_above[keep],
    )


@dataclass(frozen=True)
class RiskCoverage:
    """Error among the answered against the share answered, from the most confident on.

    Attributes:
        coverage: float64 [M], share of the examples at or above each distinct confidence, growing.
        risk: float64 [M], share of wrong answers among them.
        area: mean risk over coverages 1/N, 2/N, ... 1 (AURC); None without examples.

    >>> curve = risk_coverage([0.9, 0.9], [1, 0])
    >>> curve.coverage.tolist(), curve.risk.tolist(), curve.area
    ([1.0], [0.5], 0.5)
    """

    coverage: Floats
    risk: Floats
    area: float | None


def risk_coverage(confidence: ArrayLike | Levels, correct: ArrayLike = ()) -> RiskCoverage:
    """The risk-coverage curve and its area (Geifman & El-Yaniv 2017; AURC: Geifman et al. 2019).

    Between thresholds, equal confidences are answered in random order: the area takes the
    expectation.

    >>> curve = risk_coverage([0.9, 0.8, 0.7], [1, 0, 1])
    >>> curve.coverage.round(3).tolist(), curve.risk.round(3).tolist(), round(curve.area, 3)
    ([0.333, 0.667, 1.0], [0.0, 0.5, 0.333], 0.278)
    """
    ranked, right = levels_of(confidence, correct).ranked()
    size = len(ranked)
    answered = np.arange(1, size + 1)
    risk = np.cumsum(1 - right[::-1]) / answered
    last = np.flatnonzero(np.append(ranked[:0:-1] != ranked[-2::-1], size > 0))
    return RiskCoverage(
        coverage=answered[last] / max(size, 1),
        risk=risk[last],
        area=float(risk.mean()) if size else None,
    )


@dataclass(frozen=True)
class Agreement:
    """How two models' answers on the same examples meet; numbers of examples.

    ``same_wrong`` is the part of ``both_wrong`` in which both name the same wrong class.

    >>> agreement([0, 0], [0, 0], [0, 1]).same_wrong
    1
    """

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    same_wrong: int


def agreement(first: ArrayLike, second: ArrayLike, labels: ArrayLike) -> Agreement:
    """Compare predictions [N] of two models with the labels [N].

    >>> agreement([0, 1, 2], [0, 2, 2], [0, 1, 1])
    Agreement(both_right=1, only_first=1, only_second=0, both_wrong=1, same_wrong=1)
    """
    a, b, truth = np.asarray(first), np.asarray(second), np.asarray(labels)
    right, also = a == truth, b == truth
    return Agreement(
        both_right=int(np.sum(right & also)),
        only_first=int(np.sum(right & ~also)),
        only_second=int(np.sum(~right & also)),
        both_wrong=int(np.sum(~right & ~also)),
        same_wrong=int(np.sum(~right & (a == b))),
    )


@dataclass(frozen=True)
class WrongExits:
    """Per stage, int64 [n]: those that left there, the wrong ones, those wrong at the last too.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> pool = three_models()
    >>> outcome = table_of(pool, (0, 1)).run([1.0])
    >>> found = wrong_exits(outcome, pool.stage((1,)).prediction, pool.labels)
    >>> found.left.tolist(), found.wrong.tolist(), found.wrong_at_last_too.tolist()
    ([3, 1], [1, 0], [1, 0])
    """

    left: Ints
    wrong: Ints
    wrong_at_last_too: Ints


def wrong_exits(outcome: Outcome, last_prediction: Ints, labels: Ints) -> WrongExits:
    """What is lost by leaving early: of the wrong exits, how many the last stage could not mend.

    Source: Kolawole et al. (CoE), App. A.3 and Table 3, where a wrong exit is a wrong agreement.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> pool = three_models()
    >>> alone = table_of(pool, (0,)).run([])
    >>> wrong_exits(alone, pool.stage((2,)).prediction, pool.labels).wrong.tolist()
    [2]
    """
    n = len(outcome.exit_rates)
    wrong = outcome.prediction != labels
    beyond = wrong & (last_prediction != labels)
    left, lost, hopeless = (
        np.bincount(outcome.exit_stage[mask], minlength=n).astype(np.int64)
        for mask in (np.ones(len(labels), dtype=bool), wrong, beyond)
    )
    return WrongExits(left=left, wrong=lost, wrong_at_last_too=hopeless)


def exit_rates_by_class(outcome: Outcome, labels: Ints, classes: int) -> Floats:
    """Share of each class's examples that left at each stage, float64 [K, n]; NaN without any.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> pool = three_models()
    >>> outcome = table_of(pool, (0, 2)).run([1.0])
    >>> exit_rates_by_class(outcome, pool.labels, classes=2).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    n = len(outcome.exit_rates)
    cell = labels * n + outcome.exit_stage
    counts = np.bincount(cell, minlength=classes * n).reshape(classes, n)
    with np.errstate(invalid="ignore"):
        rates: Floats = counts / counts.sum(axis=1, keepdims=True)
    return rates
