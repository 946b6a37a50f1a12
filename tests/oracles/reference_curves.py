"""Every way of letting examples leave, one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np


def outcomes(
    correct: np.ndarray, exit_cost: np.ndarray
) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """(exit stages, mean cost, score) of every assignment of N examples to n stages."""
    stages, size = correct.shape
    for exits in itertools.product(range(stages), repeat=size):
        cost = sum(exit_cost[s] for s in exits) / size
        yield exits, cost, sum(bool(correct[s, i]) for i, s in enumerate(exits)) / size


def best_score_at_exits(correct: np.ndarray, exit_cost: np.ndarray, exits: int) -> float:
    """Best score when this many examples leave at the first stage."""
    return max(score for where, _, score in outcomes(correct, exit_cost) if where.count(0) == exits)


def least_costs(correct: np.ndarray, exit_cost: np.ndarray) -> dict[float, float]:
    """Least cost of exactly each score that can be reached, by score."""
    found: dict[float, float] = {}
    for _, cost, score in outcomes(correct, exit_cost):
        found[score] = min(cost, found.get(score, np.inf))
    return found
