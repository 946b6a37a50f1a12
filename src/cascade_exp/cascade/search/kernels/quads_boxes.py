"""Four stages: boxes of cutoffs, what they leave open, and those that leave nothing open.

Where one threshold at most decides each example, right answers and cost are a part of each cutoff
alone, and only those cutoffs count that gain more than every earlier one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cascade_exp.cascade.search.kernels.bits import count, lowest_bit, span, steepest
from cascade_exp.cascade.search.kernels.front import offer
from cascade_exp.cascade.search.kernels.quads_types import FOUR, GAINED, LOST, NEVER, THREE


@njit(nogil=True, cache=True)
def settle(shared, listed, box, base, sums, bits, place):  # type: ignore[no-untyped-def]
    """Count the shared examples at a box's corner; how many are still shared is returned.

    ``sums`` int64 [6]: to right answers, number at stage 3 and at stage 4 is added what the corner
    changes against the cell's; the last three are set to what the box may gain at most by the
    examples that its first, second, third threshold is the first to leave open. With ``place``
    those that only one threshold still decides are put into ``bits``.
    """
    tight = 0
    sums[3] = sums[4] = sums[5] = 0
    for x in range(listed):
        e = shared[x]
        y, z2, z3 = e[0], e[1], e[2]
        r1, r2, r3, r4 = e[3], e[4], e[5], e[6]
        if y >= box[1] - 1:
            continue
        if y >= box[0]:
            tight += settle_first(e, box, base, sums, bits[0], place)
            continue
        before = r2 if y < 0 else r1
        if z2 >= box[2]:
            sums[0] += r2 - before
            if z2 >= box[3] - 1:
                continue
            if z3 >= box[5] - 1:
                sums[4] += max(0, r3 - r2)
                if place:
                    decide(bits[1], z2 - 64 * base[1], r2, r3, True, False)
            elif z3 < box[4]:
                sums[4] += max(0, r4 - r2)
                if place:
                    decide(bits[1], z2 - 64 * base[1], r2, r4, True, True)
            else:
                sums[4] += max(r2, max(r3, r4)) - r2
                tight += 1
            continue
        sums[1] += 1
        if z3 < box[4]:
            sums[0] += r4 - before
            sums[2] += 1
            continue
        sums[0] += r3 - before
        if z3 < box[5] - 1:
            sums[5] += max(0, r4 - r3)
            if place:
                decide(bits[2], z3 - 64 * base[2], r3, r4, False, True)
    return tight


@njit(nogil=True, cache=True, inline="always")
def settle_first(e, box, base, sums, bits, place):  # type: ignore[no-untyped-def]
    """An example that the first threshold leaves open (see ``settle``): 1 if it is still shared."""
    y, z2, z3 = e[0], e[1], e[2]
    r1, r2, r3, r4 = e[3], e[4], e[5], e[6]
    after, three, four = r2, False, False
    if z2 >= box[3] - 1:
        pass
    elif z2 < box[2] and z3 >= box[5] - 1:
        after, three = r3, True
    elif z2 < box[2] and z3 < box[4]:
        after, three, four = r4, True, True
    else:
        best = r1
        if z2 >= box[2]:
            best = max(best, r2)
        if z3 >= box[4]:
            best = max(best, r3)
        if z3 < box[5] - 1:
            best = max(best, r4)
        sums[3] += best - r1
        return 1
    sums[3] += max(0, after - r1)
    if place:
        decide(bits, y - 64 * base[0], r1, after, three, four)
    return 0


@njit(nogil=True, cache=True)
def decide(bits, position, before, after, three, four):  # type: ignore[no-untyped-def]
    """Add an example that one axis alone decides, right or wrong before and after deferral."""
    flag = np.uint64(1) << np.uint64(position & 63)
    w = position >> 6
    if after > before:
        bits[GAINED, w] |= flag
    elif after < before:
        bits[LOST, w] |= flag
    if three:
        bits[THREE, w] |= flag
    if four:
        bits[FOUR, w] |= flag


@njit(nogil=True, cache=True)
def list_records(bits, valid, start, end, base, records):  # type: ignore[no-untyped-def]
    """The valid cutoffs of [start, end) that gain more than every earlier one: their number.

    records int64 [., 4] receives cutoff, gain, examples deferred to stage 3 and to stage 4; all
    counted from the start of the word of ``start``.
    """
    kept = 0
    best = np.int64(NEVER)
    gain = three = four = np.int64(0)
    for w in range(start >> 6, ((end - 1) >> 6) + 1):
        gained, lost = bits[GAINED, w - base], bits[LOST, w - base]
        place = 64 * w
        if gain + steepest(gained, lost) > best:
            allowed = valid[w] & span(start - place, end - place)
            while allowed:
                cutoff = lowest_bit(allowed)
                before = span(0, cutoff)
                here = gain + count(gained & before) - count(lost & before)
                if here > best:
                    best = here
                    records[kept, 0] = place + cutoff
                    records[kept, 1] = here
                    records[kept, 2] = three + count(bits[THREE, w - base] & before)
                    records[kept, 3] = four + count(bits[FOUR, w - base] & before)
                    kept += 1
                later = gained & ~before  # no more is gained before the next example that gains
                if later == 0:
                    break
                allowed &= ~span(0, lowest_bit(later) + 1)
        gain += count(gained) - count(lost)
        three += count(bits[THREE, w - base])
        four += count(bits[FOUR, w - base])
    return kept


@njit(nogil=True, cache=True)
def combine(group, front, bits, records, box, base, lane, sums):  # type: ignore[no-untyped-def]
    """Offer the settings of a box without shared examples.

    ``sums``: right answers, number at stage 3 and at stage 4 at the starts of the words in which
    the box begins.
    """
    one, two, three = records[0], records[1], records[2]
    ones = list_records(bits[0], group.valid[0], box[0], box[1], base[0], one)
    twos = list_records(bits[1], group.valid[1], box[2], box[3], base[1], two)
    threes = list_records(bits[2], group.valid[2], box[4], box[5], base[2], three)
    if ones == 0 or twos == 0 or threes == 0:
        return
    share, price, costliest = front.share, group.cost[2], group.cost_fourth[lane]
    best2, best3 = two[twos - 1, 1], three[threes - 1, 1]
    for x in range(ones):
        cost_two = float(group.size) * group.cost[0] + float(one[x, 0]) * group.cost[1]
        m1, n1, k1 = sums[0] + one[x, 1], sums[1] + one[x, 2], sums[2] + one[x, 3]
        least = cost_two + float(n1 + two[0, 2]) * price
        least += float(k1 + two[0, 3] + three[0, 3]) * costliest
        if least > share * front.cost[m1 + best2 + best3]:
            continue
        for y in range(twos):
            cost_three = cost_two + float(n1 + two[y, 2]) * price
            m2, k2 = m1 + two[y, 1], k1 + two[y, 3]
            if cost_three + float(k2 + three[0, 3]) * costliest > share * front.cost[m2 + best3]:
                continue
            for z in range(threes):
                m = m2 + three[z, 1]
                cost = cost_three + float(k2 + three[z, 3]) * costliest
                if cost <= front.cost[m]:
                    at = (one[x, 0], two[y, 0], three[z, 0])
                    offer(front.cost, front.witness, m, cost, group.rank[lane], at)
