"""Three stages: a coarse grid of cutoffs for one first and second stage, all third ones at once.

The two thresholds' cutoffs form a square; the grid cuts it into cells. For each cell and each third
model one streaming pass gives the counts at its corner, a real setting where both its cutoffs are
valid, and how many right answers any setting in the cell could have at most.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.search.kernels.bits import LANES
from cascade_exp.cascade.search.kernels.front import may_join, offer


@njit(nogil=True, cache=True)
def strip_bounds(hits, column, run, counts, base, gain_second, width):  # type: ignore[no-untyped-def]
    """Right answers at the corner, and at most, of one strip's cells.

    hits [G, 4, LANES] and column [G, 4, LANES] flattened: examples of the strip by column, right at
    stage 1 and 2 and lane; per column and lane, over the strips before, what deferral to stage 3
    gains in all and at most, then the two results. ``counts`` int64 [G, 4]: the strip's examples.
    """
    run[:] = 0
    for q in range(counts.shape[0]):
        # of the strip's examples, by right at 1 (bit 0) and at 2 (bit 1)
        only_second = counts[q, 2]
        gain_second -= only_second
        reached = np.int32(only_second + counts[q, 3])
        corner = np.int32(base)
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
            right = np.int32(corner + run_gain)
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
def grid_pass(group, order, right_first, code, right_third, corner, front, witness, scratch, found):  # type: ignore[no-untyped-def]
    """Offer every corner; list the cells that may hold a setting for the front.

    order int32 [N] of the first stage; right_first uint8 [N] and right_third uint8 [N, LANES] in
    that order; ``code`` uint16 [N] by example: 4 * strip of its second rank + 2 * right there.
    corner bool [2, G]: whether the grid lines are valid cutoffs. ``scratch``: uint16 [4 G, LANES]
    and int32 [G, 4, LANES]. found int32 [G * G * LANES, 6] receives strip of first, of second,
    lane, right answers and number on to stage 3 at the corner, most right answers; their number is
    returned.
    """
    histogram, state = scratch
    size, step = group.size, 64 * group.words
    strips = corner.shape[1]
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
        strip = (step * p, min(step * (p + 1), size))
        count_strip(strip, order, right_first, code, right_third, histogram, counts)
        gain_second = np.int64(0)  # of the strip's examples that would leave at stage 2
        change = np.int64(0)
        for q in range(strips):
            gain_second += counts[q, 2]
            change += counts[q, 2] - counts[q, 1]
        strip_bounds(hits, column, run, counts, base, gain_second, width)
        cost_two = float(size) * group.cost_first + float(step * p) * group.cost_second
        on = np.int64(0)
        for q in range(strips):
            for lane in group.lanes:
                place = 4 * LANES * q + lane
                most = np.int64(column[place + 3 * LANES])
                cost = cost_two + float(on) * group.cost_third[lane]
                if cost > front[most]:
                    continue
                right = np.int64(column[place + 2 * LANES])
                rank, at = group.rank[lane], (step * p, step * q)
                if cost <= front[right] and corner[0, p] and corner[1, q]:
                    offer(front, witness, right, cost, rank, at)
                if may_join(front, witness, most, cost, rank, at):
                    found[listed, 0], found[listed, 1], found[listed, 2] = p, q, lane
                    found[listed, 3], found[listed, 4], found[listed, 5] = right, on, most
                    listed += 1
            on += on_before[q]
            on_before[q] += counts[q, 0] + counts[q, 1] + counts[q, 2] + counts[q, 3]
        base += change
    return listed


@njit(nogil=True, cache=True)
def count_strip(strip, order, right_first, code, right_third, histogram, counts):  # type: ignore[no-untyped-def]
    """Count a strip's examples by column and by right at stage 1 and 2, all and right by lane."""
    width = right_third.shape[1]
    for y in range(strip[0], strip[1]):
        kind = code[order[y]] + right_first[y]
        counts[kind >> 2, kind & 3] += 1
        cell = histogram[kind]
        row = right_third[y]
        for lane in range(width):
            cell[lane] += row[lane]


@njit(nogil=True, cache=True)
def still_found(found, group, front, witness):  # type: ignore[no-untyped-def]
    """Keep of ``found`` what a better front leaves, in place; the number kept is returned."""
    kept = 0
    for x in range(found.shape[0]):
        lane = found[x, 2]
        at = (64 * group.words * np.int64(found[x, 0]), 64 * group.words * np.int64(found[x, 1]))
        cost = float(group.size) * group.cost_first + float(at[0]) * group.cost_second
        cost += float(found[x, 4]) * group.cost_third[lane]
        if may_join(front, witness, found[x, 5], cost, group.rank[lane], at):
            found[kept] = found[x]
            kept += 1
    return kept
