"""The exits of one network as stages: they run in order, and each costs what it adds to the last.

Patience lives here, the one confidence that depends on what earlier exits answered. Scores of one
answer are in ``confidence``, ensembles of exits in ``ensembling``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from cascade_exp.cascade.confidence import Confidence, make_metric
from cascade_exp.cascade.pools.base import conditions
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.search.threads import Progress
from cascade_exp.cascade.stages import Compare, Floats, Ints, Stage

PATIENCE = "patience"


def run_lengths(predictions: Ints) -> Floats:
    """How many exits in a row, ending with this one, name the same class.

    The paper's patience P is met by a run of P + 1 (Zhou et al. 2020, Eq. 4: its counter starts at
    0 with the first exit).

    run[e] = run[e - 1] + 1 where prediction[e] = prediction[e - 1], else 1.

    Args:
        predictions: int64 [exits, N], in running order.

    Returns:
        float64 [exits, N], whole numbers from 1.

    >>> run_lengths(np.array([[0, 1], [0, 2], [0, 2]])).tolist()
    [[1.0, 1.0], [2.0, 1.0], [3.0, 2.0]]
    """
    runs = np.ones(predictions.shape)
    for exit in range(1, len(predictions)):
        same = predictions[exit] == predictions[exit - 1]
        runs[exit, same] = runs[exit - 1, same] + 1
    return runs


@dataclass(frozen=True)
class ExitMember:
    """One way to run an exit.

    Attributes:
        exit: which one, from 0.
        alone: False: as a stage of the network's own cascade, after all exits before it; True: as
            the static network that ends there.
        cost: of what that runs: the layers since the exit before, or all up to this one.

    >>> from cascade_exp.cascade.examples import three_models
    >>> ExitPool(three_models(), patient=False).members[1:5:3]
    (ExitMember(exit=1, alone=False, cost=1.0), ExitMember(exit=1, alone=True, cost=2.0))
    """

    exit: int
    alone: bool
    cost: float


@dataclass
class ExitPool:
    """One network's exits on one split as a :class:`~cascade_exp.cascade.pools.base.StagePool`.

    Every exit is there twice, as a stage and alone (:class:`ExitMember`). The cascades of this pool
    are :attr:`cascade` and :attr:`static`; no other sequence of its members means anything.

    Attributes:
        exits: the exits as single models, in order of their cumulative cost.
        patient: whether the confidence is the run length of agreeing exits.
        members: the exits as stages, then the exits alone.

    >>> from cascade_exp.cascade.examples import three_models
    >>> pool = ExitPool(three_models(), patient=True)
    >>> (
    ...     pool.cascade,
    ...     pool.cost[list(pool.cascade)].tolist(),
    ...     pool.cost[list(pool.static)].tolist(),
    ... )
    ((0, 1, 2), [1.0, 1.0, 3.0], [1.0, 2.0, 5.0])
    >>> pool.stage((0, 1)).confidence.tolist()
    [2.0, 1.0, 2.0, 2.0]
    """

    exits: LogitsPool
    patient: bool
    members: tuple[ExitMember, ...] = field(init=False)
    _runs: Floats | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        total = self.exits.cost.tolist()
        steps = np.diff(self.exits.cost, prepend=0.0).tolist()
        self.members = tuple(
            ExitMember(exit, alone, cost)
            for alone, costs in ((False, steps), (True, total))
            for exit, cost in enumerate(costs)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """By member, the name of its exit."""
        return tuple(self.exits.names[member.exit] for member in self.members)

    @property
    def cost(self) -> Floats:
        """By member, the cost of running it: float64 [members]."""
        return np.array([member.cost for member in self.members])

    @property
    def size(self) -> int:
        """Number of examples N."""
        return self.exits.size

    @property
    def prefix_free(self) -> bool:
        """Whether a stage is known by its last exit; so with patience too, as all exits run."""
        return self.exits.prefix_free

    @property
    def confidence(self) -> Confidence:
        """Patience, or the confidence of the exits."""
        return make_metric(PATIENCE) if self.patient else self.exits.confidence

    @property
    def cascade(self) -> tuple[int, ...]:
        """The members that are the network's own cascade: all exits as stages, in order."""
        return self._where(alone=False)

    @property
    def static(self) -> tuple[int, ...]:
        """The members that are the static networks, by exit."""
        return self._where(alone=True)

    def prefetch(
        self,
        inner: Collection[tuple[int, ...]],
        last: Collection[tuple[int, ...]],
        progress: Progress | None = None,
    ) -> None:
        """Nothing: stages are computed when they are asked for."""

    def describe(
        self, members: Sequence[int], thresholds: Sequence[float], compare: Compare
    ) -> list[str]:
        """When an example leaves each exit but the last, in words."""
        return conditions(self.confidence, thresholds, compare)

    def final_statistics(self, members: tuple[int, ...]) -> Ints:
        """``stage(members).statistics`` int64 [N, S] alone."""
        return self.exits.final_statistics(self._exits(members))

    def stage(self, members: tuple[int, ...]) -> Stage:
        """The stage that answers once the exits ``members`` have run."""
        exits = self._exits(members)
        stage = self.exits.stage(exits)
        if not self.patient:
            return stage
        return Stage(self._run_lengths()[exits[-1]], stage.prediction, stage.statistics)

    def _where(self, alone: bool) -> tuple[int, ...]:
        return tuple(m for m, member in enumerate(self.members) if member.alone == alone)

    def _exits(self, members: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.members[m].exit for m in members)

    def _run_lengths(self) -> Floats:
        if self._runs is None:
            exits = range(len(self.exits.names))
            self._runs = run_lengths(np.stack([self.exits.stage((e,)).prediction for e in exits]))
        return self._runs
