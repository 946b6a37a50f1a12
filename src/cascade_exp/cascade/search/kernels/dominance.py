"""Sums over dominated points, many queries at once: the kernel behind applying many settings."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def sum_dominated(first, second, weights, at_first, at_second, sums):  # type: ignore[no-untyped-def]
    """Add to each query's sums the weights of the points that it dominates.

    sums[p] += Σ weights[x] over all x with first[x] <= at_first[p] and second[x] <= at_second[p].
    first, second int32 [N], at_first, at_second int32 [P], all >= 0; weights int64 [N, W]; sums
    int64 [P, W]. Points and queries are taken by growing first coordinate; a Fenwick tree over the
    second one holds the weights of the points so far: O((N + P) log P) where coordinates are ranks
    among the P queries.

    >>> points = np.array([0, 1], np.int32)
    >>> sums = np.zeros((2, 1), np.int64)
    >>> sum_dominated(
    ...     points,
    ...     points,
    ...     np.array([[3], [4]]),
    ...     np.array([0, 1], np.int32),
    ...     np.array([1, 1], np.int32),
    ...     sums,
    ... )
    >>> sums.tolist()
    [[3], [7]]
    """
    number, width = sums.shape
    if number == 0:
        return
    levels, places = at_first.max() + 1, at_second.max() + 1
    points, point_starts = _by_level(first, levels)
    queries, query_starts = _by_level(at_first, levels)
    tree = np.zeros((places + 1, width), np.int64)
    for level in range(levels):
        for k in range(point_starts[level], point_starts[level + 1]):
            x = points[k]
            place = np.int64(second[x]) + 1
            while place <= places:
                for w in range(width):
                    tree[place, w] += weights[x, w]
                place += place & -place
        for k in range(query_starts[level], query_starts[level + 1]):
            p = queries[k]
            place = np.int64(at_second[p]) + 1
            while place > 0:
                for w in range(width):
                    sums[p, w] += tree[place, w]
                place -= place & -place


@njit(nogil=True, cache=True)
def _by_level(values, levels):  # type: ignore[no-untyped-def]
    """Indices of the values below ``levels`` by growing value, and where each value starts."""
    starts = np.zeros(levels + 1, np.int64)
    for value in values:
        if value < levels:
            starts[value + 1] += 1
    for level in range(levels):
        starts[level + 1] += starts[level]
    indices = np.empty(starts[levels], np.int64)
    filled = starts[:-1].copy()
    for x in range(values.shape[0]):
        value = values[x]
        if value < levels:
            indices[filled[value]] = x
            filled[value] += 1
    return indices, starts
