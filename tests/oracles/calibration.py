"""Temperature by trying every one of a fine grid."""

from __future__ import annotations

import numpy as np
import scipy.special


def mean_nll(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    log_p = scipy.special.log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-np.mean(log_p[np.arange(len(labels)), labels]))


def best_of_grid(logits: np.ndarray, labels: np.ndarray, steps: int = 400) -> tuple[float, float]:
    """(temperature, its mean NLL) of the best of ``steps`` temperatures, evenly spaced in log T."""
    grid = np.exp(np.linspace(np.log(0.01), np.log(100.0), steps))
    values = [mean_nll(logits, labels, t) for t in grid]
    best = int(np.argmin(values))
    return float(grid[best]), values[best]
