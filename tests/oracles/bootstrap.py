"""The bootstrap as everyone knows it: draw N examples, look again, repeat."""

from __future__ import annotations

import numpy as np

from cascade_exp.cascade.objective import Objective
from cascade_exp.cascade.stages import Outcome


def resampled(
    outcome: Outcome, objective: Objective, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Score [R] and mean cost [R] of ``resamples`` draws of N examples with replacement."""
    rng = np.random.default_rng(seed)
    size = len(outcome.cost)
    scores, costs = [], []
    for _ in range(resamples):
        drawn = rng.integers(0, size, size)
        scores.append(float(objective.score(outcome.statistics[drawn].sum(axis=0), size)))
        costs.append(float(np.mean(outcome.cost[drawn])))
    return np.array(scores), np.array(costs)
