"""The pool's stages as the search reads them: sorted, ranked, packed into words, kept at hand.

Only here is the pool asked for a stage's outputs. A stage is named by its prefix, the models that
have run by then; where the pool says that only the last of them matters (``prefix_free``), the
stage of one model serves every cascade.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.search.kernels.bits import LANES, gather, pack_flags, pack_lanes
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.stages import Compare, Ints, Stage, StageTable
from cascade_exp.cascade.sweep import Ordering, ordering_of, require_examples

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Prefix = tuple[int, ...]
Kept = TypeVar("Kept")

KEPT_BYTES = 1 << 30
"""What is made once is kept up to this size; what was unused longest is made anew."""


@dataclass(frozen=True)
class Ranked:
    """A stage's examples by confidence, as the kernels read it.

    Attributes:
        order: int32 [N], examples from the least to the most confident.
        rank: int32 [N], by example, its place in that order.
        valid: uint64 [N // 64 + 1], a bit for each valid cutoff 0..N.
        is_valid: bool [N + 1], the same.

    >>> from cascade_exp.cascade.examples import three_models
    >>> ranked = Source(three_models(), "ge").ranked((0,))
    >>> ranked.order.tolist(), ranked.is_valid.tolist()
    ([1, 3, 0, 2], [True, True, True, False, True])
    """

    order: NDArray[np.int32]
    rank: NDArray[np.int32]
    valid: Words
    is_valid: NDArray[np.bool_]


class Source:
    """The stages of a pool in every form that is needed; safe to be used from many threads.

    Args:
        inner: prefixes after which some cascade has another stage; of any other only the answers
            are asked for, which a pool may give faster (``final_statistics``).

    Raises:
        CascadeError: if the pool has no examples.

    >>> from cascade_exp.cascade.examples import three_models
    >>> source = Source(three_models(), "ge")
    >>> source.right((1,)).tolist(), source.ordering((1,)).cutoffs.tolist()
    ([1, 1, 1, 0], [0, 1, 2, 4])
    """

    def __init__(self, pool: StagePool, compare: Compare, inner: Set[Prefix] = frozenset()) -> None:
        require_examples(pool.size)
        self.pool = pool
        self.inner = inner
        self.compare = compare
        self.size = pool.size
        self.prefix_free = pool.prefix_free
        self._kept: OrderedDict[Hashable, object] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._pool_lock = threading.Lock()

    def prefetch(self, cascades: Sequence[Prefix], progress: Progress | None) -> None:
        """Have the pool compute together what a search of ``cascades`` will ask for."""
        if not self.prefix_free:
            with self._pool_lock:
                self.pool.prefetch(self.inner, set(cascades), progress)

    def stage(self, prefix: Prefix) -> Stage:
        """What the pool says once ``prefix`` has run."""
        key = self._key(prefix)
        return self._once(("stage", key), lambda: self._ask(key))

    def ordering(self, prefix: Prefix) -> Ordering:
        """The stage's confidences in growing order, with their valid cutoffs."""
        return self._once(
            ("ordering", self._key(prefix)),
            lambda: ordering_of(self.stage(prefix).confidence, self.compare),
        )

    def ranked(self, prefix: Prefix) -> Ranked:
        """The stage's order for the kernels."""

        def make() -> Ranked:
            ordering = self.ordering(prefix)
            rank = np.empty(self.size, dtype=np.int32)
            rank[ordering.order] = np.arange(self.size, dtype=np.int32)
            words = pack_flags(ordering.valid)[: self.size // 64 + 1]
            return Ranked(ordering.order, rank, words, ordering.valid)

        return self._once(("ranked", self._key(prefix)), make)

    def right(self, prefix: Prefix) -> Bytes:
        """Right (1) or wrong (0): uint8 [N], of an objective with one summand of 0 or 1."""
        return self._once(
            ("right", self._key(prefix)),
            lambda: self._answers(prefix).astype(np.uint8),
        )

    def lanes(self, prefix: Prefix, last: Sequence[int]) -> Bytes:
        """Right at the stage after ``(*prefix, m)`` for models m of one chunk: uint8 [N, LANES].

        Model m is in lane ``m % LANES``; where the pool is prefix-free every model of the chunk is
        there, else those of ``last``.
        """
        chunk = last[0] // LANES

        def make() -> Bytes:
            models = last
            if self.prefix_free:
                models = range(chunk * LANES, min((chunk + 1) * LANES, len(self.pool.names)))
            lanes = np.zeros((self.size, LANES), dtype=np.uint8)
            for m in models:
                lanes[:, m % LANES] = self._answers((m,) if self.prefix_free else (*prefix, m))
            return lanes

        key = (chunk,) if self.prefix_free else (prefix, tuple(last))
        return self._once(("lanes", key), make)

    def lane_bits(self, prefix: Prefix, last: Sequence[int]) -> NDArray[np.uint32]:
        """``lanes(prefix, last)`` as the bits of one uint32 [N] by example."""
        key = (last[0] // LANES,) if self.prefix_free else (prefix, tuple(last))

        def make() -> NDArray[np.uint32]:
            packed = np.packbits(self.lanes(prefix, last), axis=1, bitorder="little")
            return packed.view("<u4")[:, 0]

        return self._once(("bits", key), make)

    def lane_words(self, order: Prefix, prefix: Prefix, last: Sequence[int]) -> Words:
        """``lanes(prefix, last)`` in the order of stage ``order``: uint64 [LANES, N // 64 + 1]."""
        chunk = last[0] // LANES
        key = (chunk,) if self.prefix_free else (prefix, tuple(last))
        return self._once(
            ("words", self._key(order), key),
            lambda: pack_lanes(self.ordering(order).order, self.lanes(prefix, last)),
        )

    def right_words(self, order: Prefix, prefix: Prefix) -> Words:
        """``right(prefix)`` in the order of stage ``order``: uint64 [N // 64 + 1]."""
        if self.prefix_free:
            return np.asarray(self.lane_words(order, (), prefix[-1:])[prefix[-1] % LANES])
        return np.asarray(pack_flags(gather(self.ordering(order).order, self.right(prefix))))

    def table(self, members: tuple[int, ...], accounting: Accounting) -> StageTable:
        """The cascade that runs ``members`` in this order."""
        return StageTable(
            names=tuple(self.pool.names[m] for m in members),
            stages=tuple(self.stage(members[: i + 1]) for i in range(len(members))),
            cost=self.pool.cost[list(members)],
            accounting=accounting,
        )

    def _answers(self, prefix: Prefix) -> Ints:
        """The first summand of every answer given once ``prefix`` has run: int64 [N]."""
        if self.prefix_free or prefix in self.inner:
            return self.stage(prefix).statistics[:, 0]
        with self._pool_lock:
            return self.pool.final_statistics(prefix)[:, 0]

    def _ask(self, prefix: Prefix) -> Stage:
        with self._pool_lock:  # a pool need not be safe to be asked from many threads
            return self.pool.stage(prefix)

    def _key(self, prefix: Prefix) -> Prefix:
        return prefix[-1:] if self.prefix_free else prefix

    def _once(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]  # type: ignore[return-value]
        value = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._bytes += _nbytes(value)
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= _nbytes(self._kept.popitem(last=False)[1])
        return value


def _nbytes(value: object) -> int:
    arrays = [value] if isinstance(value, np.ndarray) else list(vars(value).values())
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
