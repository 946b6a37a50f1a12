"""The exits of one network as stages: they run in order, and each costs what it adds to the last.

Patience lives here, the one confidence that depends on what earlier exits answered. Scores of one
answer are in ``confidence``, ensembles of exits in ``ensembling``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.stages import Floats, Ints, Stage

PATIENCE = "patience"


def run_lengths(predictions: Ints) -> Floats:
    """How many exits in a row, ending with this one, name the same class.

    The paper's patience P is met by a run of P + 1 (Zhou et al. 2020, Eq. 4: its counter starts at
    0 with the first exit).

    Args:
        predictions: int64 [exits, N], in running order.

    Returns:
        float64 [exits, N], whole numbers from 1.
    """
    runs = np.ones(predictions.shape)
    for exit in range(1, len(predictions)):
        same = predictions[exit] == predictions[exit - 1]
        runs[exit, same] = runs[exit - 1, same] + 1
    return runs


@dataclass
class ExitPool:
    """One network's exits on one split as a :class:`~cascade_exp.cascade.stages.StagePool`.

    The members 0..E-1 are the exits as stages, each at the cost of what it adds to the exit before;
    the members E..2E-1 are the same exits run alone, at all that they cost: the static networks
    that end there. :attr:`cascades` is made of either, and nothing else should be.

    Attributes:
        exits: the exits as single models, in order of their cumulative cost.
        patient: whether the confidence is the run length of agreeing exits.
    """

    exits: LogitsPool
    patient: bool
    names: tuple[str, ...] = field(init=False)
    cost: Floats = field(init=False)
    _runs: Floats | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.names = 2 * self.exits.names
        steps = np.diff(self.exits.cost, prepend=0.0)
        self.cost = np.concatenate([steps, self.exits.cost])

    @property
    def size(self) -> int:
        """Number of examples N."""
        return self.exits.size

    @property
    def prefix_free(self) -> bool:
        """Whether a stage is known by its last exit; so with patience too, as all exits run."""
        return self.exits.prefix_free

    @property
    def cascades(self) -> list[tuple[int, ...]]:
        """All exits as one cascade, and every exit alone."""
        number = len(self.exits.names)
        return [tuple(range(number)), *((number + exit,) for exit in range(number))]

    def final_statistics(self, members: tuple[int, ...]) -> Ints:
        """``stage(members).statistics`` [N, S] alone."""
        return self.exits.final_statistics(self._exits(members))

    def stage(self, members: tuple[int, ...]) -> Stage:
        """The stage that answers once the exits ``members`` have run."""
        exits = self._exits(members)
        stage = self.exits.stage(exits)
        if not self.patient:
            return stage
        return Stage(self._run_lengths()[exits[-1]], stage.prediction, stage.statistics)

    def _exits(self, members: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(member % len(self.exits.names) for member in members)

    def _run_lengths(self) -> Floats:
        if self._runs is None:
            exits = range(len(self.exits.names))
            self._runs = run_lengths(np.stack([self.exits.stage((e,)).prediction for e in exits]))
        return self._runs
