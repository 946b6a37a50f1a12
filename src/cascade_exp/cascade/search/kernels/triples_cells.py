"""Three stages: what the grid could not rule out, searched cell by cell down to single settings.

A cell is cut into words of 64 cutoffs along each axis. Examples whose exit only one of the two
thresholds decides add up along that axis; the few that both decide (``shared``) are listed. Bit
counts bound each word-by-word box; what is left is enumerated exactly.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.search.kernels.bits import bit, count, draw_lines, lowest_bit, steepest
from cascade_exp.cascade.search.kernels.front import may_join, offer
from cascade_exp.cascade.search.kernels.triples_types import NEVER


@njit(nogil=True, cache=True)
def search_cells(found, group, first, second, front, witness):  # type: ignore[no-untyped-def]
    """Offer every setting of the cells ``found`` by the grid that can be on the front."""
    words = group.words
    gain = np.zeros((2, words + 1), np.int64)
    on = np.zeros((2, words + 1), np.int64)
    top = np.zeros((2, words), np.int64)
    shared = np.zeros((64 * words, 5), np.int64)
    scratch = np.zeros((6, 66), np.int64)
    for x in range(found.shape[0]):
        p, q, lane = np.int64(found[x, 0]), np.int64(found[x, 1]), np.int64(found[x, 2])
        right, at_three = np.int64(found[x, 3]), np.int64(found[x, 4])
        a0, b0 = 64 * words * p, 64 * words * q
        low = total_cost(group, lane, a0, at_three)
        rank = group.rank[lane]
        if not may_join(front, witness, np.int64(found[x, 5]), low, rank, (a0, b0)):
            continue
        draw_strip(first, p, words)
        draw_strip(second, q, words)
        slack = first_axis(first, p, q, lane, words, gain[0], on[0], top[0])
        second_axis(second, p, q, lane, words, gain[1], on[1], top[1])
        wide = min(words, first.valid.shape[0] - words * p)
        high = min(words, second.valid.shape[0] - words * q)
        most = right + slack + top[0, :wide].max() + top[1, :high].max()
        if most < 0 or not may_join(front, witness, most, low, rank, (a0, b0)):
            continue
        listed = list_shared(first, p, q, lane, words, wide, shared)
        for t in range(wide):
            if top[0, t] == NEVER:
                continue
            a = a0 + 64 * t
            for u in range(high):
                if top[1, u] == NEVER:
                    continue
                b = b0 + 64 * u
                number = at_three + on[0, t] + on[1, u]
                most = right + top[0, t] + top[1, u] + slack
                if total_cost(group, lane, a, number) > front[most]:
                    continue
                corner, hope, more = weigh_shared(shared, listed, a, b)
                corner += right + gain[0, t] + gain[1, u]
                number += more
                most = corner + top[0, t] - gain[0, t] + top[1, u] - gain[1, u] + hope
                if total_cost(group, lane, a, number) > front[most]:
                    continue
                enumerate_box(
                    group, first, second, lane, a, b, corner, number, front, witness, scratch
                )


@njit(nogil=True, cache=True)
def total_cost(group, lane, at_two, at_three):  # type: ignore[no-untyped-def]
    """Total cost when so many examples are deferred from stage 1 and from stage 2."""
    cost = float(group.size) * group.cost_first + float(at_two) * group.cost_second
    return cost + float(at_three) * group.cost_third[lane]


@njit(nogil=True, cache=True)
def draw_strip(side, strip, words):  # type: ignore[no-untyped-def]
    """See to it that the strip's words of ``below`` are made."""
    if not side.drawn[strip]:
        start, end = words * strip, words * (strip + 1)
        draw_lines(side.below, side.order, side.place, start, end, 64 * words)
        side.drawn[strip] = True


@njit(nogil=True, cache=True)
def first_axis(first, p, q, lane, words, gain, on, top):  # type: ignore[no-untyped-def]
    """Gains and numbers up to each word of the first threshold's axis, and the most within it.

    What the examples that the second threshold decides as well may gain is returned.
    """
    slack = np.int64(0)
    for t in range(min(words, first.valid.shape[0] - words * p)):
        w = words * p + t
        r1, r2, r3 = first.right[0, w], first.right[1, w], first.third[lane, w]
        past, near = first.below[q, w], first.below[q + 1, w]
        undecided = near & ~past
        after = (~near & r2) | (past & r3)
        gained = after & ~r1
        lost = r1 & ~undecided & ~after
        top[t] = gain[t] + steepest(gained, lost) if first.valid[w] != 0 else NEVER
        gain[t + 1] = gain[t] + count(gained) - count(lost)
        on[t + 1] = on[t] + count(past)
        slack += count(undecided & (r2 | r3) & ~r1)
    return slack


