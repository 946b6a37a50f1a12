"""Brute-force twins of ``cascade.frontier``: definitions spelled out, pair by pair."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

Model = tuple[float, float]  # score, cost


def undominated(models: Sequence[Model]) -> list[Model]:
    """Models for which no other has at least the score for at most the cost (equal ones once)."""
    return sorted(
        {
            (s, c)
            for s, c in models
            if not any(t >= s and d <= c and (t, d) != (s, c) for t, d in models)
        }
    )


def baseline_cost(models: Sequence[Model], level: float, kind: str) -> float:
    """Least cost of score ``level`` of one model or a random mix of two; NaN if out of reach."""
    kept = undominated(models)
    if level <= kept[0][0]:
        return kept[0][1]
    pairs = itertools.pairwise(kept) if kind == "adjacent" else itertools.combinations(models, 2)
    reached = [cost for score, cost in models if score == level]
    for (s, c), (t, d) in pairs:
        if s != t and min(s, t) <= level <= max(s, t):
            share = (level - s) / (t - s)
            reached.append((1 - share) * c + share * d)
    return min(reached) if reached else math.nan


def cost_at(points: Sequence[Model], level: float) -> float:
    """Least cost of a point that scores at least ``level``."""
    return min((cost for score, cost in points if score >= level), default=math.inf)


def average_by_sampling(
    points: Sequence[Model], models: Sequence[Model], kind: str, low: float, high: float, count: int
) -> float:
    """The mean factor at ``count`` midpoints between ``low`` and ``high``."""
    levels = [low + (high - low) * (i + 0.5) / count for i in range(count)]
    return math.fsum(
        baseline_cost(models, level, kind) / cost_at(points, level) for level in levels
    ) / len(levels)


def prominences(heights: Sequence[float]) -> dict[int, float]:
    """By place of each local maximum (of a run of equals: its middle), the climb to a higher one.

    How far one must at least descend from it before meeting something higher; infinite where
    nothing is.
    """
    found = {}
    n = len(heights)
    for i in range(n):
        run = [j for j in range(n) if all(heights[m] == heights[i] for m in range(*_span(i, j)))]
        first, last = min(run), max(run)
        left = heights[first - 1] if first > 0 else -math.inf
        right = heights[last + 1] if last < n - 1 else -math.inf
        if i == (first + last) // 2 and heights[i] > left and heights[i] > right:
            drops = [
                heights[i] - min(heights[m] for m in range(*_span(i, j)))
                for j in range(n)
                if heights[j] > heights[i]
            ]
            found[i] = min(drops, default=math.inf)
    return found


def _span(i: int, j: int) -> tuple[int, int]:
    return min(i, j), max(i, j) + 1


def factor_at(line: Sequence[tuple[float, float]], score: float, cost: float) -> float | None:
    """Baseline cost at ``score`` over ``cost``, on a line of (score, cost), scores growing.

    None above the line; below it the first knot's cost.
    """
    if score > line[-1][0]:
        return None
    if score <= line[0][0]:
        return line[0][1] / cost
    for (low, cheap), (high, costly) in itertools.pairwise(line):
        if low < score <= high:
            return (cheap + (score - low) / (high - low) * (costly - cheap)) / cost
    raise AssertionError((line, score))
