"""The pool's stages as the search reads them: ordered by confidence, right or wrong, kept at hand.

Only the pool knows what a stage says; only this module asks it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.stages import Compare, Ints, Stage, StagePool, StageTable
from cascade_exp.cascade.sweep import Ordering, ordering_of, require_examples

KEPT_BYTES = 1 << 30


class Source:
    """Stages of a pool and their orderings, each made once while up to ``KEPT_BYTES`` are kept.

    A stage is asked for by its prefix, the models that have run by then. Where the pool says that
    only the last of them matters (``prefix_free``), the stage of one model serves every cascade.
    Calls are safe from many threads; the pool itself is asked by one at a time.

    Raises:
        CascadeError: if the pool has no examples.
    """

    def __init__(self, pool: StagePool, compare: Compare) -> None:
        self.pool = pool
        self.compare = compare
        self.size = pool.size
        self._prefix_free = bool(getattr(pool, "prefix_free", False))
        require_examples(pool.size)
        self._lock = threading.RLock()
        self._kept: OrderedDict[tuple[str, tuple[int, ...]], Stage | Ordering] = OrderedDict()
        self._bytes = 0

    def key(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
        """What tells the stage after ``prefix`` from others: all of it, or its last model."""
        return prefix[-1:] if self._prefix_free else prefix

    def stage(self, prefix: tuple[int, ...]) -> Stage:
        """The pool's stage after ``prefix``."""
        key = ("stage", self.key(prefix))
        with self._lock:
            kept = self._kept.get(key)
            if isinstance(kept, Stage):
                self._kept.move_to_end(key)
                return kept
            stage = self.pool.stage(key[1])
            self._keep(key, stage)
            return stage

    def ordering(self, prefix: tuple[int, ...]) -> Ordering:
        """The stage's confidences in growing order, with their valid cutoffs."""
        key = ("ordering", self.key(prefix))
        with self._lock:
            kept = self._kept.get(key)
            if isinstance(kept, Ordering):
                self._kept.move_to_end(key)
                return kept
            ordering = ordering_of(self.stage(prefix).confidence, self.compare)
            self._keep(key, ordering)
            return ordering

    def right(self, prefix: tuple[int, ...]) -> NDArray[np.uint8]:
        """Right (1) or wrong (0): uint8 [N], of an objective with one summand of 0 or 1."""
        return self.stage(prefix).statistics[:, 0].astype(np.uint8)

    def table(self, members: tuple[int, ...], accounting: Accounting) -> StageTable:
        """The cascade that runs ``members`` in this order."""
        return StageTable(
            names=tuple(self.pool.names[m] for m in members),
            stages=tuple(self.stage(members[: i + 1]) for i in range(len(members))),
            cost=self.pool.cost[list(members)],
            accounting=accounting,
        )

    def thresholds(self, members: tuple[int, ...], cutoffs: Ints) -> tuple[float, ...]:
        """The literal thresholds of one setting of a cascade, as plain floats."""
        return tuple(
            float(self.ordering(members[: i + 1]).thresholds(cutoffs[i : i + 1])[0])
            for i in range(len(members) - 1)
        )

    def _keep(self, key: tuple[str, tuple[int, ...]], value: Stage | Ordering) -> None:
        self._kept[key] = value
        self._bytes += _nbytes(value)
        while self._bytes > KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= _nbytes(self._kept.popitem(last=False)[1])


def _nbytes(value: Stage | Ordering) -> int:
    if isinstance(value, Ordering):
        return value.order.nbytes + value.confidence.nbytes + value.valid.nbytes
    return value.confidence.nbytes + value.prediction.nbytes + value.statistics.nbytes
