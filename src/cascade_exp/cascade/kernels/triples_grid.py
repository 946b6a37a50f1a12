"""Three stages: a coarse grid of cutoffs for one first and second stage, all third ones at once.

The two thresholds' cutoffs form a square; the grid cuts it into cells. For each cell and each third
model one streaming pass gives the counts at its corner, a real setting where both its cutoffs are
valid, and how many right answers any setting in the cell could have at most.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.kernels.bits import LANES
from cascade_exp.cascade.kernels.front import may_join, offer


@njit(nogil=True, cache=True)
def strip_bounds(hits, column, run, counts, base, gain_second, width):  # type: ignore[no-untyped-def]
    """Right answers at the corner, and at most, of one strip's cells.

    hits [G, 4, LANES] and column [G, 4, LANES] flattened: examples of the strip by column, right at
    stage 1 and 2 and lane; per column and lane, over the strips before, what going on to stage 3
    gains in all and at most, then the two results. ``counts`` int64 [G, 4]: the strip's examples.
    """
    run[:] = 0
    for q in range(counts.shape[0]):
        # of the strip's examples, by right at 1 (bit 0) and at 2 (bit 1)
        only_second = counts[q, 2]
        gain_second -= only_second
        reached = np.int32(only_second + counts[q, 3])
        sure = np.int32(base)
        hope = np.int32(only_second + gain_second)
        cell = 4 * LANES * q
        # flat arrays and 32-bit sums, all loads before all stores: only so is it vectorised
        for lane in range(width):
            neither = np.int32(hits[cell + lane])
            lost = np.int32(hits[cell + LANES + lane])
            regained = np.int32(hits[cell + 2 * LANES + lane])
            kept = np.int32(hits[cell + 3 * LANES + lane])
            run_gain = run[lane]
            run_hope = run[LANES + lane]
            column_gain = column[cell + lane]
            column_hope = column[cell + LANES + lane]
            right = np.int32(sure + run_gain)
            gains = np.int32(np.int32(neither + lost) + np.int32(regained + kept))
            run[lane] = np.int32(run_gain + column_gain)
            run[LANES + lane] = np.int32(run_hope + np.int32(neither + regained))
            column[cell + lane] = np.int32(column_gain + np.int32(gains - reached))
            column[cell + LANES + lane] = np.int32(column_hope + np.int32(neither + lost))
            column[cell + 2 * LANES + lane] = right
            column[cell + 3 * LANES + lane] = np.int32(
                np.int32(right + run_hope) + np.int32(np.int32(neither + hope) + column_hope)
            )


@njit(nogil=True, cache=True)
def grid_pass(  # type: ignore[no-untyped-def]
    order,
    right_first,
    code_second,
    right_third,
    lanes,
    step,
    corner_first,
    corner_second,
    cost_first,
    cost_second,
    cost_third,
    rank,
    front,
    witness,
    histogram,
    state,
    found,
):
    """Offer every corner; list the cells that may hold a setting for the front.

    order int32 [N] of the first stage; right_first uint8 [N] and right_third uint8 [N, LANES], both
    in that order; code_second uint16 [N] by example: 4 * strip of its second rank + 2 * right.
    ``lanes`` int64 [L]: the lanes searched, with cost_third float64 and rank int64 [LANES].
    corner_first, corner_second bool [G]: whether the grid line ``step * p`` is a valid cutoff.
    histogram uint16 [4 G, LANES] and state int32 [G, 4, LANES] are scratch.
    found int32 [G * G * LANES, 6] receives strip of first, of second, lane, right answers and
    number on to stage 3 at the corner, most right answers; their number is returned.
    """
    size = order.shape[0]
    strips = corner_first.shape[0]
    width = right_third.shape[1]  # LANES, but not to the compiler, which else unrolls to scalars
    hits = histogram.ravel()
    column = state.ravel()
    run = np.zeros(2 * LANES, np.int32)
    counts = np.zeros((strips, 4), np.int64)
    on_before = np.zeros(strips, np.int64)
    state[:] = 0
    base = np.int64(0)
    for y in range(size):
        base += right_first[y]
    listed = 0
    for p in range(strips):
        histogram[:] = 0
        counts[:] = 0
        for y in range(step * p, min(step * (p + 1), size)):
            code = code_second[order[y]] + right_first[y]
            counts[code >> 2, code & 3] += 1
            cell = histogram[code]
            row = right_third[y]
            for lane in range(width):
                cell[lane] += row[lane]
        cost_two = float(size) * cost_first + float(step * p) * cost_second
        gain_second = np.int64(0)  # of the strip's examples that would leave at stage 2
        change = np.int64(0)
        for q in range(strips):
            gain_second += counts[q, 2]
            change += counts[q, 2] - counts[q, 1]
        strip_bounds(hits, column, run, counts, base, gain_second, width)
        on = np.int64(0)
        for q in range(strips):
            cell = 4 * LANES * q
            for t in range(lanes.shape[0]):
                lane = lanes[t]
                place = cell + lane
                most = np.int64(column[place + 3 * LANES])
                cost = cost_two + float(on) * cost_third[lane]
                if cost > front[most]:
                    continue
                right = np.int64(column[place + 2 * LANES])
                if cost <= front[right] and corner_first[p] and corner_second[q]:
                    offer(front, witness, right, cost, rank[lane], (step * p, step * q))
                if may_join(front, witness, most, cost, rank[lane], (step * p, step * q)):
                    found[listed, 0] = p
                    found[listed, 1] = q
                    found[listed, 2] = lane
                    found[listed, 3] = right
                    found[listed, 4] = on
                    found[listed, 5] = most
                    listed += 1
            on += on_before[q]
            on_before[q] += counts[q, 0] + counts[q, 1] + counts[q, 2] + counts[q, 3]
        base += change
    return listed


@njit(nogil=True, cache=True)
def still_found(  # type: ignore[no-untyped-def]
    found, size, step, cost_first, cost_second, cost_third, rank, front, witness
):
    """Keep of ``found`` what a better front leaves, in place; the number kept is returned."""
    kept = 0
    for x in range(found.shape[0]):
        p, q, lane = found[x, 0], found[x, 1], found[x, 2]
        cost = float(size) * cost_first + float(step * p) * cost_second
        cost += float(found[x, 4]) * cost_third[lane]
        if may_join(front, witness, found[x, 5], cost, rank[lane], (step * p, step * q)):
            found[kept] = found[x]
            kept += 1
    return kept
