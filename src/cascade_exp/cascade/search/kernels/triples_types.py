"""Three stages: what one group of cascades and one thread hand from kernel to kernel.

A group is all cascades of the same first and second model with third ones of one chunk of lanes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEVER = -(1 << 40)
"""The gain of a cutoff that no threshold can bring about."""


class Group(NamedTuple):
    """The cascades of a group.

    Attributes:
        size: number of examples N. words: width of a strip of cutoffs, in words of 64.
        cost_first, cost_second: of the two stages. By lane, cost_third float64 [LANES] and rank
            int64 [LANES]. lanes: int64 [L], those searched.
    """

    size: int
    words: int
    cost_first: float
    cost_second: float
    cost_third: NDArray[np.float64]
    rank: NDArray[np.int64]
    lanes: NDArray[np.int64]


class Side(NamedTuple):
    """One of the two stages with a threshold; all but ``place`` in the order of its confidence.

    Attributes:
        order: int32 [N]. other: int32 [N], the example's rank at the other of the two stages;
            place: the same by example.
        valid: uint64 [W], a bit for each valid cutoff.
        right: uint64 [2, W], right at the first stage and at the second.
        third: uint64 [LANES, W], right at the third ones.
        below: uint64 [G + 1, W], row g a bit for each example whose ``other`` is below grid line g;
            drawn bool [G]: in which strips that is made.
    """

    order: NDArray[np.int32]
    other: NDArray[np.int32]
    place: NDArray[np.int32]
    valid: NDArray[np.uint64]
    right: NDArray[np.uint64]
    third: NDArray[np.uint64]
    below: NDArray[np.uint64]
    drawn: NDArray[np.bool_]
