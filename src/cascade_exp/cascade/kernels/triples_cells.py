"""Three stages: what the grid could not rule out, searched cell by cell down to single settings.

A cell is cut into words of 64 cutoffs along each axis. Examples whose exit only one of the two
thresholds decides add up along that axis; the few that both decide (``shared``) are listed. Bit
counts bound each word-by-word box; what is left is enumerated exactly.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.kernels.bits import bit, count, steepest
from cascade_exp.cascade.kernels.front import may_join, offer

NEVER = -(1 << 40)


@njit(nogil=True, cache=True)
def search_cells(  # type: ignore[no-untyped-def]
    found,
    words,
    size,
    first_valid,
    first_right,
    first_second,
    first_third,
    first_below,
    first_other,
    second_valid,
    second_right,
    second_third,
    second_below,
    second_other,
    cost_first,
    cost_second,
    cost_third,
    rank,
    front,
    witness,
):
    """Offer every setting of the cells ``found`` that can be on the front.

    found int32 [., 6]: the cells (see ``triples_grid``), strips being ``words`` words wide. In the
    first stage's order: uint64 [W] valid cutoffs, right at stage 1 and at 2, [LANES, W] right at 3,
    [G + 1, W] second rank below each grid line, and int32 [N] that rank. In the second stage's
    order: valid cutoffs, right at 2, at 3, first rank below each grid line, and that rank.
    """
    total_words = first_valid.shape[0]
    gain = np.zeros((2, words), np.int64)
    top = np.zeros((2, words), np.int64)
    on = np.zeros((2, words), np.int64)
    shared = np.zeros((64 * words + 1, 5), np.int64)
    scratch = np.zeros((6, 66), np.int64)
    for x in range(found.shape[0]):
        p, q, lane = np.int64(found[x, 0]), np.int64(found[x, 1]), np.int64(found[x, 2])
        right = np.int64(found[x, 3])
        on_corner = np.int64(found[x, 4])
        price = cost_third[lane]
        a0 = 64 * words * p
        b0 = 64 * words * q
        low = float(size) * cost_first + float(a0) * cost_second + float(on_corner) * price
        if not may_join(front, witness, np.int64(found[x, 5]), low, rank[lane], (a0, b0)):
            continue
        # ---- the first threshold's axis
        wa = min(words, total_words - words * p)
        wb = min(words, total_words - words * q)
        g = np.int64(0)
        n = np.int64(0)
        slack = np.int64(0)
        best_first = np.int64(NEVER)
        for t in range(wa):
            w = words * p + t
            r1, r2, r3 = first_right[w], first_second[w], first_third[lane, w]
            below = first_below[q, w]
            near = first_below[q + 1, w]
            undecided = near & ~below
            after = (~near & r2) | (below & r3)
            gained = after & ~r1
            lost = r1 & ~undecided & ~after
            gain[0, t] = g
            on[0, t] = n
            top[0, t] = g + steepest(gained, lost)
            if first_valid[w] == 0:
                top[0, t] = NEVER
            best_first = max(best_first, top[0, t])
            g += count(gained) - count(lost)
            n += count(below)
            slack += count(undecided & (r2 | r3) & ~r1)
        # ---- the second threshold's axis
        g = np.int64(0)
        n = np.int64(0)
        best_second = np.int64(NEVER)
        for t in range(wb):
            w = words * q + t
            going = second_below[p, w]
            r2, r3 = second_right[w], second_third[lane, w]
            gained = going & r3 & ~r2
            lost = going & r2 & ~r3
            gain[1, t] = g
            on[1, t] = n
            top[1, t] = g + steepest(gained, lost)
            if second_valid[w] == 0:
                top[1, t] = NEVER
            best_second = max(best_second, top[1, t])
            g += count(gained) - count(lost)
            n += count(going)
        if best_first == NEVER or best_second == NEVER:
            continue
        most = right + best_first + best_second + slack
        if not may_join(front, witness, most, low, rank[lane], (a0, b0)):
            continue
        # ---- the examples that both thresholds decide
        listed_shared = 0
        for t in range(wa):
            w = words * p + t
            undecided = first_below[q + 1, w] & ~first_below[q, w]
            while undecided:
                lowest = undecided & (~undecided + np.uint64(1))
                y = 64 * w + count(lowest - np.uint64(1))
                undecided ^= lowest
                shared[listed_shared, 0] = y
                shared[listed_shared, 1] = first_other[y]
                shared[listed_shared, 2] = bit(first_right, y)
                shared[listed_shared, 3] = bit(first_second, y)
                shared[listed_shared, 4] = bit(first_third[lane], y)
                listed_shared += 1
        for t in range(wa):
            if top[0, t] == NEVER:
                continue
            a = a0 + 64 * t
            cost_two = float(size) * cost_first + float(a) * cost_second
            for u in range(wb):
                if top[1, u] == NEVER:
                    continue
                b = b0 + 64 * u
                number = on_corner + on[0, t] + on[1, u]
                most = right + top[0, t] + top[1, u] + slack
                if cost_two + float(number) * price > front[most]:
                    continue
                corner = right + gain[0, t] + gain[1, u]
                hope = np.int64(0)
                for s in range(listed_shared):
                    y, z = shared[s, 0], shared[s, 1]
                    r1, r2, r3 = shared[s, 2], shared[s, 3], shared[s, 4]
                    if y < a:
                        if z < b:
                            corner += r3 - r1
                            number += 1
                        else:
                            corner += r2 - r1
                            if z < b + 64:
                                hope += max(np.int64(0), r3 - r2)
                    elif y < a + 64:
                        most_here = r1
                        if z >= b:
                            most_here = max(most_here, r2)
                        if z < b + 64:
                            most_here = max(most_here, r3)
                        hope += most_here - r1
                most = corner + top[0, t] - gain[0, t] + top[1, u] - gain[1, u] + hope
                if cost_two + float(number) * price > front[most]:
                    continue
                enumerate_box(
                    a, b, corner, number, size, lane,
                    first_valid, first_right, first_second, first_third, first_other,
                    second_valid, second_right, second_third, second_other,
                    cost_first, cost_second, price, rank[lane], front, witness, scratch,
                )  # fmt: skip


@njit(nogil=True, cache=True)
def enumerate_box(  # type: ignore[no-untyped-def]
    a0,
    b0,
    right,
    number,
    size,
    lane,
    first_valid,
    first_right,
    first_second,
    first_third,
    first_other,
    second_valid,
    second_right,
    second_third,
    second_other,
    cost_first,
    cost_second,
    cost_third,
    rank,
    front,
    witness,
    scratch,
):
    """Offer the settings of one word-by-word box; ``right`` and ``number`` hold at its (a0, b0).

    Between two shared examples of the first axis, right answers and cost are a part of the first
    cutoff plus a part of the second, so that only those that gain more than every earlier one can
    be on the front, alone and together.
    """
    column, gains, numbers = scratch[0], scratch[1], scratch[2]
    best, best_gain, best_number = scratch[3], scratch[4], scratch[5]
    a1 = min(a0 + 64, size + 1)
    b1 = min(b0 + 64, size + 1)
    columns = 0
    g = np.int64(0)
    n = np.int64(0)
    valid = second_valid[b0 >> 6]
    for b in range(b0, b1):
        if (valid >> np.uint64(b - b0)) & np.uint64(1):
            column[columns] = b
            gains[columns] = g
            numbers[columns] = n
            columns += 1
        if b < size and second_other[b] < a0:
            g += bit(second_third[lane], b) - bit(second_right, b)
            n += 1
    fresh = True
    kept = 0
    top = np.int64(0)
    g = np.int64(0)
    n = np.int64(0)
    record = np.int64(0)
    valid = first_valid[a0 >> 6]
    for a in range(a0, a1):
        if (fresh or g > record) and (valid >> np.uint64(a - a0)) & np.uint64(1):
            if fresh:
                kept = 0
                for c in range(columns):
                    if kept == 0 or gains[c] > top:
                        top = gains[c]
                        best[kept] = column[c]
                        best_gain[kept] = gains[c]
                        best_number[kept] = numbers[c]
                        kept += 1
                fresh = False
            record = g
            cost_two = float(size) * cost_first + float(a) * cost_second
            least = cost_two + float(number + n + best_number[0]) * cost_third
            if kept and least <= front[right + g + top]:
                for c in range(kept):
                    m = right + g + best_gain[c]
                    cost = cost_two + float(number + n + best_number[c]) * cost_third
                    if cost <= front[m]:
                        offer(front, witness, m, cost, rank, (a, best[c]))
        if a >= size:
            break
        other = first_other[a]
        r1, r2, r3 = bit(first_right, a), bit(first_second, a), bit(first_third[lane], a)
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
