"""What a stage says about every example, and what a cascade of such stages does with it.

A cascade is a sequence of stages; an example leaves at the first stage that is confident
enough. This module holds the one representation that every method is an adapter to, and the one
literal engine that applies given thresholds. Sweeping all thresholds lives in ``sweep``,
searching all cascades in ``search``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.costs import Accounting, exit_costs
from cascade_exp.errors import CascadeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Compare = Literal["ge", "gt"]


@dataclass(frozen=True)
class Stage:
    """One stage's outputs on N examples.

    Attributes:
        confidence: float64 [N], higher = more confident; never NaN.
        prediction: int64 [N], the class answered.
        statistics: int64 [N, S], the summands of the objective (accuracy: S=1, right or wrong).

    >>> Stage(np.array([0.9]), np.array([1]), np.array([[1]])).confidence.tolist()
    [0.9]
    """

    confidence: Floats
    prediction: Ints
    statistics: Ints


@dataclass(frozen=True)
class Outcome:
    """What one cascade at one setting of its thresholds did to N examples.

    Attributes:
        exit_stage: int64 [N], the stage (from 0) at which each example left.
        prediction: int64 [N], the answer it left with.
        statistics: int64 [N, S], the objective's summands of that answer.
        cost: float64 [N], what the example cost.
        exit_rates: float64 [n], share of the examples that left at each stage.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> outcome = table_of(three_models(), (0, 2)).run([1.0])
    >>> outcome.exit_rates.tolist(), outcome.statistics[:, 0].tolist()
    ([0.75, 0.25], [1, 1, 1, 0])
    """

    exit_stage: Ints
    prediction: Ints
    statistics: Ints
    cost: Floats
    exit_rates: Floats


@dataclass(frozen=True)
class StageTable:
    """One cascade on one split: n stages, N examples.

    Attributes:
        names: the n stages' names, in running order.
        stages: the n stages; the last one's confidence is never read.
        cost: float64 [n], the cost of running each stage.
        accounting: whether an example pays every stage that ran or only the tier that answered.

    >>> from cascade_exp.cascade.examples import three_models
    >>> from cascade_exp.cascade.pools.base import table_of
    >>> table = table_of(three_models(), (0, 2))
    >>> (
    ...     table.worst_case_cost,
    ...     table.run([1.0]).exit_stage.tolist(),
    ...     table.run([1.0], "gt").exit_stage.tolist(),
    ... )
    (6.0, [0, 1, 0, 0], [0, 1, 0, 1])
    """

    names: tuple[str, ...]
    stages: tuple[Stage, ...]
    cost: Floats
    accounting: Accounting = "cumulative"

    @property
    def worst_case_cost(self) -> float:
        """The cost of running all stages (under ``exit_tier``: of the most expensive tier)."""
        return float(exit_costs(self.cost, self.accounting).max())

    def run(self, thresholds: Sequence[float], compare: Compare = "ge") -> Outcome:
        """Apply ``thresholds`` (n - 1 of them, in stage order) literally, example by example.

        An example leaves stage i iff ``confidence >= thresholds[i]`` (``compare="gt"``: ``>``); the
        last stage always answers (docs/definitions.md#exit-rule).

        Raises:
            CascadeError: if the number of thresholds is not one fewer than the stages.
        """
        n = len(self.stages)
        if len(thresholds) != n - 1:
            raise CascadeError(
                f"{len(thresholds)} thresholds for the {n} stages of {'>'.join(self.names)}: "
                f"expected {n - 1}, one for every stage but the last"
            )
        size = len(self.stages[0].prediction)
        exit_stage = np.full(size, n - 1, dtype=np.int64)
        prediction = self.stages[-1].prediction.copy()
        statistics = self.stages[-1].statistics.copy()
        for i in range(n - 2, -1, -1):
            stage = self.stages[i]
            if compare == "ge":
                leaves = stage.confidence >= thresholds[i]
            else:
                leaves = stage.confidence > thresholds[i]
            np.copyto(exit_stage, i, where=leaves)
            np.copyto(prediction, stage.prediction, where=leaves)
            np.copyto(statistics, stage.statistics, where=leaves[:, None])
        return Outcome(
            exit_stage=exit_stage,
            prediction=prediction,
            statistics=statistics,
            cost=exit_costs(self.cost, self.accounting)[exit_stage],
            exit_rates=np.bincount(exit_stage, minlength=n) / max(size, 1),
        )
