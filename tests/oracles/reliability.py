"""Double loops over examples for ``cascade.reliability``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence


def pairs(confidence: Sequence[float], correct: Sequence[bool]) -> list[tuple[float, float]]:
    """Confidences of every (easy, difficult) pair."""
    easy = [c for c, right in zip(confidence, correct, strict=True) if right]
    difficult = [c for c, right in zip(confidence, correct, strict=True) if not right]
    return list(itertools.product(easy, difficult))


def dis(confidence: Sequence[float], correct: Sequence[bool]) -> float | None:
    """One minus the share of pairs whose difficult member is the more confident."""
    found = pairs(confidence, correct)
    return 1 - sum(d > e for e, d in found) / len(found) if found else None


def auroc(confidence: Sequence[float], correct: Sequence[bool]) -> float | None:
    """Share of pairs in order, ties counting half."""
    found = pairs(confidence, correct)
    return sum((e > d) + (e == d) / 2 for e, d in found) / len(found) if found else None


def ece(confidence: Sequence[float], correct: Sequence[bool], bins: int) -> float | None:
    """Bin by bin: share times |accuracy - mean confidence|."""
    if not confidence or not all(0 <= c <= 1 for c in confidence):
        return None
    total = 0.0
    for m in range(bins):
        inside = [
            (c, r)
            for c, r in zip(confidence, correct, strict=True)
            if m / bins < c <= (m + 1) / bins or (m == 0 and c == 0)
        ]
        if inside:
            accuracy = sum(r for _, r in inside) / len(inside)
            mean = math.fsum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - mean)
    return total


def around(
    confidence: Sequence[float], correct: Sequence[float], threshold: float
) -> tuple[int, float, float]:
    """How many are deferred at this threshold; accuracy below and above it (NaN of none)."""
    below = [r for c, r in zip(confidence, correct, strict=True) if not c >= threshold]
    above = [r for c, r in zip(confidence, correct, strict=True) if c >= threshold]
    return len(below), mean(below), mean(above)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def area_over_orders(confidence: Sequence[float], correct: Sequence[bool]) -> float:
    """AURC averaged over all orders of the examples that sort them by falling confidence."""
    areas = []
    for order in itertools.permutations(range(len(confidence))):
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order)):
            wrong = [not correct[i] for i in order]
            areas.append(mean([sum(wrong[: k + 1]) / (k + 1) for k in range(len(wrong))]))
    return mean(areas)


def windows(
    confidence: Sequence[float], correct: Sequence[bool], width: int
) -> list[tuple[float, float]]:
    """Mean confidence and correctness of each run of ``width``; equals share their correctness."""
    shared = sorted(
        (c, mean([r for d, r in zip(confidence, correct, strict=True) if d == c]))
        for c in confidence
    )
    runs = [shared[i : i + width] for i in range(len(shared) - width + 1)]
    return [(mean([c for c, _ in run]), mean([r for _, r in run])) for run in runs]
