"""Agreement beyond what labels explain, by looking at every pair of examples."""

import math

import numpy as np


def agreement(one: np.ndarray, other: np.ndarray, labels: np.ndarray) -> float:
    """(o - e) / (1 - e) of docs/definitions.md, in O(N^2); NaN where it is not defined."""
    observed, expected, size = 0.0, 0.0, 0
    for c in set(labels.tolist()):
        rows = [i for i in range(len(labels)) if labels[i] == c]
        if len(rows) < 2:
            continue
        size += len(rows)
        observed += sum(bool(one[i] == other[i]) for i in rows)
        pairs = [bool(one[i] == other[j]) for i in rows for j in rows if i != j]
        expected += len(rows) * sum(pairs) / len(pairs)
    if size == 0 or math.isclose(expected, size, abs_tol=1e-9):
        return math.nan
    return (observed / size - expected / size) / (1 - expected / size)
