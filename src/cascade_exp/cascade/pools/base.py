"""The contract of a pool of stages, and the one base class of pools that wrap another pool.

A pool answers two kinds of questions: what a stage's outputs are on every example (for the engine
and the search), and what its thresholds mean (for people). Everything that prints a threshold asks
the pool, so that a new kind of cascade is described correctly everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cascade_exp.cascade.confidence import Confidence
from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.stages import Compare, Floats, Ints, Stage, StageTable


class StagePool(Protocol):
    """Models on one split, seen as stages; a *member* is one way to run one of them.

    Members are numbered 0..M-1. ``stage(members)`` is the stage that answers after ``members`` have
    all run, the last of them being the stage's own: without ensembling only that last one matters,
    with it all do.
    """

    @property
    def names(self) -> Sequence[str]:
        """By member, the name of its stage, as results show it."""
        ...

    @property
    def cost(self) -> Floats:
        """By member, the cost of running it on one example: float64 [M]."""
        ...

    @property
    def size(self) -> int:
        """Number of examples N."""
        ...

    @property
    def prefix_free(self) -> bool:
        """Whether a stage depends on its last member only, so that all cascades share it."""
        ...

    @property
    def confidence(self) -> Confidence:
        """What thresholds are compared with."""
        ...

    def stage(self, members: tuple[int, ...]) -> Stage:
        """The stage that answers once ``members`` (in running order) have run."""
        ...

    def final_statistics(self, members: tuple[int, ...]) -> Ints:
        """``stage(members).statistics`` int64 [N, S]: all that a cascade's last stage needs."""
        ...

    def prefetch(
        self,
        inner: Collection[tuple[int, ...]],
        last: Collection[tuple[int, ...]],
        progress: Progress | None = None,
    ) -> None:
        """Compute together, where that is quicker, some of what a search is about to ask for.

        Args:
            inner: members after which :meth:`stage` may be asked for. last: after which
                :meth:`final_statistics` may be.
            progress: called with (rows done, rows).
        """
        ...

    def describe(
        self, members: Sequence[int], thresholds: Sequence[float], compare: Compare
    ) -> list[str]:
        """When an example leaves each stage but the last, in words.

        Args:
            members: a cascade of n stages. thresholds: its n - 1 thresholds, in stage order.
        """
        ...


def threshold_text(value: float) -> str:
    """A threshold, rounded for reading; near 1 two digits of its distance from 1 are kept.

    >>> threshold_text(0.8671234), threshold_text(0.99998712), threshold_text(float("inf"))
    ('0.8671', '0.999987', '+∞')
    """
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    size = abs(value)
    if 0.99 < size < 1:
        digits = 1 - math.floor(math.log10(1 - size))
        text = f"{size:.{min(digits, 16)}f}"
    elif size and (size < 1e-4 or size >= 1e6):
        text = f"{size:.3e}"
    else:
        text = f"{size:.0f}" if size >= 1e4 else f"{size:.4g}"
    return f"−{text}" if value < 0 else text


def condition(label: str, threshold: float, compare: Compare, text: str | None = None) -> str:
    """When an example leaves a stage: ``confidence >= threshold`` (``gt``: ``>``), in words.

    Args:
        label: what the threshold is compared with. text: the threshold, where it is not written as
            :func:`threshold_text` writes it.

    >>> condition("max_softmax", 0.98125, "ge"), condition("max_softmax", float("inf"), "ge")
    ('max_softmax ≥ 0.9812', 'never')
    """
    if math.isinf(threshold):
        return "never" if threshold > 0 else "always"
    return f"{label} {'>' if compare == 'gt' else '≥'} {text or threshold_text(threshold)}"


def conditions(confidence: Confidence, thresholds: Sequence[float], compare: Compare) -> list[str]:
    """:func:`condition` of every threshold on the same confidence.

    >>> from cascade_exp.cascade.confidence import make_metric
    >>> conditions(make_metric("entropy"), [-0.25, float("-inf")], "gt")
    ['−entropy > −0.25', 'always']
    """
    return [condition(confidence.label, threshold, compare) for threshold in thresholds]


