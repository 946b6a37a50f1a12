"""Two stages: every cutoff of one cascade, word by word."""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.search.kernels.bits import bit, count, steepest
from cascade_exp.cascade.search.kernels.front import offer


@njit(nogil=True, cache=True)
def sweep_pair(  # type: ignore[no-untyped-def]
    size, valid, first, second, cost_first, cost_second, rank, exit_tier, front, witness
):
    """Offer every setting of a two-stage cascade that can be on the front.

    Words uint64 [W] in the first stage's order: valid cutoffs, right at the first stage and at the
    second. A cutoff with no more right answers than an earlier one costs at least as much; under
    ``exit_tier`` it may not, and every valid cutoff is offered.

    >>> from cascade_exp.cascade.search.kernels.bits import pack_flags
    >>> valid, small, large = (
    ...     pack_flags(np.array(flags, np.uint8)) for flags in ([1, 1, 1], [0, 1], [1, 1])
    ... )
    >>> front, witness = np.full(4, np.inf), np.zeros((4, 2), np.int64)
    >>> sweep_pair(2, valid, small, large, 1.0, 5.0, 0, False, front, witness)
    >>> front.tolist(), witness[1:3].tolist()
    ([2.0, 2.0, 7.0, inf], [[0, 0], [0, 1]])
    """
    right = np.int64(0)
    for w in range(first.shape[0]):
        right += count(first[w])
    best = np.int64(-1)
    for w in range(first.shape[0]):
        gained = second[w] & ~first[w]
        lost = first[w] & ~second[w]
        top = right + steepest(gained, lost)
        a0 = 64 * w
        if exit_tier or (
            top > best and float(size) * cost_first + float(a0) * cost_second <= front[top]
        ):
            m = right
            for a in range(a0, min(a0 + 64, size + 1)):
                if (m > best or exit_tier) and bit(valid, a):
                    best = m
                    if exit_tier:
                        cost = float(size - a) * cost_first + float(a) * cost_second
                    else:
                        cost = float(size) * cost_first + float(a) * cost_second
                    if cost <= front[m]:
                        offer(front, witness, m, cost, rank, (a,))
                m += bit(second, a) - bit(first, a)
        right += count(gained) - count(lost)
