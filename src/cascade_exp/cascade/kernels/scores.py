"""The row pass: one row of logits to everything that its confidence metrics need.

What the sums mean, and chunks of rows, live in ``cascade.confidence``.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cascade_exp.cascade.kernels.elementary import exp_of_nonpositive, pairwise_sum

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST = float(np.finfo(np.float64).max)
EXP_BLOCK = 1024  # classes whose exponentials are held at once: 8 KiB, inside the first cache


@njit(cache=True, fastmath={"nnan", "nsz"})
def _largest(z: NDArray[np.floating], start: int, stop: int) -> float:
    """The largest of ``z[start:stop]``, which are finite and at least one."""
    largest = z[start]
    for j in range(start + 1, stop):
        largest = max(largest, z[j])
    return largest  # type: ignore[no-any-return]


@njit(cache=True)
def _first_best(z: NDArray[np.floating]) -> int:
    """The class with the highest score, the lower index on ties; -1 if a score is not finite."""
    bad = 0
    for j in range(z.size):
        bad += 0 if abs(z[j]) <= LARGEST else 1
    if bad:
        return -1
    largest = _largest(z, 0, z.size)
    best = z.size
    for j in range(z.size):
        best = min(best, j if z[j] == largest else z.size)
    return best


@njit(cache=True)
def label_rank(z: NDArray[np.floating], label: int) -> int:
    """How many classes score higher than ``label``, or equal with a lower index."""
    rank = 0
    for j in range(label):
        rank += 1 if z[j] >= z[label] else 0
    for j in range(label + 1, z.size):
        rank += 1 if z[j] > z[label] else 0
    return rank


@njit(cache=True)
def kth_largest(z: NDArray[np.floating], k: int, kept: NDArray[np.float64]) -> None:
    """Write the k largest of ``z`` into ``kept[:k]``, largest first; k <= K."""
    for i in range(k):
        kept[i] = -np.inf
    for j in range(z.size):
        if z[j] > kept[k - 1]:
            i = k - 1
            while i > 0 and kept[i - 1] < z[j]:
                kept[i] = kept[i - 1]
                i -= 1
            kept[i] = z[j]


@njit(cache=True, error_model="numpy")
def summarise_row(
    z: NDArray[np.floating],
    temperature: float,
    k: int,
    e: NDArray[np.float64],
    w: NDArray[np.float64],
    kept: NDArray[np.float64],
) -> tuple[int, float, float, float, float, float, float]:
    """One row's (prediction, top, gap, tail, weighted, head, beyond); prediction -1 if not finite.

    ``e``, ``w`` float64 [EXP_BLOCK] and ``kept`` float64 [>= k] are room to work in. Sums are
    pairwise within a block of classes.
    """
    classes = z.size
    best = _first_best(z)
    if best < 0:
        return -1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    largest = np.float64(z[best])
    gap = LARGEST
    if classes > 1:
        second = -np.inf
        if best > 0:
            second = np.float64(_largest(z, 0, best))
        if best + 1 < classes:
            second = max(second, np.float64(_largest(z, best + 1, classes)))
        gap = min((largest - second) / temperature, LARGEST)

    head, kth, ties = 1.0, largest, 0
    if 1 < k < classes:
        kth_largest(z, k, kept)
        kth = kept[k - 1]
        head = 0.0
        for i in range(k - 1, -1, -1):
            head += exp_of_nonpositive(max((kept[i] - largest) / temperature, -1000.0))
            ties -= 1 if kept[i] == kth else 0

    tail, weighted, beyond = 0.0, 0.0, 0.0
    for start in range(0, classes, EXP_BLOCK):
        length = min(EXP_BLOCK, classes - start)
        width = 1
        while width < length:
            width *= 2
        for j in range(length):
            x = max((np.float64(z[start + j]) - largest) / temperature, -1000.0)
            p = exp_of_nonpositive(x)
            e[j] = p
            w[j] = x * p
        for j in range(length, width):
            e[j] = 0.0
            w[j] = 0.0
        weighted += pairwise_sum(w, width)
        if 1 < k < classes:
            for j in range(length):
                ties += 1 if z[start + j] == kth else 0
                w[j] = e[j] if z[start + j] < kth else 0.0
            for j in range(length, width):
                w[j] = 0.0
            beyond += pairwise_sum(w, width)
        if start <= best < start + length:
            e[best - start] = 0.0
        tail += pairwise_sum(e, width)
    if 1 < k < classes:
        beyond += ties * exp_of_nonpositive(max((kth - largest) / temperature, -1000.0))
    else:
        beyond = tail if k == 1 else 0.0
    top = min(max(largest / temperature, -LARGEST), LARGEST)
    return best, top, gap, tail, weighted, head, beyond


@njit(cache=True, nogil=True)
def summarise_rows(
    logits: NDArray[np.floating],
    temperature: float,
    labels: Ints,
    k: int,
    start: int,
    ints: Ints,
    floats: Floats,
) -> int:
    """Fill ``ints`` [2, N] and ``floats`` [6, N] from column ``start`` on with the rows' summaries.

    ``labels`` [rows] or empty. Returns the first row that is not finite, or -1.
    """
    e, w, kept = np.empty(EXP_BLOCK), np.empty(EXP_BLOCK), np.empty(min(k, logits.shape[1]))
    for row in range(logits.shape[0]):
        summary = summarise_row(logits[row], temperature, k, e, w, kept)
        if summary[0] < 0:
            return row
        ints[0, start + row] = summary[0]
        for i, value in enumerate(summary[1:]):
            floats[i, start + row] = value
        if labels.size:
            ints[1, start + row] = label_rank(logits[row], labels[row])
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def negative_log_likelihoods(
    logits: NDArray[np.floating], labels: Ints, temperature: float, out: Floats
) -> int:
    """Fill ``out`` [rows] with -log p(label) at ``temperature``; the first row not finite, or -1."""
    e = np.empty(EXP_BLOCK)
    for row in range(logits.shape[0]):
        z = logits[row]
        best = _first_best(z)
        if best < 0:
            return row
        largest = np.float64(z[best])
        tail = 0.0
        for start in range(0, z.size, EXP_BLOCK):
            length = min(EXP_BLOCK, z.size - start)
            width = 1
            while width < length:
                width *= 2
            for j in range(length):
                x = max((np.float64(z[start + j]) - largest) / temperature, -1000.0)
                e[j] = exp_of_nonpositive(x)
            for j in range(length, width):
                e[j] = 0.0
            if start <= best < start + length:
                e[best - start] = 0.0
            tail += pairwise_sum(e, width)
        behind = (largest - np.float64(z[labels[row]])) / temperature
        out[row] = min(behind + np.log1p(tail), LARGEST)
    return -1
