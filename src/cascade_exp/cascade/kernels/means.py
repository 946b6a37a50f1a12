"""Adding up the rows of several models, logits or probabilities, and taking their mean.

Summarising the mean is ``cascade.kernels.scores``'s; which models, ``cascade.ensembling``'s.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cascade_exp.cascade.kernels.elementary import pairwise_sum
from cascade_exp.cascade.kernels.scores import EXP_BLOCK, LANES, best_two, exponentials

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def mean_logits(
    earlier: Floats, count: int, logits: NDArray[np.floating], temperature: float, out: Floats
) -> int:
    """Fill ``out`` with (earlier + logits / temperature) / count, all [rows, K]; return -1.

    ``earlier`` is a sum of count - 1 models. With count 1, ``out`` is a sum that begins.
    """
    for row in range(logits.shape[0]):
        z, sums, means = logits[row], earlier[row], out[row]
        for j in range(z.size):
            means[j] = (sums[j] + np.float64(z[j]) / temperature) / count
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def mean_softmax(
    earlier: Floats, count: int, logits: NDArray[np.floating], temperature: float, out: Floats
) -> int:
    """The same with softmax(logits / temperature); returns the first row not finite, or -1."""
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
        exponential, sums, means = e.reshape(-1), earlier[row], out[row]
        for j in range(classes):
            means[j] = (sums[j] + exponential[j] / total) / count
    return -1
