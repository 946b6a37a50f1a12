"""The search, by trying every threshold that separates any two examples, one by one.

Nothing is sorted, bounded or accumulated: each setting is applied to each example as the exit rule
says, and every setting is compared with every other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_exp.cascade.frontier import FrontPoint
from cascade_exp.cascade.objective import Objective
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.stages import Compare, Stage


@dataclass(frozen=True)
class Tried:
    """One setting and what it gave."""

    members: tuple[int, ...]
    thresholds: tuple[float, ...]
    total_cost: float
    score: float
    worst_case_cost: float


def candidate_thresholds(confidence: np.ndarray, compare: Compare) -> list[float]:
    """Always, never, and as few others as separate all examples, in the form that is reported."""
    values = sorted({float(c) + 0.0 for c in confidence})
    if compare == "gt" and values == [-np.inf]:  # nothing exceeds it: all are deferred
        return [np.inf]
    if compare == "ge" and values == [np.inf]:  # nothing is below it: all always leave
        return [-np.inf]
    between = values[1:] if compare == "ge" else values[:-1]
    return sorted({-np.inf, *between, np.inf})


def exits(stages: Sequence[Stage], thresholds: Sequence[float], compare: Compare) -> list[int]:
    """The stage at which each example leaves."""
    left = []
    for x in range(len(stages[0].confidence)):
        stage = 0
        for threshold in thresholds:
            confidence = stages[stage].confidence[x]
            if confidence >= threshold if compare == "ge" else confidence > threshold:
                break
            stage += 1
        left.append(stage)
    return left


def total(left: Sequence[int], cost: Sequence[float], accounting: str) -> float:
    """Cost of all examples: count times cost, summed in stage order."""
    result = 0.0
    for stage, price in enumerate(cost):
        if accounting == "cumulative":
            count = sum(1 for s in left if s >= stage)
        else:
            count = sum(1 for s in left if s == stage)
        result = result + float(count) * float(price) if stage else float(count) * float(price)
    return result


def settings(
    pool: StagePool,
    cascades: Sequence[tuple[int, ...]],
    objective: Objective,
    accounting: str = "cumulative",
    compare: Compare = "ge",
    shared: bool = False,
) -> Iterator[Tried]:
    """Every setting of every cascade."""
    for members in cascades:
        n = len(members)
        stages = [pool.stage(members[: i + 1]) for i in range(n)]
        cost = [float(pool.cost[m]) for m in members]
        worst = cost[0]
        for price in cost[1:]:
            worst = worst + price if accounting == "cumulative" else max(worst, price)
        if shared and n > 1:
            union = np.concatenate([stage.confidence for stage in stages[:-1]])
            tuples = [(t,) * (n - 1) for t in candidate_thresholds(union, compare)]
        else:
            axes = [candidate_thresholds(stage.confidence, compare) for stage in stages[:-1]]
            tuples = list(itertools.product(*axes))
        for thresholds in tuples:
            left = exits(stages, thresholds, compare)
            totals = sum(stages[s].statistics[x] for x, s in enumerate(left))
            yield Tried(
                members,
                thresholds,
                total(left, cost, accounting),
                float(objective.score(np.asarray(totals)[None], pool.size)[0]),
                worst,
            )


def front(
    pool: StagePool,
    cascades: Sequence[tuple[int, ...]],
    objective: Objective,
    accounting: str = "cumulative",
    compare: Compare = "ge",
    shared: bool = False,
    worst_case_cost: float | None = None,
) -> list[FrontPoint]:
    """The non-dominated settings in order of growing cost, ties as in docs/definitions.md#sweep."""

    def rank(tried: Tried) -> tuple[object, ...]:
        names = tuple(pool.names[m] for m in tried.members)
        return (len(tried.members), tried.worst_case_cost, names, tried.members, tried.thresholds)

    best: dict[tuple[float, float], Tried] = {}
    for tried in settings(pool, cascades, objective, accounting, compare, shared):
        if worst_case_cost is not None and tried.worst_case_cost > worst_case_cost:
            continue
        held = best.get((tried.total_cost, tried.score))
        if held is None or rank(tried) < rank(held):
            best[tried.total_cost, tried.score] = tried
    points: list[FrontPoint] = []
    for (cost, score), tried in sorted(best.items(), key=lambda item: (item[0][0], -item[0][1])):
        if points and score <= points[-1].score:
            continue
        mean = cost / pool.size
        if points and points[-1].cost == mean:
            points.pop()
        points.append(
            FrontPoint(tried.members, tried.thresholds, mean, score, tried.worst_case_cost)
        )
    return points
