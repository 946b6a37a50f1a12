"""Two stages: every cutoff of one first model, for all second models at once."""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.kernels.front import offer


@njit(nogil=True, cache=True)
def sweep_pairs(  # type: ignore[no-untyped-def]
    order,
    valid,
    right_first,
    right_second,
    cost_first,
    cost_second,
    rank,
    exit_tier,
    front,
    witness,
):
    """Offer every setting of the cascades first>second that can be on the front.

    order int32 [N] and valid bool [N + 1] of the first stage; right_first uint8 [N];
    right_second uint8 [N, L] and cost_second float64 [L], rank int64 [L] of the L second stages.
    Walking along the first stage's order, a cutoff with no more right answers than an earlier one
    costs at least as much; under ``exit_tier`` it may not, and every valid cutoff is offered.
    """
    size = order.shape[0]
    lanes = rank.shape[0]
    gain = np.zeros(lanes, np.int64)
    best = np.full(lanes, np.iinfo(np.int64).min)
    base = np.int64(0)
    for x in range(size):
        base += right_first[x]
    for a in range(size + 1):
        if valid[a]:
            for t in range(lanes):
                if gain[t] > best[t] or exit_tier:
                    best[t] = gain[t]
                    if exit_tier:
                        cost = float(size - a) * cost_first + float(a) * cost_second[t]
                    else:
                        cost = float(size) * cost_first + float(a) * cost_second[t]
                    offer(front, witness, base + gain[t], cost, rank[t], (a,))
        if a < size:
            x = order[a]
            for t in range(lanes):
                gain[t] += np.int64(right_second[x, t]) - np.int64(right_first[x])
