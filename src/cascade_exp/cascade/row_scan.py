"""What a row of scores says without any exponential: its best two classes and its label's rank."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = NDArray[np.floating]

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

    >>> best_two(np.array([1.0, 3.0, 3.0]), np.empty((3, LANES)))
    (1, 3.0)
    >>> best_two(np.array([1.0, np.nan]), np.empty((3, LANES)))
    (-1, 0.0)
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
    """How many classes score higher than ``label``, or equal with a lower index.

    >>> z = np.array([1.0, 3.0, 3.0])
    >>> [label_rank(z, label) for label in range(3)]
    [2, 0, 1]
    """
    score, rank = z[label], 0
    earlier, later = z[:label], z[label + 1 :]
    for j in range(earlier.size):
        rank += int(earlier[j] >= score)
    for j in range(later.size):
        rank += int(later[j] > score)
    return rank


@njit(cache=True, nogil=True)
def scan_rows(
    scores: NDArray[np.floating], labels: Ints, start: int, ints: Ints, seconds: Floats
) -> int:
    """Fill ``ints`` [2, N] and ``seconds`` [N] from column ``start`` on, row by row of ``scores``.

    With the class of the highest score, the label's rank (``labels`` [rows] may be empty: 0), and
    the second-highest score (-inf with one class). Returns the first row that is not finite, or -1.

    >>> ints, seconds = np.zeros((2, 2), np.int64), np.empty(2)
    >>> scan_rows(np.array([[0.0, 2.0], [1.0, 0.0]]), np.array([1, 1]), 0, ints, seconds)
    -1
    >>> ints.tolist(), seconds.tolist()
    ([[1, 0], [0, 1]], [0.0, 0.0])
    """
    lanes = np.empty((3, LANES), scores.dtype)
    for row in range(scores.shape[0]):
        best, second = best_two(scores[row], lanes)
        if best < 0:
            return row
        ints[0, start + row] = best
        seconds[start + row] = second
        if labels.size:
            ints[1, start + row] = label_rank(scores[row], labels[row])
    return -1
