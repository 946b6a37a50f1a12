"""The row pass: one row of scores to everything that its confidence metrics need.

What the sums mean, and chunks of rows, live in ``cascade.confidence``; combining rows of several
models in ``cascade.kernels.means``.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cascade_exp.cascade.kernels.elementary import (
    SMALLEST_NORMAL,
    exp_of_nonpositive,
    log_of_normal,
    pairwise_sum,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = NDArray[np.floating]

LARGEST = float(np.finfo(np.float64).max)
EXP_BLOCK = 1024  # classes whose exponentials are held at once: 8 KiB, inside the first cache
LANES = 128  # classes that the search for the best two takes in one step


@njit(cache=True, error_model="numpy")
def _into_lanes(scores: Row, lanes: Row) -> None:
    """Take the i-th score into the i-th lane: its best, its second best, a zero if all finite."""
    first, second, check = lanes[0], lanes[1], lanes[2]
    for i in range(scores.size):
        score, held = scores[i], first[i]
        less = held if score > held else score
        first[i] = score if score > held else held
        second[i] = less if less > second[i] else second[i]
        check[i] += score - score


@njit(cache=True, error_model="numpy")
def best_two(z: Row, lanes: Row) -> tuple[int, float]:
    """The class with the highest score (the lower index on ties) and the second-highest score.

    The class is -1 if a score is not finite; the second is -inf with one class. A lane keeps the
    best two of the classes j with the same j mod LANES, so that LANES classes are one step of
    vector instructions; ``lanes`` [3, LANES] of z's dtype is room for them.
    """
    lanes[:2] = -np.inf
    lanes[2] = 0.0
    for start in range(0, z.size, LANES):
        _into_lanes(z[start : start + LANES], lanes)
    first, second, check = lanes[0], lanes[1], lanes[2]
    width = LANES
    while width > 1:
        width //= 2
        for i in range(width):
            one, other = first[i], first[i + width]
            less = other if one > other else one
            first[i] = one if one > other else other
            seconds = second[i] if second[i] > second[i + width] else second[i + width]
            second[i] = less if less > seconds else seconds
            check[i] += check[i + width]
    if check[0] != 0.0:
        return -1, 0.0
    highest, best = first[0], z.size
    for j in range(z.size):
        best = min(best, j if z[j] == highest else z.size)
    return best, np.float64(second[0])


@njit(cache=True)
def label_rank(z: Row, label: int) -> int:
    """How many classes score higher than ``label``, or equal with a lower index."""
    score, rank = z[label], 0
    earlier, later = z[:label], z[label + 1 :]
    for j in range(earlier.size):
        rank += int(earlier[j] >= score)
    for j in range(later.size):
        rank += int(later[j] > score)
    return rank


@njit(cache=True)
def _pad(length: int, e: Floats, w: Floats) -> int:
    """Fill up with zeros from ``length`` to a power of two, which is returned."""
    width = 1
    while width < length:
        width *= 2
    e[length:width] = 0.0
    w[length:width] = 0.0
    return width


@njit(cache=True, error_model="numpy")
def exponentials(
    z: Row, start: int, largest: float, temperature: float, e: Floats, w: Floats
) -> int:
    """For a block of logits fill e with p = exp(x) and w with x p, x = (z - largest) / temperature.

    The block is EXP_BLOCK classes from ``start`` on, or what is left of them. Returns its width:
    the power of two up to which e and w are filled, with zeros at the end.
    """
    length = min(EXP_BLOCK, z.size - start)
    part = z[start : start + length]
    if temperature == 1.0:
        for j in range(length):
            x = float(part[j]) - largest
            x = x if x > -1000.0 else -1000.0
            e[j] = exp_of_nonpositive(x)
            w[j] = x * e[j]
    else:
        for j in range(length):
            x = (float(part[j]) - largest) / temperature
            x = x if x > -1000.0 else -1000.0
            e[j] = exp_of_nonpositive(x)
            w[j] = x * e[j]
    return _pad(length, e, w)


@njit(cache=True, error_model="numpy")
def ratios(q: Row, start: int, largest: float, e: Floats, w: Floats) -> int:
    """For a block of probabilities fill e with p = q / largest and w with p log p; see above."""
    length = min(EXP_BLOCK, q.size - start)
    part = q[start : start + length]
    scale = 1.0 / largest
    for j in range(length):
        p = part[j] * scale
        e[j] = p
        w[j] = p * log_of_normal(p if p > SMALLEST_NORMAL else SMALLEST_NORMAL)
    return _pad(length, e, w)


@njit(cache=True, error_model="numpy")
def _behind(score: float, largest: float, temperature: float, probabilities: bool) -> float:
    """How far a score lies behind the largest in log probability, >= 0 and finite."""
    if probabilities:
        return -float(np.log(max(score / largest, SMALLEST_NORMAL)))
    return min((largest - score) / temperature, LARGEST)


@njit(cache=True)
def _k_largest(z: Row, k: int, kept: Floats) -> None:
    """Write the k largest of ``z`` into ``kept[:k]``, largest first; k <= K."""
    kept[:k] = -np.inf
    for j in range(z.size):
        if z[j] > kept[k - 1]:
            i = k - 1
            while i > 0 and kept[i - 1] < z[j]:
                kept[i] = kept[i - 1]
                i -= 1
            kept[i] = z[j]


@njit(cache=True, error_model="numpy")
def summarise_row(
    z: Row,
    temperature: float,
    probabilities: bool,
    k: int,
    lanes: Row,
    e: Floats,
    w: Floats,
    kept: Floats,
) -> tuple[int, float, float, float, float, float, float]:
    """One row's (prediction, top, gap, tail, weighted, head, beyond); prediction -1 if not finite.

    The row holds logits, or multiples of ``probabilities``, treated as the logits log z. ``lanes``
    as in :func:`best_two`, ``e`` and ``w`` [EXP_BLOCK] and ``kept`` [min(k, K)] are room to work
    in. Sums are pairwise within a block of classes.
    """
    classes = z.size
    best, runner_up = best_two(z, lanes)
    if best < 0:
        return -1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    largest = np.float64(z[best])
    gap = LARGEST
    if classes > 1:
        gap = _behind(runner_up, largest, temperature, probabilities)

    some = 1 < k < classes
    head, kth, ties = 1.0, largest, 0
    if some:
        _k_largest(z, k, kept)
        kth = kept[k - 1]
        head = 0.0
        for i in range(k - 1, -1, -1):
            head += np.exp(-_behind(kept[i], largest, temperature, probabilities))
            ties -= 1 if kept[i] == kth else 0

    tail, weighted, beyond = 0.0, 0.0, 0.0
    for start in range(0, classes, EXP_BLOCK):
        if probabilities:
            width = ratios(z, start, largest, e, w)
        else:
            width = exponentials(z, start, largest, temperature, e, w)
        weighted += pairwise_sum(w, width)
        if some:
            part = z[start : start + EXP_BLOCK]
            w[part.size : width] = 0.0
            for j in range(part.size):
                ties += 1 if part[j] == kth else 0
                w[j] = e[j] if part[j] < kth else 0.0
            beyond += pairwise_sum(w, width)
        if start <= best < start + EXP_BLOCK:
            e[best - start] = 0.0
        tail += pairwise_sum(e, width)
    if some:
        beyond += ties * np.exp(-_behind(kth, largest, temperature, probabilities))
    elif k == 1:
        beyond = tail
    top = np.log(largest) if probabilities else largest / temperature
    return best, min(max(top, -LARGEST), LARGEST), gap, tail, weighted, head, beyond


@njit(cache=True, nogil=True)
def summarise_rows(
    scores: NDArray[np.floating],
    temperature: float,
    probabilities: bool,
    labels: Ints,
    k: int,
    start: int,
    ints: Ints,
    floats: Floats,
) -> int:
    """Fill ``ints`` [2, N] and ``floats`` [6, N] from column ``start`` on with the rows' summaries.

    ``labels`` [rows] or empty. Returns the first row that is not finite, or -1.
    """
    lanes = np.empty((3, LANES), scores.dtype)
    e, w, kept = np.empty(EXP_BLOCK), np.empty(EXP_BLOCK), np.empty(min(k, scores.shape[1]))
    for row in range(scores.shape[0]):
        z = scores[row]
        summary = summarise_row(z, temperature, probabilities, k, lanes, e, w, kept)
        if summary[0] < 0:
            return row
        ints[0, start + row] = summary[0]
        for i, value in enumerate(summary[1:]):
            floats[i, start + row] = value
        if labels.size:
            ints[1, start + row] = label_rank(z, labels[row])
    return -1


@njit(cache=True, nogil=True)
def answer_rows(scores: NDArray[np.floating], labels: Ints, start: int, ints: Ints) -> int:
    """Fill ``ints`` alone, as :func:`summarise_rows` does, without any exponential."""
    lanes = np.empty((3, LANES), scores.dtype)
    for row in range(scores.shape[0]):
        best, _ = best_two(scores[row], lanes)
        if best < 0:
            return row
        ints[0, start + row] = best
        ints[1, start + row] = label_rank(scores[row], labels[row])
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def negative_log_likelihoods(
    logits: NDArray[np.floating], labels: Ints, temperature: float, out: Floats
) -> int:
    """Fill ``out`` [rows] with -log p(label); returns the first row that is not finite, or -1."""
    lanes = np.empty((3, LANES), logits.dtype)
    e, w = np.empty(EXP_BLOCK), np.empty(EXP_BLOCK)
    for row in range(logits.shape[0]):
        z = logits[row]
        best, _ = best_two(z, lanes)
        if best < 0:
            return row
        largest = np.float64(z[best])
        tail = 0.0
        for start in range(0, z.size, EXP_BLOCK):
            width = exponentials(z, start, largest, temperature, e, w)
            if start <= best < start + EXP_BLOCK:
                e[best - start] = 0.0
            tail += pairwise_sum(e, width)
        behind = (largest - np.float64(z[labels[row]])) / temperature
        out[row] = min(behind + np.log1p(tail), LARGEST)
    return -1
