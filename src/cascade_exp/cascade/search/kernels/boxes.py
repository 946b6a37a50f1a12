"""Any number of stages, either accounting: boxes of cutoffs, halved until a bound rules them out.

A box is a product of ranges of cutoffs, one per threshold. An example is decided in a box if it
leaves at the same stage at every setting there; only the others, *open* ones, are looked at again
in its halves. All state lies in arrays, so that a search can be left and taken up again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cascade_exp.cascade.search.kernels.front import may_join, offer

DONE, MORE, ROOM = 0, 1, 2
"""What a call ends with: all searched; its number of boxes used up; the state is too small."""
MOST_RECORDS = 2048
"""Open examples up to which a box without shared ones is enumerated instead of halved."""


class Stages(NamedTuple):
    """One cascade of n stages on N examples; d = n - 1 thresholds.

    Attributes:
        place: int32 [d, N], by example its rank at each stage but the last.
        right: uint8 [n, N], by example right or wrong at each stage.
        valid: int32 [d, N + 2], the first valid cutoff from each on (N + 1: none), and
        last_valid: int32 [d, N + 2], one more than the last valid cutoff before each (0: none).
        cost: float64 [n]. exit_tier: whether only the stage that answers is paid.
    """

    place: NDArray[np.int32]
    right: NDArray[np.uint8]
    valid: NDArray[np.int32]
    last_valid: NDArray[np.int32]
    cost: NDArray[np.float64]
    exit_tier: bool


class State(NamedTuple):
    """Boxes still to be searched, deepest last.

    Attributes:
        boxes: int64 [depth, 2 d], first and end cutoff of every axis.
        lists: int64 [depth, 2], where in ``arena`` the examples lie that were open in its parent.
        decided: int64 [depth, 1 + n], right answers and number leaving at each stage of the others.
        arena: int32 [.]. depth: int64 [1], how many boxes there are.
    """

    boxes: NDArray[np.int64]
    lists: NDArray[np.int64]
    decided: NDArray[np.int64]
    arena: NDArray[np.int32]
    depth: NDArray[np.int64]


@njit(nogil=True, cache=True)
def total_of(left, cost, exit_tier):  # type: ignore[no-untyped-def]
    """Total cost of so many examples leaving at each stage, summed as ``sweep.total_cost`` does."""
    stages = cost.shape[0]
    count = np.int64(0)
    for s in range(stages):
        count += left[s]
    total = 0.0
    for s in range(stages):
        if exit_tier:
            total += float(left[s]) * cost[s]
        else:
            total += float(count) * cost[s]
            count -= left[s]
    return total


@njit(nogil=True, cache=True)
def search_boxes(stages, state, limit, share, rank, front, witness):  # type: ignore[no-untyped-def]
    """Search up to ``limit`` boxes; DONE, MORE or ROOM and the number searched are returned.

    Every box's least cutoffs are a setting and are offered. A box is left out where even the most
    right answers of its open examples at their cheapest exits cannot be on the front.
    """
    thresholds = stages.place.shape[0]
    low_left = np.empty(thresholds + 1, np.int64)
    left = np.empty(thresholds + 1, np.int64)
    first_open = np.empty(thresholds, np.int64)
    rank_sum = np.empty(thresholds, np.int64)
    low = np.empty(thresholds, np.int64)
    high = np.empty(thresholds, np.int64)
    for searched in range(limit):
        if state.depth[0] == 0:
            return DONE, searched
        top = state.depth[0] - 1
        start, end = state.lists[top, 0], state.lists[top, 1]
        if end + (end - start) > state.arena.shape[0] or top + 2 > state.boxes.shape[0]:
            return ROOM, searched
        state.depth[0] = top
        if not valid_range(stages, state, top, low, high):
            continue
        kept = decide_open(stages, state, top, low, high, first_open, rank_sum)
        # ---- at the least cutoffs, and at best
        right = state.decided[top, 0]
        left[:] = state.decided[top, 1:]
        low_left[:] = left
        most = right
        shared = False
        for k in range(end, kept):
            x = state.arena[k]
            s = first_stage(stages.place, x, low)
            best, cheapest, again = outlook(stages, x, s, low, high)
            right += stages.right[s, x]
            left[s] += 1
            most += best
            low_left[cheapest] += 1
            shared = shared or again
        offer(front, witness, right, total_of(left, stages.cost, stages.exit_tier), rank, low)
        least = total_of(low_left, stages.cost, stages.exit_tier)
        if stages.exit_tier:
            least *= 1.0 - 1e-13  # sums of the same real value may round differently
        if kept == end or least > share * front[most]:
            continue
        if share == 1.0 and not may_join(front, witness, most, least, rank, low):
            continue
        if not shared and not stages.exit_tier and kept - end <= MOST_RECORDS:
            combine_axes(stages, state, top, end, kept, low, high, share, rank, front, witness)
            continue
        # ---- halve along the threshold that most open examples meet first
        axis = first_open.argmax()
        middle = rank_sum[axis] // first_open[axis] + 1
        halve_box(state, top, low, high, axis, middle, kept)
    return MORE, limit


@njit(nogil=True, cache=True, inline="always")
def valid_range(stages, state, top, low, high):  # type: ignore[no-untyped-def]
    """Set the least and the end valid cutoff of every axis of a box; whether it has any setting."""
    some = True
    for d in range(low.shape[0]):
        low[d] = stages.valid[d, state.boxes[top, 2 * d]]
        high[d] = stages.last_valid[d, state.boxes[top, 2 * d + 1]]
        some = some and low[d] < high[d]
    return some


@njit(nogil=True, cache=True, inline="always")
def decide_open(stages, state, top, low, high, first_open, rank_sum):  # type: ignore[no-untyped-def]
    """Count the examples open in a box's parent that are decided in the box; list the others.

    They are listed in ``arena`` after their parent's; the end of that list is returned.
    ``first_open`` and ``rank_sum`` int64 [d] receive their number and sum of ranks by the threshold
    that they meet first.
    """
    start, end = state.lists[top, 0], state.lists[top, 1]
    first_open[:] = 0
    rank_sum[:] = 0
    kept = end
    for k in range(start, end):
        x = state.arena[k]
        s = first_stage(stages.place, x, low)
        if s == low.shape[0] or stages.place[s, x] >= high[s] - 1:
            state.decided[top, 0] += stages.right[s, x]
            state.decided[top, 1 + s] += 1
        else:
            state.arena[kept] = x
            kept += 1
            first_open[s] += 1
            rank_sum[s] += stages.place[s, x]
    return kept


@njit(nogil=True, cache=True, inline="always")
def halve_box(state, top, low, high, axis, middle, kept):  # type: ignore[no-untyped-def]
    """Replace the box on top by its halves along ``axis``, whose open examples end at ``kept``."""
    end = state.lists[top, 1]
    for half in range(2):
        z = top + half
        for d in range(low.shape[0]):
            state.boxes[z, 2 * d] = low[d]
            state.boxes[z, 2 * d + 1] = high[d]
        state.lists[z, 0], state.lists[z, 1] = end, kept
        state.decided[z] = state.decided[top]
    state.boxes[top, 2 * axis] = middle
    state.boxes[top + 1, 2 * axis + 1] = middle
    state.depth[0] = top + 2


@njit(nogil=True, cache=True)
def first_stage(place, x, low):  # type: ignore[no-untyped-def]
    """The stage at which an example leaves at the least cutoffs ``low``."""
    s = 0
    while s < low.shape[0] and place[s, x] < low[s]:
        s += 1
    return s


@njit(nogil=True, cache=True)
def outlook(stages, x, s, low, high):  # type: ignore[no-untyped-def]
    """Of an example open at stage ``s``: right at best, cheapest exit, whether it is open again."""
    best, cheapest, again = np.int64(stages.right[s, x]), s, False
    t = s + 1
    while True:
        stays = t == low.shape[0] or stages.place[t, x] >= high[t] - 1
        if stays or stages.place[t, x] >= low[t]:
            best = max(best, np.int64(stages.right[t, x]))
            if stages.exit_tier and stages.cost[t] < stages.cost[cheapest]:
                cheapest = t
            again = again or not stays
        if stays:
            return best, cheapest, again
        t += 1


@njit(nogil=True, cache=True)
def combine_axes(  # type: ignore[no-untyped-def]
    stages, state, top, start, end, low, high, share, rank, front, witness
):
    """Offer the settings of a box in which no open example is open at a second stage.

    Right answers and cost are then a part of each cutoff alone; only those cutoffs count that gain
    more than every earlier one of their axis.
    """
    thresholds = stages.place.shape[0]
    number = end - start
    cutoff = np.empty((thresholds, number + 1), np.int64)
    gain = np.empty((thresholds, number + 1), np.int64)
    on = np.zeros((thresholds, number + 1, thresholds + 1), np.int64)  # more that leave at a stage
    kept = np.zeros(thresholds, np.int64)
    keys = np.empty(number, np.int64)
    for d in range(thresholds):
        opened = state.arena[start:end]
        kept[d] = list_axis(stages, opened, d, low, high, keys, cutoff[d], gain[d], on[d])
    if kept.min() == 0:
        return
    right = state.decided[top, 0]
    base = state.decided[top, 1:].copy()
    for k in range(start, end):
        s = first_stage(stages.place, state.arena[k], low)
        right += stages.right[s, state.arena[k]]
        base[s] += 1
    last = thresholds - 1
    chosen = np.zeros(thresholds, np.int64)
    at = np.empty(thresholds, np.int64)
    left = np.empty(thresholds + 1, np.int64)
    while True:
        m = right
        left[:] = base
        for d in range(last):
            m += gain[d, chosen[d]]
            left += on[d, chosen[d]]
            at[d] = cutoff[d, chosen[d]]
        least = total_of(left + on[last, 0], stages.cost, False)
        if least <= share * front[m + gain[last, kept[last] - 1]]:
            for z in range(kept[last]):
                cost = total_of(left + on[last, z], stages.cost, False)
                if cost <= front[m + gain[last, z]]:
                    at[last] = cutoff[last, z]
                    offer(front, witness, m + gain[last, z], cost, rank, at)
        d = last - 1
        while d >= 0:
            chosen[d] += 1
            if chosen[d] < kept[d]:
                break
            chosen[d] = 0
            d -= 1
        if d < 0:
            return


@njit(nogil=True, cache=True)
def list_axis(stages, opened, d, low, high, keys, cutoff, gain, on):  # type: ignore[no-untyped-def]
    """The valid cutoffs of axis ``d`` that gain more than every earlier one: their number.

    ``opened`` int32 [.]: a box's open examples, ``keys`` int64 [.]: scratch of that length. Each
    found cutoff receives its place in ``cutoff``, its right answers gained in ``gain`` and, in
    ``on`` [., 1 + d], the change of the number leaving at each stage.
    """
    thresholds, size = stages.place.shape
    count = 0
    for x in opened:
        if first_stage(stages.place, x, low) == d:
            keys[count] = (np.int64(stages.place[d, x]) << 32) | x
            count += 1
    keys[:count].sort()
    g, best = np.int64(0), np.int64(-1 - size)
    moved = np.zeros(thresholds + 1, np.int64)
    found = 0
    for e in range(count + 1):
        # the cutoffs at which just the first e of them are deferred
        least = low[d] if e == 0 else (keys[e - 1] >> 32) + 1
        most = high[d] - 1 if e == count else keys[e] >> 32
        first = np.int64(stages.valid[d, least])
        if g > best and first <= most:
            best = g
            cutoff[found], gain[found] = first, g
            on[found] = moved
            found += 1
        if e < count:
            x = keys[e] & 0xFFFFFFFF
            t = d + 1
            while t < thresholds and stages.place[t, x] < low[t]:
                t += 1
            g += np.int64(stages.right[t, x]) - np.int64(stages.right[d, x])
            moved[d] -= 1
            moved[t] += 1
    return found
