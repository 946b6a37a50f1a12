"""Softmax of chunks of rows in float64, the way everybody writes it in NumPy.

``p = exp(y - max y); p /= p.sum()`` with the bits of NumPy's own exp (``exponential``) and sums,
so that a threshold found here parts the same examples in any script that scores the recording that
way. What the numbers are for lives in ``confidence``, ``ensembling`` and ``calibration``; chunks of
rows in ``rows``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.exponential import exponentials
from cascade_exp.cascade.row_scan import scan_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.floating]

NO_LABELS: Ints = np.empty(0, np.int64)
NOTHING = -1000.0  # a shifted logit whose exponential is 0
BLOCK = 2**16  # float64 numbers: 512 KiB


def blocks(size: int, classes: int) -> Iterator[slice]:
    """Slices that cover ``0:size``, each of as many rows as stay in a core's own cache.

    >>> [(part.start, part.stop) for part in blocks(5, BLOCK // 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, BLOCK // classes)
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def best_classes(rows: Rows) -> tuple[Ints, int]:
    """The highest class int64 [n] of each row, the lower index on ties; the first bad row or -1.

    A row is bad if a score in it is NaN or infinite.

    >>> best_classes(np.array([[1.0, 3.0, 3.0], [0.0, np.inf, 0.0]]))[1]
    1
    """
    ints, seconds = np.zeros((2, len(rows)), np.int64), np.empty(len(rows))
    bad = scan_rows(rows, NO_LABELS, 0, ints, seconds)
    return ints[0], bad


def shifted_logits(rows: Rows, best: Ints, temperature: float) -> Floats:
    """y - max y, float64 [n, K], with y = rows / temperature and ``best`` the highest class.

    >>> shifted_logits(np.array([[4.0, 0.0]]), np.array([0]), temperature=2.0).tolist()
    [[0.0, -2.0]]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        y = rows.astype(np.float64)
        if temperature != 1.0:
            y /= temperature
        y -= y[np.arange(len(y)), best][:, None]
    if rows.dtype.itemsize == 8 and not np.isfinite(y.min(initial=0.0)):
        # differences beyond float64: halves do not overflow, and what is that far behind is nothing
        half = rows / 2
        with np.errstate(over="ignore"):
            y = (half - half[np.arange(len(half)), best][:, None]) / temperature * 2
        return np.maximum(y, NOTHING)
    return y


def shifted_exponentials(rows: Rows, best: Ints, temperature: float) -> tuple[Floats, Floats]:
    """:func:`shifted_logits` and their exponentials, float64 [n, K] each.

    >>> shifted_exponentials(np.array([[2.0, 2.0]]), np.array([0]), 1.0)[1].tolist()
    [[1.0, 1.0]]
    """
    found = exponentials(rows, best, temperature)
    if found is not None:
        return found
    shifted = shifted_logits(rows, best, temperature)
    return shifted, np.exp(shifted)


def softmax(rows: Rows, best: Ints, temperature: float) -> Floats:
    """Softmax exp(y - max y) / Σ exp(y - max y) of y = rows / temperature, float64 [n, K].

    >>> softmax(np.array([[2.0, 0.0]]), best=np.array([0]), temperature=2.0).round(4).tolist()
    [[0.7311, 0.2689]]
    """
    _, p = shifted_exponentials(rows, best, temperature)
    p /= p.sum(axis=1, keepdims=True)
    return p


def sum_of_largest(values: Floats, k: int) -> Floats:
    """Sum of the k largest of each row, smallest first: float64 [n]; 1 <= k <= K.

    >>> sum_of_largest(np.array([[0.5, 0.125, 0.375]]), 2).tolist()
    [0.875]
    """
    largest = np.partition(values, values.shape[1] - k, axis=1)[:, values.shape[1] - k :]
    sums: Floats = np.sort(largest, axis=1).sum(axis=1)
    return sums