@dataclass
class WrappedPool:
    """The stages of another pool, unchanged; a pool that changes some of it overrides that part.

    A pool whose members differ from its base's overrides ``names``, ``cost`` and
    :meth:`base_members`.

    Attributes:
        base: the pool that is wrapped.

    >>> from cascade_exp.cascade.examples import three_models
    >>> wrapped = WrappedPool(three_models())
    >>> wrapped.names, wrapped.describe((0, 2), [1.0], "ge")
    (('small', 'medium', 'large'), ['logits margin ≥ 1'])
    """

    base: StagePool

    @property
    def names(self) -> Sequence[str]:
        """By member, the name of its stage."""
        return self.base.names

    @property
    def cost(self) -> Floats:
        """By member, the cost of running it on one example: float64 [M]."""
        return self.base.cost

    @property
    def size(self) -> int:
        """Number of examples N."""
        return self.base.size

    @property
    def prefix_free(self) -> bool:
        """Whether a stage depends on its last member only."""
        return self.base.prefix_free

    @property
    def confidence(self) -> Confidence:
        """What thresholds are compared with."""
        return self.base.confidence

    def base_members(self, members: Sequence[int]) -> tuple[int, ...]:
        """The members of ``base`` that ``members`` of this pool run."""
        return tuple(members)

    def stage(self, members: tuple[int, ...]) -> Stage:
        """The stage that answers once ``members`` have run."""
        return self.base.stage(self.base_members(members))

    def final_statistics(self, members: tuple[int, ...]) -> Ints:
        """``stage(members).statistics`` int64 [N, S]."""
        return self.base.final_statistics(self.base_members(members))

    def prefetch(
        self,
        inner: Collection[tuple[int, ...]],
        last: Collection[tuple[int, ...]],
        progress: Progress | None = None,
    ) -> None:
        """Have the base compute together what a search is about to ask for."""
        stages, ends = ({self.base_members(members) for members in some} for some in (inner, last))
        self.base.prefetch(stages, ends, progress)

    def describe(
        self, members: Sequence[int], thresholds: Sequence[float], compare: Compare
    ) -> list[str]:
        """When an example leaves each stage but the last, in words: those of ``base``, unless this
        pool has a confidence of its own."""
        if self.confidence != self.base.confidence:
            return conditions(self.confidence, thresholds, compare)
        return self.base.describe(self.base_members(members), thresholds, compare)


Pool = TypeVar("Pool")


def pool_below(pool: StagePool, kind: type[Pool]) -> Pool | None:
    """The pool of class ``kind`` that ``pool`` is or wraps with the same members; None without one.

    Whoever changes the members (:meth:`WrappedPool.base_members`) hides what is below.

    >>> from cascade_exp.cascade.pools.exits import ExitPool
    >>> pool_below(WrappedPool(WrappedPool(None)), ExitPool) is None
    True
    """
    while not isinstance(pool, kind):
        if not isinstance(pool, WrappedPool):
            return None
        if type(pool).base_members is not WrappedPool.base_members:
            return None
        pool = pool.base
    return pool


def table_of(
    pool: StagePool, members: tuple[int, ...], accounting: Accounting = "cumulative"
) -> StageTable:
    """The cascade that runs the pool's ``members`` in this order.

    ``table_of(pool, (0, 2)).run([0.9])`` applies a threshold of 0.9 to the first of two stages.

    >>> from cascade_exp.cascade.examples import three_models
    >>> outcome = table_of(three_models(), (0, 2)).run([2.0])
    >>> outcome.exit_stage.tolist(), outcome.cost.tolist(), outcome.prediction.tolist()
    ([0, 1, 0, 1], [1.0, 6.0, 1.0, 6.0], [0, 0, 1, 1])
    """
    return StageTable(
        names=tuple(pool.names[m] for m in members),
        stages=tuple(pool.stage(members[: i + 1]) for i in range(len(members))),
        cost=pool.cost[list(members)],
        accounting=accounting,
    )
