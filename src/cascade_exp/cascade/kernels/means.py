"""Adding one model's rows, logits or probabilities, to the sum of earlier models' rows.

What a sum over models says is ``cascade.kernels.scores``'s; which models, ``cascade.ensembling``'s.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cascade_exp.cascade.kernels.elementary import pairwise_sum
from cascade_exp.cascade.kernels.scores import EXP_BLOCK, LANES, best_two, exponentials

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def add_logits(logits: NDArray[np.floating], temperature: float, sums: Floats) -> int:
    """Add logits / temperature [rows, K] to ``sums``; return -1."""
    for row in range(logits.shape[0]):
        z, whole = logits[row], sums[row]
        if temperature == 1.0:
            for j in range(z.size):
                whole[j] += float(z[j])
        else:
            for j in range(z.size):
                whole[j] += float(z[j]) / temperature
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def add_softmax(logits: NDArray[np.floating], temperature: float, sums: Floats) -> int:
    """Add softmax(logits / temperature); return the first row that is not finite, or -1."""
    classes = logits.shape[1]
    blocks = (classes + EXP_BLOCK - 1) // EXP_BLOCK
    lanes = np.empty((3, LANES), logits.dtype)
    e, terms, w = np.empty((blocks, EXP_BLOCK)), np.empty(EXP_BLOCK), np.empty(EXP_BLOCK)
    for row in range(logits.shape[0]):
        z = logits[row]
        best, _ = best_two(z, lanes)
        if best < 0:
            return row
        largest = np.float64(z[best])
        total = 0.0
        for block in range(blocks):
            width = exponentials(z, block * EXP_BLOCK, largest, temperature, e[block], w)
            terms[:width] = e[block, :width]
            total += pairwise_sum(terms, width)
        exponential, whole = e.reshape(-1), sums[row]
        share = 1.0 / total
        for j in range(classes):
            whole[j] += exponential[j] * share
    return -1