@njit(nogil=True, cache=True)
def second_axis(second, p, q, lane, words, gain, on, top):  # type: ignore[no-untyped-def]
    """The same of the second threshold's axis, at the cell's least first cutoff."""
    for t in range(min(words, second.valid.shape[0] - words * q)):
        w = words * q + t
        going = second.below[p, w]
        r2, r3 = second.right[1, w], second.third[lane, w]
        gained = going & r3 & ~r2
        lost = going & r2 & ~r3
        top[t] = gain[t] + steepest(gained, lost) if second.valid[w] != 0 else NEVER
        gain[t + 1] = gain[t] + count(gained) - count(lost)
        on[t + 1] = on[t] + count(going)


@njit(nogil=True, cache=True)
def list_shared(first, p, q, lane, words, wide, shared):  # type: ignore[no-untyped-def]
    """List the examples that both thresholds decide in the cell; their number is returned.

    shared int64 [., 5]: rank at stage 1 and at stage 2, right or wrong at the three.
    """
    listed = 0
    for w in range(words * p, words * p + wide):
        rest = first.below[q + 1, w] & ~first.below[q, w]
        while rest:
            y = 64 * w + lowest_bit(rest)
            rest &= rest - np.uint64(1)
            shared[listed, 0] = y
            shared[listed, 1] = first.other[y]
            shared[listed, 2] = bit(first.right[0], y)
            shared[listed, 3] = bit(first.right[1], y)
            shared[listed, 4] = bit(first.third[lane], y)
            listed += 1
    return listed


@njit(nogil=True, cache=True)
def weigh_shared(shared, listed, a, b):  # type: ignore[no-untyped-def]
    """The shared examples in the box of 64 cutoffs from (a, b) on, against the cell's corner.

    Right answers more at (a, b), right answers that the box may add, number more at stage 3.
    """
    corner, hope, more = np.int64(0), np.int64(0), np.int64(0)
    for s in range(listed):
        y, z = shared[s, 0], shared[s, 1]
        r1, r2, r3 = shared[s, 2], shared[s, 3], shared[s, 4]
        if y < a:
            if z < b:
                corner += r3 - r1
                more += 1
            else:
                corner += r2 - r1
                if z < b + 64:
                    hope += max(np.int64(0), r3 - r2)
        elif y < a + 64:
            best = r1
            if z >= b:
                best = max(best, r2)
            if z < b + 64:
                best = max(best, r3)
            hope += best - r1
    return corner, hope, more


@njit(nogil=True, cache=True)
def list_columns(second, lane, a, b, size, scratch):  # type: ignore[no-untyped-def]
    """The valid cutoffs of 64 from ``b`` on, with gain and number at stage 3; how many."""
    columns = 0
    g = n = np.int64(0)
    valid = second.valid[b >> 6]
    for z in range(b, min(b + 64, size + 1)):
        if (valid >> np.uint64(z - b)) & np.uint64(1):
            scratch[0, columns], scratch[1, columns], scratch[2, columns] = z, g, n
            columns += 1
        if z < size and second.other[z] < a:
            g += bit(second.third[lane], z) - bit(second.right[1], z)
            n += 1
    return columns


@njit(nogil=True, cache=True)
def enumerate_box(group, first, second, lane, a0, b0, right, number, front, witness, scratch):  # type: ignore[no-untyped-def]
    """Offer the settings of one word-by-word box; ``right`` and ``number`` hold at its (a0, b0).

    Between two shared examples of the first axis, right answers and cost are a part of the first
    cutoff plus a part of the second, so that only those that gain more than every earlier one can
    be on the front, alone and together.
    """
    size, rank, price = group.size, group.rank[lane], group.cost_third[lane]
    column, gains, numbers = scratch[0], scratch[1], scratch[2]
    best, best_gain, best_number = scratch[3], scratch[4], scratch[5]
    b1 = min(b0 + 64, size + 1)
    columns = list_columns(second, lane, a0, b0, size, scratch)
    fresh = True
    kept = 0
    top = record = g = n = np.int64(0)
    valid = first.valid[a0 >> 6]
    for a in range(a0, min(a0 + 64, size + 1)):
        if (fresh or g > record) and (valid >> np.uint64(a - a0)) & np.uint64(1):
            if fresh:
                kept = 0
                for c in range(columns):
                    if kept == 0 or gains[c] > top:
                        top = gains[c]
                        best[kept], best_gain[kept], best_number[kept] = column[c], top, numbers[c]
                        kept += 1
                fresh = False
            record = g
            cost_two = float(size) * group.cost_first + float(a) * group.cost_second
            least = cost_two + float(number + n + best_number[0]) * price
            if kept and least <= front[right + g + top]:
                for c in range(kept):
                    m = right + g + best_gain[c]
                    cost = cost_two + float(number + n + best_number[c]) * price
                    if cost <= front[m]:
                        offer(front, witness, m, cost, rank, (a, best[c]))
        if a >= size:
            break
        other = first.other[a]
        r1, r2, r3 = bit(first.right[0], a), bit(first.right[1], a), bit(first.third[lane], a)
        if other < b0:
            g += r3 - r1
            n += 1
        else:
            g += r2 - r1
            if other < b1 - 1:
                for c in range(columns):
                    if column[c] > other:
                        gains[c] += r3 - r2
                        numbers[c] += 1
                fresh = True
