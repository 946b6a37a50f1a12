"""Confidence metrics one row at a time, as their definitions read, with exactly rounded sums."""

from __future__ import annotations

import math

import numpy as np

LARGEST = float(np.finfo(np.float64).max)


def prediction(row: np.ndarray) -> int:
    best = 0
    for j in range(len(row)):
        if row[j] > row[best]:
            best = j
    return best


def label_rank(row: np.ndarray, label: int) -> int:
    order = sorted(range(len(row)), key=lambda j: (-float(row[j]), j))
    return order.index(label)


def _clip(x: float) -> float:
    return min(max(x, -LARGEST), LARGEST)


def _divide(x: float, temperature: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float64(x) / np.float64(temperature))


def scores(row: np.ndarray, temperature: float = 1.0, k: int = 1) -> dict[str, float]:
    """Every metric of one row of logits, by name."""
    logits = sorted((float(z) for z in row), reverse=True)
    y = [_divide(z, temperature) for z in logits]
    with np.errstate(over="ignore", invalid="ignore"):
        x = [float(np.float64(scaled) - y[0]) for scaled in y]
        if not all(map(math.isfinite, x)):  # beyond float64: scaled after the difference instead
            x = [_divide(float(np.float64(z) - logits[0]), temperature) for z in logits]
    e = [math.exp(d) for d in x]
    total = math.fsum(e)
    p = [value / total for value in e]
    in_order = list(zip(p, x, strict=True))
    log_total = math.log1p(math.fsum(e[1:]))
    return {
        "max_softmax": p[0],
        "entropy": math.fsum(p_j * (x_j - log_total) for p_j, x_j in in_order if p_j > 0),
        "softmax_margin": p[0] - p[1] if len(p) > 1 else 1.0,
        "logits_margin": _clip(-x[1]) if len(x) > 1 else LARGEST,
        "topk_sum": math.fsum(p[:k]) if k < len(p) else 1.0,
        "energy": _clip(_clip(_divide(logits[0], temperature)) + log_total),
    }
