"""Whether the rows of two recorded models are of the same examples, judged by their answers alone.

Models that are right more often than chance agree on many examples because both are right. Models
that saw the same examples agree more than that: hard examples are hard for both. Where one model's
rows are of other examples of the same classes, that part of their agreement is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.stages import Floats, Ints

NEAR_ZERO = 0.05
"""An agreement below this is near zero: real aligned recordings have 0.3 and more."""
CERTAIN_BELOW = 0.2
"""Misaligned models are only reported where the statistic is certain enough to be below this."""
ABOVE_CHANCE = 0.15
"""How far above the share of the most frequent class a score is well above chance."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of all pairs of M models beyond what the labels explain.

    Attributes:
        value: [M, M], 1 where two models always agree, about 0 where only the labels connect them;
            NaN where it is not defined.
        error: [M, M], the standard error of ``value``.

    >>> labels = np.array([0, 0, 0, 0])
    >>> found = agreement([np.array([0, 0, 1, 1])] * 2, labels)
    >>> found.value.tolist(), found.error.tolist()
    ([[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]])
    """

    value: Floats
    error: Floats


def agreement(predictions: Sequence[Ints], labels: Ints) -> Agreement:
    """For every pair of models, how much they agree beyond what the labels explain.

    With o the share of examples on which both answer alike, and e the same share over random pairs
    of different examples of one class, averaged over the classes by their sizes,

        value = (o - e) / (1 - e),    error = sqrt(o (1 - o) / N) / (1 - e).

    Classes with fewer than two examples are left out. In O(M N + pairs of models N).

    Args:
        predictions: per model int64 [N]. labels: int64 [N].

    >>> labels = np.array([0, 0, 0, 0])
    >>> one, other = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    >>> float(agreement([one, other], labels).value[0, 1].round(4))
    0.6667
    """
    from scipy.sparse import csr_array

    sizes = np.bincount(labels)
    kept = sizes[labels] > 1
    given, classes = [np.asarray(p)[kept] for p in predictions], labels[kept]
    size, models = len(classes), len(given)
    if not size or not models:
        undefined = np.full((models, models), np.nan)
        return Agreement(undefined, undefined.copy())
    weight = 1 / (sizes - 1).clip(1) / size  # of a pair of examples of a class, over the class
    together, alike = np.empty((2, models, models))
    of_example = weight[classes]
    for i, j in combinations_with_replacement(range(models), 2):
        same = given[i] == given[j]
        together[i, j] = together[j, i] = np.mean(same)
        alike[i, j] = alike[j, i] = of_example @ same
    width = 1 + max(int(p.max(initial=0)) for p in given)
    found = [_counted(classes * width + p, len(sizes) * width) for p in given]
    known, place = np.unique(np.concatenate([cell for cell, _ in found]), return_inverse=True)
    rows = np.repeat(np.arange(models), [len(cell) for cell, _ in found])
    times = np.concatenate([count for _, count in found]).astype(np.float64)
    counts = csr_array((times, (rows, place)), shape=(models, len(known)))
    scaled = counts.multiply(weight[known // width][None, :]).tocsr()
    expected = (scaled @ counts.T).toarray() - alike
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (together - expected) / (1 - expected)
        error = np.sqrt(together * (1 - together) / size) / (1 - expected)
    value[1 - expected < 1e-12] = np.nan
    return Agreement(value, error)


def _counted(cells: Ints, most: int) -> tuple[Ints, Ints]:
    """The distinct values of ``cells`` [N] >= 0, all below ``most``, and how often each occurs."""
    if most > 4 * len(cells):
        found, times = np.unique(cells, return_counts=True)
        return found, times
    times = np.bincount(cells, minlength=most)
    found = np.flatnonzero(times)
    return found, times[found]


def misaligned(predictions: Sequence[Ints], labels: Ints) -> list[tuple[int, int, float]]:
    """Pairs of models whose rows are probably of different examples, with their agreement.

    Both are well above chance (:data:`ABOVE_CHANCE` over the share of the most frequent class), and
    their agreement is below :data:`NEAR_ZERO` and, 1.64 standard errors added, below
    :data:`CERTAIN_BELOW`.

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(4, size=2000)
    >>> hard, others = rng.random(2000) < 0.2, rng.random(2000) < 0.2
    >>> one, other = (np.where(wrong, (labels + 1) % 4, labels) for wrong in (hard, others))
    >>> misaligned([one, one], labels)
    []
    >>> [pair[:2] for pair in misaligned([one, other], labels)]  # their errors do not meet
    [(0, 1)]
    """
    if not len(labels):
        return []
    chance = float(np.bincount(labels).max() / len(labels))
    able = [m for m, p in enumerate(predictions) if np.mean(p == labels) >= chance + ABOVE_CHANCE]
    found = agreement([predictions[m] for m in able], labels)
    pairs = []
    for i, first in enumerate(able):
        for j in range(i + 1, len(able)):
            value, error = float(found.value[i, j]), float(found.error[i, j])
            if value < NEAR_ZERO and value + 1.64 * error < CERTAIN_BELOW:
                pairs.append((first, able[j], value))
    return pairs


@dataclass(frozen=True)
class Repair:
    """What would make a model's answers right: ``kind``, and the score it would then have.

    ``kind``: ``classes`` (another order of the classes), ``values`` (every prediction shifted by
    ``by``) or ``rows`` (row i is of example i + ``by``).

    >>> labels = np.arange(20) % 4
    >>> repair(labels + 1, labels)
    Repair(kind='values', by=-1, score=1.0)
    """

    kind: str
    by: int
    score: float


def repair(prediction: Ints, labels: Ints) -> Repair | None:
    """The most plausible mistake in recording ``prediction``, if one explains a poor score.

    A relabelling is fitted (the assignment that makes most answers right) on every other example
    and scored on the rest, so that chance does not pass for one. None unless the repaired score is
    at least 0.2 above the score as recorded, and :data:`ABOVE_CHANCE` above the most frequent
    class.

    >>> labels = np.arange(40) % 4
    >>> repair(3 - labels, labels)
    Repair(kind='classes', by=0, score=1.0)
    >>> repair(labels, labels) is None
    True
    """
    from scipy.optimize import linear_sum_assignment

    size = len(labels)
    if size < 10:
        return None
    score = float(np.mean(prediction == labels))
    chance = float(np.bincount(labels).max() / size)
    found = [Repair("values", by, float(np.mean(prediction + by == labels))) for by in (-1, 1)]
    for by in (-1, 1):
        inside = slice(by, None) if by > 0 else slice(None, by)
        shifted = slice(None, -by) if by > 0 else slice(-by, None)
        found.append(Repair("rows", by, float(np.mean(prediction[shifted] == labels[inside]))))
    seen, answered = np.unique(prediction, return_inverse=True)
    classes = int(labels.max()) + 1
    if len(seen) * classes <= 4_000_000:
        counts = np.zeros((len(seen), classes))
        np.add.at(counts, (answered[::2], labels[::2]), 1)
        rows, columns = linear_sum_assignment(-counts)
        named: NDArray[np.int64] = np.full(len(seen), -1)
        named[rows] = columns
        found.append(Repair("classes", 0, float(np.mean(named[answered[1::2]] == labels[1::2]))))
    best = max(found, key=lambda it: it.score)
    good = best.score >= score + 0.2 and best.score >= chance + ABOVE_CHANCE
    return best if good else None
