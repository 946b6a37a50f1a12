"""Four stages: what the grid could not rule out, searched cell by cell.

Along each of the three axes, the examples whose exit one threshold alone decides add up: as bits,
and word by word as sums. The few that two or three thresholds decide (``shared``) are listed. Boxes
of cutoffs are halved, along the axis that leaves most open, until a bound rules them out or nothing
shared is left in them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.search.kernels.bits import (
    bit,
    count,
    draw_lines,
    lowest_bit,
    span,
    steepest,
)
from cascade_exp.cascade.search.kernels.quads_boxes import combine, settle
from cascade_exp.cascade.search.kernels.quads_types import (
    AT_FOUR,
    AT_THREE,
    FOUR,
    GAIN,
    GAINED,
    LOST,
    NEVER,
    THREE,
    TOP,
)


@njit(nogil=True, cache=True)
def search_cell(group, stream, grid, front, scratch, cell, lane, corner):  # type: ignore[no-untyped-def]
    """Offer every setting of one cell that can be on the front.

    ``cell``: its strips of the three axes; ``lane``: the fourth model; ``corner``: right answers,
    number at stage 3 and at stage 4 at the cell's least cutoffs.
    """
    size = group.size
    for d in range(3):
        if not scratch.drawn[d, cell[d]]:
            draw_strip(group, grid, scratch.below[d], d, cell[d])
            scratch.drawn[d, cell[d]] = True
    box, sums = scratch.boxes[0], scratch.tally
    base = (grid.words[0] * cell[0], grid.words[1] * cell[1], grid.words[2] * cell[2])
    for d in range(3):
        words = min(grid.words[d], group.valid[d].shape[0] - base[d])
        box[2 * d] = 64 * base[d]
        box[2 * d + 1] = min(64 * (base[d] + words), size + 1)
    slack = first_axis(group, scratch, cell, base[0], lane, box)
    slack += second_axis(group, scratch, cell, base[1], lane, box)
    third_axis(group, scratch, cell, base[2], lane, box)
    top = corner[0] + slack
    for d in range(3):
        highest = np.int64(NEVER)
        for w in range((box[2 * d + 1] + 63) // 64 - base[d]):
            highest = max(highest, scratch.curves[d, TOP, w])
        top += highest
    if (
        top < 0
        or least_cost(group, lane, box[0], corner[1], corner[2]) > front.share * front.cost[top]
    ):
        return
    listed = list_shared(group, stream, grid, scratch, cell, lane, box)
    depth = 1
    while depth > 0:
        depth -= 1
        box = scratch.boxes[depth]
        for k in range(3):
            sums[k] = corner[k]
        tight = settle(scratch.shared, listed, box, base, sums, scratch.bits[0], False)
        most, axis = bound_box(group, scratch, box, base, sums)
        if most == NEVER:  # a loss is no reason: the corner itself need not be a setting
            continue
        low = least_cost(group, lane, box[0], sums[1], sums[2])
        if low > front.share * front.cost[sums[0] + most]:
            continue
        if tight == 0:
            finish(group, front, scratch, listed, box, base, lane, corner)
        else:
            halve(scratch.boxes, depth, axis)
            depth += 2


@njit(nogil=True, cache=True, inline="always")
def bound_box(group, scratch, box, base, sums):  # type: ignore[no-untyped-def]
    """What a box gains at most over its corner (NEVER: no setting), and the axis that leaves most.

    ``sums`` are those of ``settle``; the corner's own gains and deferred examples are added.
    """
    most = np.int64(0)
    widest = np.int64(-1)
    axis = 0
    for d in range(3):
        bits, curve = scratch.bits[0, d], scratch.curves[d]
        gain = axis_corner(bits, curve, box[2 * d], base[d], sums)
        reach = axis_top(bits, curve, group.valid[d], box[2 * d], box[2 * d + 1], base[d])
        if reach == NEVER:
            return np.int64(NEVER), axis
        sums[0] += gain
        reach += sums[3 + d] - gain
        most += reach
        if reach > widest and box[2 * d + 1] - box[2 * d] > 1:
            axis, widest = d, reach
    return most, axis


@njit(nogil=True, cache=True)
def least_cost(group, lane, first, at_three, at_four):  # type: ignore[no-untyped-def]
    """Total cost when so many examples are deferred from stage 1, 2 and 3."""
    cost = float(group.size) * group.cost[0] + float(first) * group.cost[1]
    return cost + float(at_three) * group.cost[2] + float(at_four) * group.cost_fourth[lane]


@njit(nogil=True, cache=True)
def draw_strip(group, grid, below, axis, strip):  # type: ignore[no-untyped-def]
    """Fill the strip's words of ``below`` uint64 [2, lines, W].

    Row g of the first other axis has a bit for each example whose rank there is below grid line g;
    so for the second other axis.
    """
    start, end = grid.words[axis] * strip, grid.words[axis] * (strip + 1)
    for side in range(2):
        other = side + 1 if side >= axis else side
        lines = below[side, : grid.strips[other] + 1]
        step = 64 * grid.words[other]
        draw_lines(lines, group.order[axis], group.place[other], start, end, step)


@njit(nogil=True, cache=True)
def close_word(bits, curve, t, gained, lost, three, four, valid):  # type: ignore[no-untyped-def]
    """Set word ``t`` of an axis' bits and curve, and the next word's sums."""
    bits[GAINED, t] = gained
    bits[LOST, t] = lost
    bits[THREE, t] = three
    bits[FOUR, t] = four
    curve[TOP, t] = curve[GAIN, t] + steepest(gained, lost) if valid else NEVER
    curve[GAIN, t + 1] = curve[GAIN, t] + count(gained) - count(lost)
    curve[AT_THREE, t + 1] = curve[AT_THREE, t] + count(three)
    curve[AT_FOUR, t + 1] = curve[AT_FOUR, t] + count(four)


@njit(nogil=True, cache=True)
def first_axis(group, scratch, cell, base, lane, box):  # type: ignore[no-untyped-def]
    """The first threshold's axis of a cell; what its shared examples may gain is returned."""
    bits, curve = scratch.bits[0, 0], scratch.curves[0]
    second, third = scratch.below[0, 0], scratch.below[0, 1]
    curve[:, 0] = 0
    slack = np.int64(0)
    for t in range((box[1] + 63) // 64 - base):
        w = base + t
        r1, r2, r3 = group.first[0, w], group.first[1, w], group.first[2, w]
        r4 = group.first[3 + lane, w]
        past2, near2 = second[cell[1], w], second[cell[1] + 1, w]
        past3, near3 = third[cell[2], w], third[cell[2] + 1, w]
        open2, open3 = near2 & ~past2, near3 & ~past3
        shared = open2 | (past2 & open3)
        after = (~near2 & r2) | (past2 & ((~near3 & r3) | (past3 & r4)))
        lost = r1 & ~shared & ~after
        close_word(
            bits, curve, t, after & ~r1, lost, past2 & ~open3, past2 & past3,
            group.valid[0][w] != 0,
        )  # fmt: skip
        slack += count(shared & ~r1 & ((open2 & r2) | (~past3 & r3) | (near3 & r4)))
    return slack


@njit(nogil=True, cache=True)
def second_axis(group, scratch, cell, base, lane, box):  # type: ignore[no-untyped-def]
    """The second threshold's axis; what its shared examples may gain is returned."""
    bits, curve = scratch.bits[0, 1], scratch.curves[1]
    first, third = scratch.below[1, 0], scratch.below[1, 1]
    curve[:, 0] = 0
    slack = np.int64(0)
    for t in range((box[3] + 63) // 64 - base):
        w = base + t
        r2, r3, r4 = group.second[0, w], group.second[1, w], group.second[2 + lane, w]
        past1 = first[cell[0], w]
        past3, near3 = third[cell[2], w], third[cell[2] + 1, w]
        open3 = near3 & ~past3
        here = past1 & ~open3
        after = (~near3 & r3) | (past3 & r4)
        close_word(
            bits, curve, t, here & after & ~r2, here & r2 & ~after, here, past1 & past3,
            group.valid[1][w] != 0,
        )  # fmt: skip
        slack += count(past1 & open3 & ~r2 & (r3 | r4))
    return slack


@njit(nogil=True, cache=True)
def third_axis(group, scratch, cell, base, lane, box):  # type: ignore[no-untyped-def]
    """The third threshold's axis."""
    bits, curve = scratch.bits[0, 2], scratch.curves[2]
    first, second = scratch.below[2, 0], scratch.below[2, 1]
    curve[:, 0] = 0
    for t in range((box[5] + 63) // 64 - base):
        w = base + t
        r3, r4 = group.third[0, w], group.third[1 + lane, w]
        here = first[cell[0], w] & second[cell[1], w]
        close_word(
            bits, curve, t, here & r4 & ~r3, here & r3 & ~r4, np.uint64(0), here,
            group.valid[2][w] != 0,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def list_shared(group, stream, grid, scratch, cell, lane, box):  # type: ignore[no-untyped-def]
    """List the cell's examples that more than one threshold decides; their number is returned."""
    below, shared = scratch.below, scratch.shared
    listed = 0
    for w in range(box[0] >> 6, (box[1] + 63) >> 6):
        past2, near2 = below[0, 0, cell[1], w], below[0, 0, cell[1] + 1, w]
        open3 = below[0, 1, cell[2] + 1, w] & ~below[0, 1, cell[2], w]
        rest = (near2 & ~past2) | (past2 & open3)
        while rest:
            y = 64 * w + lowest_bit(rest)
            rest &= rest - np.uint64(1)
            shared[listed, 0] = y
            shared[listed, 1] = stream.second[y]
            shared[listed, 2] = stream.third[y]
            for r in range(3):
                shared[listed, 3 + r] = bit(group.first[r], y)
            shared[listed, 6] = bit(group.first[3 + lane], y)
            listed += 1
    for w in range(box[2] >> 6, (box[3] + 63) >> 6):
        rest = below[1, 0, cell[0], w]
        rest &= below[1, 1, cell[2] + 1, w] & ~below[1, 1, cell[2], w]
        while rest:
            y = 64 * w + lowest_bit(rest)
            rest &= rest - np.uint64(1)
            shared[listed, 0] = -1
            shared[listed, 1] = y
            shared[listed, 2] = group.place[2][group.order[1][y]]
            shared[listed, 3] = 0
            for r in range(2):
                shared[listed, 4 + r] = bit(group.second[r], y)
            shared[listed, 6] = bit(group.second[2 + lane], y)
            listed += 1
    return listed


@njit(nogil=True, cache=True)
def axis_corner(bits, curve, start, base, sums):  # type: ignore[no-untyped-def]
    """Gain of an axis up to the cutoff ``start``; the number deferred is added to the sums."""
    w = (start >> 6) - base
    before = span(0, start & 63)
    sums[1] += curve[AT_THREE, w] + count(bits[THREE, w] & before)
    sums[2] += curve[AT_FOUR, w] + count(bits[FOUR, w] & before)
    return curve[GAIN, w] + count(bits[GAINED, w] & before) - count(bits[LOST, w] & before)


@njit(nogil=True, cache=True)
def axis_top(bits, curve, valid, start, end, base):  # type: ignore[no-untyped-def]
    """The most that an axis gains at any cutoff of [start, end), or NEVER where none is valid."""
    top = np.int64(NEVER)
    for w in range((start >> 6) - base, ((end - 1) >> 6) - base + 1):
        place = 64 * (w + base)
        if start <= place and end >= place + 64:
            top = max(top, curve[TOP, w])
        elif valid[w + base] & span(start - place, end - place) != 0:
            upto = span(0, end - 1 - place)
            before = span(0, start - place)
            gained, lost = bits[GAINED, w] & upto, bits[LOST, w] & upto
            here = count(gained & before) - count(lost & before)
            here += steepest(gained & ~before, lost & ~before)
            top = max(top, curve[GAIN, w] + here)
    return top


@njit(nogil=True, cache=True)
def finish(group, front, scratch, listed, box, base, lane, corner):  # type: ignore[no-untyped-def]
    """Offer the settings of a box in which one threshold at most decides each example."""
    sums = scratch.tally
    for d in range(3):
        for w in range((box[2 * d] >> 6) - base[d], ((box[2 * d + 1] - 1) >> 6) - base[d] + 1):
            for k in range(4):
                scratch.bits[1, d, k, w] = scratch.bits[0, d, k, w]
    for k in range(3):
        sums[k] = corner[k]
    settle(scratch.shared, listed, box, base, sums, scratch.bits[1], True)
    for d in range(3):
        w = (box[2 * d] >> 6) - base[d]
        sums[0] += scratch.curves[d, GAIN, w]
        sums[1] += scratch.curves[d, AT_THREE, w]
        sums[2] += scratch.curves[d, AT_FOUR, w]
    combine(group, front, scratch.bits[1], scratch.records, box, base, lane, sums)


@njit(nogil=True, cache=True)
def halve(boxes, depth, axis):  # type: ignore[no-untyped-def]
    """Replace the box on top of the stack by its halves along ``axis``, the cheaper one on top."""
    start, end = boxes[depth, 2 * axis], boxes[depth, 2 * axis + 1]
    middle = (start + end) // 2
    if end - start > 128:
        middle &= ~63
    for k in range(6):
        boxes[depth + 1, k] = boxes[depth, k]
    boxes[depth, 2 * axis] = middle
    boxes[depth + 1, 2 * axis + 1] = middle
