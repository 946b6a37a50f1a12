"""Speed-ups: the setting that comes closest to a wanted one, and what another model would gain.

Speed-up = cost of the full model / mean cost (Li et al. 2021, §4.1, there in layers). Sweeping is
in ``sweep``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cascade_exp.errors import CascadeError


def closest(speed_ups: ArrayLike, scores: ArrayLike, target: float) -> int:
    """Index of the setting whose speed-up comes closest to ``target`` (Li et al. 2021, Table 2).

    Of equally close ones that of the higher score, then the first.

    >>> closest([1.0, 2.5, 3.5], [0.9, 0.8, 0.85], target=3.0)
    2

    Args:
        speed_ups: float64 [V], V >= 1. scores: float64 [V].

    Raises:
        CascadeError: if there is no setting.
    """
    ups, values = np.asarray(speed_ups, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not len(ups):
        raise CascadeError("no setting to choose a speed-up from: expected at least one")
    away = np.abs(ups - target)
    near = np.flatnonzero(away == away.min())
    return int(near[np.argmax(values[near])])


@dataclass(frozen=True)
class Neighbours:
    """A model M* that was put between M_i and M_(i+1) of a cascade, and what left where.

    Attributes:
        accuracy_before, accuracy_added, accuracy_after: of M_i, M* and M_(i+1), each alone.
        exits_added, exits_after: examples that leave at M* and at M_(i+1) in the longer cascade.
        cost_added, cost_after: of running M* and M_(i+1); in the paper their layers.

    >>> model = Neighbours(0.8, 0.9, 0.95, 40, 10, 2.0, 8.0)
    >>> round(expected_gain(model, examples=100), 4)
    0.0213
    """

    accuracy_before: float
    accuracy_added: float
    accuracy_after: float
    exits_added: int
    exits_after: int
    cost_added: float
    cost_after: float


def expected_gain(model: Neighbours, examples: int) -> float:
    """Accuracy that M* should add at the same speed-up (Li et al. 2021, Eq. 13).

    T = 1/N · [ŝ*·(a* − a_i) − L*/L_(i+1) · (ŝ_(i+1) + ŝ*) · (a_(i+1) − a_i)], which assumes that
    each model is as accurate on what it is given as on everything.

    >>> model = Neighbours(0.8, 0.85, 0.9, 30, 20, 2.0, 4.0)
    >>> round(expected_gain(model, examples=100), 4)  # (30 * 0.05 - 0.5 * 50 * 0.1) / 100
    -0.01

    Raises:
        CascadeError: if there are no examples.
    """
    if examples < 1:
        raise CascadeError("the split is empty: expected at least one example")
    won = model.exits_added * (model.accuracy_added - model.accuracy_before)
    paid = model.cost_added / model.cost_after * (model.exits_after + model.exits_added)
    lost = paid * (model.accuracy_after - model.accuracy_before)
    return (won - lost) / examples
