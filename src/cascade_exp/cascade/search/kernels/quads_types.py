"""Four stages: what one group of cascades and one thread hand from kernel to kernel.

A group is all cascades of the same three stages with up to ``WIDTH`` fourth ones. Arrays in the
order of stage d list its examples from the least to the most confident.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTH = 8
"""Fourth models taken side by side."""

GAINED, LOST, THREE, FOUR = 0, 1, 2, 3
"""Bits of an axis: right answers gained, lost by deferral; paid for at stage 3, at stage 4."""
GAIN, AT_THREE, AT_FOUR, TOP = 0, 1, 2, 3
"""Words of an axis: the sums of those bits before the word, and the most gained within it."""
NEVER = -(1 << 40)
"""The gain of a cutoff that no threshold can bring about."""

Words = NDArray[np.uint64]
Ranks = NDArray[np.int32]


class Group(NamedTuple):
    """The cascades of a group and their stages.

    Attributes:
        size: number of examples N. cost: float64 [3] of the three stages.
        cost_fourth: float64 [L] and rank int64 [L] of the cascades.
        order, place: int32 [N] of each of the three stages: its order, and by example its rank.
        valid: uint64 [W] of each: a bit for each valid cutoff.
        first: uint64 [3 + L, W], in the first stage's order: right at stage 1, 2, 3 and at the
            fourth ones. second: [2 + L, W], in the second's: from stage 2. third: [1 + L, W].
    """

    size: int
    cost: NDArray[np.float64]
    cost_fourth: NDArray[np.float64]
    rank: NDArray[np.int64]
    order: tuple[Ranks, Ranks, Ranks]
    place: tuple[Ranks, Ranks, Ranks]
    valid: tuple[Words, Words, Words]
    first: Words
    second: Words
    third: Words


class Stream(NamedTuple):
    """The examples in the first stage's order, as the grid pass reads them.

    Attributes:
        right: uint16 [N], a bit each: right at stage 1, 2, 3, then at the fourth models.
        second, third: int32 [N], the example's rank at stage 2 and at stage 3.
    """

    right: NDArray[np.uint16]
    second: Ranks
    third: Ranks


class Grid(NamedTuple):
    """A block of cells: strips ``start`` <= p, q < ``end`` of the first two axes, all of the third.

    Attributes:
        words: int64 [3], the width of each axis' strips in words of 64 cutoffs.
        strips: int64 [3], how many strips each axis has. start, end: int64 [2].
    """

    words: NDArray[np.int64]
    strips: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


class Scratch(NamedTuple):
    """One thread's arrays; sizes in ``search_quads``.

    Attributes:
        sums: int32 [2, ., WIDTH], differences over the cells: right at most, and at the corner.
        below: uint64 [3, 2, lines, W], by axis and other axis: who lies below each grid line.
        drawn: bool [3, strips], the strips whose words of ``below`` are made.
        bits: uint64 [2, 3, 4, words], curves: int64 [3, 4, words]: the axes of one cell.
        shared: int64 [., 7], examples that more than one threshold decides: their ranks at the
            three stages (the first -1 where it has passed) and right or wrong at the four.
        boxes: int64 [., 6], records: int64 [3, ., 4], tally: int64 [6].
        run_gain: int32 [., WIDTH], highest_gain: int64 [.]: prefix sums along a column of cells.
    """

    sums: NDArray[np.int32]
    below: NDArray[np.uint64]
    drawn: NDArray[np.bool_]
    bits: NDArray[np.uint64]
    curves: NDArray[np.int64]
    shared: NDArray[np.int64]
    boxes: NDArray[np.int64]
    records: NDArray[np.int64]
    tally: NDArray[np.int64]
    run_gain: NDArray[np.int32]
    highest_gain: NDArray[np.int64]


class Front(NamedTuple):
    """The counted front (see ``kernels.front``) and how much better a setting must be to be sought.

    Attributes:
        cost: float64 [N + 2]. witness: int64 [N + 2, 1 + d].
        share: regions that cost more than this share of the front's are left out; 1 leaves out
            nothing that could be on the front.
    """

    cost: NDArray[np.float64]
    witness: NDArray[np.int64]
    share: float
