"""Stages at places: what each adds to a cascade's cost depends on where the one before it ran.

An example that leaves has waited for the link to the place that answers and for no other
(``links``). So a stage is entered into a pool once for every place that the stage before it may
have run in; then costs add up along a cascade, and the search is as exact as over any other pool.
Which model runs where is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from typing_extensions import override

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.links import Links
from cascade_exp.cascade.pools.base import WrappedPool
from cascade_exp.cascade.stages import Floats, Ints

FIRST = -1
"""The place before a cascade's first stage."""


@dataclass(frozen=True)
class Placement:
    """S stages, each once as a first stage and once after each place that it may follow.

    Make one with :meth:`of`. The members 0..S-1 are the stages as first ones, in their own order.

    Attributes:
        place: int64 [S], the place where each stage runs; a cascade never goes back to an earlier.
        stage: int64 [members], which stage each member is.
        before: int64 [members], the place of the stage before it, or ``FIRST``.
        adds: float64 [members], what links add to the cost of running the stage there.
    """

    place: Ints
    stage: Ints
    before: Ints
    adds: Floats

    @classmethod
    def of(cls, place: Sequence[int], links: Links, accounting: Accounting) -> Placement:
        """The stages that run at ``place`` [S], places 0..P-1 being reached by P ``links``.

        Under ``cumulative`` a member adds its own link less the one before, since an example that
        is deferred does not wait for that one; under ``exit_tier`` its own link.

        >>> links = Links(delays=(0.0, 1.0), transfers=(0.0, 0.0))
        >>> placement = Placement.of([0, 1], links, "cumulative")
        >>> placement.members((0, 1)), placement.adds.tolist()
        ((0, 3), [0.0, 1.0, 0.0, 1.0, 0.0])
        """
        held = np.array(place, dtype=np.int64)
        places = range(FIRST, int(held.max(initial=FIRST)) + 1)
        pairs = [(s, b) for b in places for s in np.flatnonzero(held >= b).tolist()]
        stage, before = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        mean = links.mean
        paid = np.append(mean, 0.0)[before] if accounting == "cumulative" else np.zeros(len(before))
        return cls(held, stage, before, mean[held[stage]] - paid)

    def members(self, cascade: Sequence[int]) -> tuple[int, ...]:
        """The members that are the cascade of these stages, in running order."""
        before = [FIRST, *(int(self.place[s]) for s in cascade[:-1])]
        return tuple(self._member[pair] for pair in zip(cascade, before, strict=True))

    def order(self, cost: Floats) -> Floats:
        """Ranks float64 [S] in which cascades are formed: by place, then by cost [S]; equal ones
        share one."""
        pairs = np.stack([self.place.astype(np.float64), cost], axis=1)
        ranks = np.unique(pairs, axis=0, return_inverse=True)[1]
        return np.asarray(ranks, dtype=np.float64).reshape(-1)

    @cached_property
    def _member(self) -> dict[tuple[int, int], int]:
        pairs = zip(self.stage.tolist(), self.before.tolist(), strict=True)
        return {pair: member for member, pair in enumerate(pairs)}


@dataclass
class PlacedPool(WrappedPool):
    """Stages of a pool at their places; the members are those of a :class:`Placement`.

    Attributes:
        running: float64 [S], the cost of running each stage of ``base``, links apart.
        placement: where they run.

    >>> from cascade_exp.cascade.examples import three_models
    >>> links = Links(delays=(0.0, 10.0), transfers=(0.0, 0.0))
    >>> pool = three_models()
    >>> placed = PlacedPool(pool, pool.cost, Placement.of([0, 0, 1], links, "cumulative"))
    >>> members = placed.placement.members((0, 2))
    >>> [placed.names[m] for m in members], placed.cost[list(members)].tolist()
    (['small', 'large'], [1.0, 15.0])
    """

    running: Floats
    placement: Placement

    @cached_property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """By member, the name of its stage: once for every place that may be before it."""
        return tuple(self.base.names[s] for s in self.placement.stage.tolist())

    @cached_property
    def cost(self) -> Floats:  # type: ignore[override]
        """By member, the cost of running its stage and of its link: float64 [members]."""
        return np.asarray(self.running[self.placement.stage] + self.placement.adds)

    @override
    def base_members(self, members: Sequence[int]) -> tuple[int, ...]:
        return tuple(self.placement.stage[list(members)].tolist())
