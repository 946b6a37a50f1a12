"""Four stages: a coarse grid of cutoffs for three stages, several fourth ones at once.

The three thresholds' cutoffs form a cube; the grid cuts it into cells. Streaming over the first
stage's strips, arrays over the cells of the other two hold, as differences, what every example adds
from which cell on; their prefix sums give each cell's counts at its corner, a real setting where
all three cutoffs are valid, and how many right answers any setting in it could have at most.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.search.kernels.bits import bit
from cascade_exp.cascade.search.kernels.front import may_join, offer
from cascade_exp.cascade.search.kernels.quads_cells import search_cell
from cascade_exp.cascade.search.kernels.quads_types import WIDTH, Stream


@njit(nogil=True, cache=True)
def make_stream(order, second, third, flags, bits, lanes):  # type: ignore[no-untyped-def]
    """The ``Stream`` of a group.

    order int32 [N] of the first stage. By example: second, third int32 [N], the ranks at the other
    two; flags uint8 [N], right at stage 1, 2, 3 as bits; bits uint32 [N], right at the fourth
    models of a chunk, of which int64 ``lanes`` are taken.
    """
    size = order.shape[0]
    right = np.empty(size, np.uint16)
    at_second = np.empty(size, np.int32)
    at_third = np.empty(size, np.int32)
    for y in range(size):
        x = order[y]
        at_second[y] = second[x]
        at_third[y] = third[x]
        packed = np.uint32(flags[x])
        for t in range(lanes.shape[0]):
            packed |= ((bits[x] >> np.uint32(lanes[t])) & np.uint32(1)) << np.uint32(3 + t)
        right[y] = packed
    return Stream(right, at_second, at_third)


@njit(nogil=True, cache=True)
def grid_pass(group, stream, grid, front, change, scratch):  # type: ignore[no-untyped-def]
    """Offer all settings of the grid's cells that can be on the front.

    ``change`` int32 [2, 256, WIDTH]: what fourth models right as the byte's bits say add to a stage
    3 that is wrong (row 0) or right (row 1).
    """
    size = group.size
    step = 64 * grid.words
    strips = grid.strips[2]
    rows = min(grid.end[1] + 1, grid.strips[1]) + 1
    place_of = strips_of_words(grid, group.valid[0].shape[0])
    hope = scratch.sums[0, : rows * (strips + 2)].reshape((rows, strips + 2, WIDTH))
    gain = scratch.sums[1, : rows * (strips + 2)].reshape((rows, strips + 2, WIDTH))
    hope[:] = 0
    gain[:] = 0
    scratch.drawn[:] = False
    number = np.zeros((rows, strips + 2), np.int64)
    two = np.zeros((3, rows), np.int64)  # of stage 3 against stage 2: hope, gain, number
    column_hope = np.zeros((strips + 2, WIDTH), np.int32)
    column_gain = np.zeros((strips + 2, WIDTH), np.int32)
    column_number = np.zeros(strips + 2, np.int64)
    run_hope = np.zeros((strips + 2, WIDTH), np.int32)
    highest = np.zeros(strips + 2, np.int64)
    right = np.int64(0)
    for y in range(size):
        right += np.int64(stream.right[y] & np.uint16(1))
    most = right
    for p in range(grid.end[0]):
        first, last = step[0] * p, min(step[0] * (p + 1), size)
        # those of the strip that are wrong at stage 1 may do better when deferred, the others not
        for y in range(first, last):
            if not stream.right[y] & np.uint16(1):
                most += add_hope(stream, y, place_of, two[0], hope, change)
        column_hope[:] = 0
        column_gain[:] = 0
        column_number[:] = 0
        best, corner, at_three = most, right, np.int64(0)
        for q in range(grid.end[1] if p >= grid.start[0] else 0):
            best += two[0, q]
            corner += two[1, q]
            at_three += two[2, q]
            add_flat(column_hope, hope[q])
            add_flat(column_gain, gain[q])
            for s in range(strips):
                column_number[s] += number[q, s]
            if q < grid.start[1]:
                continue
            sum_strips(column_hope, run_hope, highest)
            visit_column(
                group, stream, grid, front, scratch, (p, q), (best, corner, at_three),
                column_number, column_gain, run_hope, highest,
            )  # fmt: skip
        for y in range(first, last):
            if stream.right[y] & np.uint16(1):
                most += add_hope(stream, y, place_of, two[0], hope, change) - 1
            right += add_gain(stream, y, place_of, two, gain, number, change)


@njit(nogil=True, cache=True, inline="always")
def visit_column(  # type: ignore[no-untyped-def]
    group, stream, grid, front, scratch, at_cell, counts, column_number, column_gain, run_hope,
    highest,
):  # fmt: skip
    """Search the cells of strips ``at_cell`` of the first two axes that can be on the front.

    ``counts``: right answers at most and at the corner, and number at stage 3. By strip of the
    third axis: ``column_number`` int64 [.], what is deferred to stage 4; ``column_gain`` int32
    [., WIDTH]; ``run_hope`` int32 [., WIDTH] and its largest lane, ``highest`` int64 [.].
    """
    p, q = at_cell
    best, corner, at_three = counts
    first, cheapest = 64 * grid.words[0] * p, group.cost_fourth.min()
    low = float(group.size) * group.cost[0] + float(first) * group.cost[1]
    low += float(at_three) * group.cost[2]
    run_gain = scratch.run_gain
    at_four = np.int64(0)
    summed = False
    for s in range(grid.strips[2]):
        at_four += column_number[s]
        if low + float(at_four) * cheapest > front.share * front.cost[best + highest[s]]:
            continue
        if not summed:
            sum_strips(column_gain, run_gain, scratch.highest_gain)
            summed = True
        for t in range(group.rank.shape[0]):
            cost = low + float(at_four) * group.cost_fourth[t]
            top = best + run_hope[s, t]
            at = (first, 64 * grid.words[1] * q, 64 * grid.words[2] * s)
            if cost > front.share * front.cost[top] or not may_join(
                front.cost, front.witness, top, cost, group.rank[t], at
            ):
                continue
            m = corner + run_gain[s, t]
            if is_setting(group.valid, at):
                offer(front.cost, front.witness, m, cost, group.rank[t], at)
            search_cell(group, stream, grid, front, scratch, (p, q, s), t, (m, at_three, at_four))


@njit(nogil=True, cache=True)
def strips_of_words(grid, words):  # type: ignore[no-untyped-def]
    """The strip of the second and of the third axis that each word lies in: int64 [2, words]."""
    strip = np.empty((2, words), np.int64)
    for d in range(2):
        for w in range(words):
            strip[d, w] = w // grid.words[d + 1]
    return strip


@njit(nogil=True, cache=True)
def add_hope(stream, y, place_of, two, hope, change):  # type: ignore[no-untyped-def]
    """Count an example deferred from stage 1 by its best exit; right at stage 2 is returned.

    Where stage 2 is right it stays as long as it may, else it is deferred as soon as it may, and so
    at stage 3: a step function of the cell, stored as its steps.
    """
    bits = np.int64(stream.right[y])
    at_two, at_three = bits >> 1 & 1, bits >> 2 & 1
    q = place_of[0, stream.second[y] >> 6] + at_two
    s = place_of[1, stream.third[y] >> 6] + at_three
    if q < hope.shape[0]:
        two[q] += at_three - at_two
        add_lanes(hope[q, s], change[at_three, bits >> 3])
    return at_two


@njit(nogil=True, cache=True, inline="always")
def add_gain(stream, y, place_of, two, gain, number, change):  # type: ignore[no-untyped-def]
    """Count an example that is deferred from stage 1 from here on; what right answers change by.

    ``two`` int64 [3, .]: of stage 3 against stage 2, at most, at the corner, and their number.
    """
    bits = np.int64(stream.right[y])
    at_two, at_last = bits >> 1 & 1, bits >> 2 & 1
    q = place_of[0, stream.second[y] >> 6] + 1
    s = place_of[1, stream.third[y] >> 6] + 1
    if q < two.shape[1]:
        two[1, q] += at_last - at_two
        two[2, q] += 1
        number[q, s] += 1
        add_lanes(gain[q, s], change[at_last, bits >> 3])
    return at_two - (bits & 1)


@njit(nogil=True, cache=True)
def add_lanes(sums, values):  # type: ignore[no-untyped-def]
    """Add ``values`` to ``sums``, of equal length."""
    for t in range(sums.shape[0]):
        sums[t] += values[t]


@njit(nogil=True, cache=True)
def add_flat(sums, values):  # type: ignore[no-untyped-def]
    """Add ``values`` to ``sums``, of equal shape."""
    flat, others = sums.ravel(), values.ravel()
    for t in range(flat.shape[0]):
        flat[t] += others[t]


@njit(nogil=True, cache=True)
def sum_strips(column, run, highest):  # type: ignore[no-untyped-def]
    """Prefix sums int32 [., WIDTH] along the strips, and the largest of each strip's lanes."""
    r0 = r1 = r2 = r3 = r4 = r5 = r6 = r7 = np.int32(0)
    for s in range(column.shape[0]):
        c, out = column[s], run[s]
        r0, r1, r2, r3 = (
            np.int32(r0 + c[0]),
            np.int32(r1 + c[1]),
            np.int32(r2 + c[2]),
            np.int32(r3 + c[3]),
        )
        r4, r5, r6, r7 = (
            np.int32(r4 + c[4]),
            np.int32(r5 + c[5]),
            np.int32(r6 + c[6]),
            np.int32(r7 + c[7]),
        )
        out[0], out[1], out[2], out[3] = r0, r1, r2, r3
        out[4], out[5], out[6], out[7] = r4, r5, r6, r7
        highest[s] = max(max(max(r0, r1), max(r2, r3)), max(max(r4, r5), max(r6, r7)))


@njit(nogil=True, cache=True)
def is_setting(valid, cutoffs):  # type: ignore[no-untyped-def]
    """Whether all three cutoffs are valid."""
    found = bit(valid[0], cutoffs[0]) & bit(valid[1], cutoffs[1]) & bit(valid[2], cutoffs[2])
    return found == 1
