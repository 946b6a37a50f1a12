"""Ensembles of the models that have run, one example at a time, as their definitions read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.oracles import softmax_scores


def mean_logits(rows: Sequence[np.ndarray], temperatures: Sequence[float]) -> np.ndarray:
    """The mean of temperature-scaled logits, float64 [K]."""
    scaled = [row.astype(np.float64) / t for row, t in zip(rows, temperatures, strict=True)]
    return sum(scaled[1:], scaled[0]) / len(rows)


def mean_softmax(rows: Sequence[np.ndarray], temperatures: Sequence[float]) -> np.ndarray:
    """The mean of the softmaxes of temperature-scaled logits, float64 [K]."""
    total = np.zeros(len(rows[0]))
    for row, temperature in zip(rows, temperatures, strict=True):
        z = row.astype(np.float64)
        e = np.array([math.exp(d) for d in (z - z.max()) / temperature])
        total = total + e / math.fsum(e)
    return total / len(rows)


def distribution_scores(q: np.ndarray, k: int = 1) -> dict[str, float]:
    """Every metric of a distribution, by name."""
    ranked = sorted((float(p) for p in q), reverse=True)
    return {
        "max_softmax": ranked[0],
        "entropy": math.fsum(p * math.log(p) for p in ranked if p > 0),
        "softmax_margin": ranked[0] - ranked[1] if len(ranked) > 1 else 1.0,
        "topk_sum": math.fsum(ranked[:k]) if k < len(ranked) else 1.0,
    }


def comparison(
    rows: Sequence[np.ndarray], temperatures: Sequence[float], metric: str, k: int = 1
) -> tuple[int, float, int]:
    """(prediction, confidence, index of the winner), the later model where two are equal."""
    confidence = [
        softmax_scores.scores(row, t, k)[metric] for row, t in zip(rows, temperatures, strict=True)
    ]
    winner = max(range(len(rows)), key=lambda m: (confidence[m], m))
    return softmax_scores.prediction(rows[winner]), confidence[winner], winner
