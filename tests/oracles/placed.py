"""Cascades of stages at places, by following each example over every link it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations, product

import numpy as np

from cascade_exp.cascade.stages import Stage
from tests.oracles.literal_thresholds import candidate_thresholds, exits


def cascades(
    place: Sequence[int], running: Sequence[float], models: Sequence[set[int]], longest: int
) -> Iterator[tuple[int, ...]]:
    """Every order of up to ``longest`` stages of different models that never goes back to an
    earlier place, nor to a cheaper stage of the same place."""
    for length in range(1, longest + 1):
        for run in permutations(range(len(place)), length):
            keys = [(place[s], running[s]) for s in run]
            ran = [model for s in run for model in models[s]]
            if all(a <= b for a, b in pairwise(keys)) and len(ran) == len(set(ran)):
                yield run


def waited(
    run: Sequence[int],
    left: int,
    place: Sequence[int],
    running: Sequence[float],
    link: Sequence[float],
    accounting: str,
) -> float:
    """Seconds of an example that leaves ``run`` at its stage ``left``."""
    ran = run[: left + 1] if accounting == "cumulative" else [run[left]]
    return sum(running[s] for s in ran) + link[place[run[left]]]


def front(
    stages: Sequence[Stage],
    runs: Sequence[tuple[int, ...]],
    place: Sequence[int],
    running: Sequence[float],
    link: Sequence[float],
    accounting: str,
    compare: str = "ge",
) -> list[tuple[float, int]]:
    """Total seconds and right answers of every setting that no other one dominates."""
    found = set()
    for run in runs:
        axes = [candidate_thresholds(stages[s].confidence, compare) for s in run[:-1]]
        for thresholds in product(*axes):
            left = exits([stages[s] for s in run], thresholds, compare)
            cost = sum(waited(run, at, place, running, link, accounting) for at in left)
            right = sum(int(stages[run[at]].statistics[x, 0]) for x, at in enumerate(left))
            found.add((cost, right))
    return sorted(
        (cost, right)
        for cost, right in found
        if not any(c <= cost and r >= right and (c, r) != (cost, right) for c, r in found)
    )


def right_of(prediction: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Statistics int64 [N, 1] of accuracy."""
    return (prediction == labels).astype(np.int64)[:, None]
