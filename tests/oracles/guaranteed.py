"""Slow twins of the bounds, and a small world in which the truth of every cascade is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cascade_exp.cascade.frontier import FrontPoint


def betting(differences: Sequence[float], epsilon: float, delta: float) -> float:
    """The gambler, example by example."""
    size, best, capital = len(differences), 1.0, 1.0
    total, squares, variance = 0.0, 0.0, 1.0
    for i, d in enumerate(differences):
        bet = min(math.sqrt(2 * math.log(1 / delta) / (size * variance)), 0.9 / (1 - epsilon))
        capital *= 1 + bet * (epsilon - d)
        best = max(best, capital)
        total += d
        mean = total / (i + 2)
        squares += (d - mean) ** 2
        variance = (1 + squares) / (i + 2)
    return 1 / best


@dataclass(frozen=True)
class World:
    """A finite population: examples are drawn from it with replacement, so its means are the truth.

    ``confidence`` [M, P] and ``right`` [M, P] of M first models, ``reference`` [P] of the second
    one, which costs ``COST`` times as much.
    """

    confidence: np.ndarray
    right: np.ndarray
    reference: np.ndarray

    COST = 10.0

    def sample(self, rows: np.ndarray) -> World:
        """The world as seen through these examples."""
        return World(self.confidence[:, rows], self.right[:, rows], self.reference[rows])

    def differences(self, point: FrontPoint) -> np.ndarray:
        """Reference right minus cascade right, by example."""
        leaves = self.confidence[point.members[0]] >= point.thresholds[0]
        return np.where(leaves, self.reference - self.right[point.members[0]], 0).astype(float)

    def front(self) -> list[FrontPoint]:
        """Every first model at every threshold by cumulative sums, and of all these the best."""
        order = np.argsort(-self.confidence, axis=1)
        models, size = self.confidence.shape
        gain = np.cumsum(np.take_along_axis(self.right - self.reference, order, axis=1), axis=1)
        never = np.zeros((models, 1))
        score = (self.reference.sum() + np.hstack([never, gain])) / size
        threshold = np.hstack(
            [never + math.inf, np.take_along_axis(self.confidence, order, axis=1)]
        )
        cost = np.broadcast_to(1 + self.COST * (1 - np.arange(size + 1) / size), score.shape)
        found: list[FrontPoint] = []
        for place in np.lexsort((-score.ravel(), cost.ravel())):
            i, k = divmod(int(place), size + 1)
            if not found or score[i, k] > found[-1].score:
                found.append(
                    FrontPoint(
                        (i, models),
                        (float(threshold[i, k]),),
                        float(cost[i, k]),
                        float(score[i, k]),
                        1 + self.COST,
                    )
                )
        return found


def world(seed: int, population: int = 20_000, models: int = 6) -> World:
    """First models of like quality, each with its own errors and its own noisy confidence."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=population)
    right, confidence = [], []
    for _ in range(models):
        mine = ease + 0.7 * rng.normal(size=population)
        right.append(mine + 0.7 * rng.normal(size=population) > -0.9)
        confidence.append(mine + 0.2 * rng.normal(size=population))
    reference = ease + 0.7 * rng.normal(size=population) > -1.5
    return World(np.array(confidence), np.array(right).astype(int), reference.astype(int))
