"""Logits to prediction and four confidence metrics: the row pass against scipy and torch.

    python benchmarks/scores.py [examples=50000] [classes=1000]

Every line is the best of several rounds, taken in turns in this one process, on seeded synthetic
float32 logits; compilation is not counted. Ratios are what to read; seconds are this machine's.
Below, what a stage of a mean ensemble and a fitted temperature cost.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np
import scipy.special
import torch

from cascade_exp.cascade.calibration import fit_temperature
from cascade_exp.cascade.confidence import METRICS, make_metric, score_rows
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.logits import LogitsPool

METRIC_NAMES = ("max_softmax", "entropy", "softmax_margin", "logits_margin")
ROUNDS = 5
MODELS = 4


def ours(logits: np.ndarray) -> list[np.ndarray]:
    scored = score_rows(logits, [METRICS[name] for name in METRIC_NAMES])
    return [scored.prediction, *scored.columns]


def with_scipy(logits: np.ndarray) -> list[np.ndarray]:
    p = scipy.special.softmax(logits, axis=1)
    two = np.partition(p, -2, axis=1)[:, -2:]
    two_logits = np.partition(logits, -2, axis=1)[:, -2:]
    return [
        logits.argmax(axis=1),
        two[:, 1],
        scipy.special.xlogy(p, p).sum(axis=1),
        two[:, 1] - two[:, 0],
        two_logits[:, 1] - two_logits[:, 0],
    ]


def with_torch(logits: np.ndarray) -> list[np.ndarray]:
    z = torch.from_numpy(logits)
    p = torch.softmax(z, dim=1)
    two, two_logits = p.topk(2, dim=1).values, z.topk(2, dim=1)
    return [
        two_logits.indices[:, 0].numpy(),
        two[:, 0].numpy(),
        torch.xlogy(p, p).sum(dim=1).numpy(),
        (two[:, 0] - two[:, 1]).numpy(),
        (two_logits.values[:, 0] - two_logits.values[:, 1]).numpy(),
    ]


def best_times(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Best seconds of each, all of them taking turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    return {name: min(seconds) for name, seconds in times.items()}


def synthetic_pool(size: int, classes: int, ensemble: str) -> LogitsPool:
    """Models that see one signal through noise of their own, the costlier the less of it."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, classes, size)
    signal = rng.standard_normal((size, classes), dtype=np.float32)
    signal[np.arange(size), labels] += 5
    logits = {}
    for m in range(MODELS):
        noise = rng.standard_normal((size, classes), dtype=np.float32)
        logits[f"model{m}"] = signal + noise * np.float32(1.2 - 0.2 * m)
    return LogitsPool.build(
        logits,
        {name: 4.0**m for m, name in enumerate(logits)},
        labels,
        metric=make_metric("max_softmax"),
        objective=make_objective("accuracy"),
        ensemble=ensemble,
    )


def show(title: str, times: dict[str, float], reference: str) -> None:
    print(f"\n{title}")
    width = max(len(name) for name in times)
    for name, seconds in times.items():
        print(f"  {name:{width}}  {seconds:9.4f} s  {seconds / times[reference]:8.2f} x")


def compare_metrics(size: int, classes: int) -> None:
    logits = np.random.default_rng(0).standard_normal((size, classes), dtype=np.float32) * 3
    wide = logits.astype(np.float64)
    for mine, theirs in zip(ours(logits), with_scipy(wide), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    copy = np.empty_like(logits)
    name = "this project (float64 sums)"
    candidates: dict[str, Callable[[], object]] = {
        name: lambda: ours(logits),
        "scipy in float64": lambda: with_scipy(wide),
        "scipy in float32": lambda: with_scipy(logits),
        "scipy softmax alone, float32": lambda: scipy.special.softmax(logits, axis=1),
        "torch in float64": lambda: with_torch(wide),
        "torch in float32": lambda: with_torch(logits),
        "torch softmax alone, float32": lambda: torch.softmax(torch.from_numpy(logits), dim=1),
        "reading the logits once (np.sum)": lambda: logits.sum(),
        "copying the logits once": lambda: np.copyto(copy, logits),
    }
    show("prediction and four metrics", best_times(candidates, ROUNDS), name)


def ensembles(size: int, classes: int) -> None:
    for ensemble in ("mean_logits", "mean_softmax"):
        warm = synthetic_pool(20, classes, ensemble)
        warm.stage((0, 1, 2))
        warm.final_statistics((0, 1, 3))
        pool = synthetic_pool(size, classes, ensemble)
        pool.prepare()
        predictions = np.stack([pool.stage((m,)).prediction for m in range(3)])
        agreed = float((predictions == predictions[0]).all(axis=0).mean())
        times = best_times(
            {
                "last stage of models 0, 1, 2 (statistics alone)": lambda p=pool: (
                    p.final_statistics((0, 1, 2))
                ),
                "last stage of models 0, 1, 2, 3": lambda p=pool: p.final_statistics((0, 1, 2, 3)),
            },
            ROUNDS,
        )
        times |= best_times(
            {
                "stage of models 0, 1": lambda p=pool: p.stage((0, 1)),
                "stage of models 0, 1, 2": lambda p=pool: p.stage((0, 1, 2)),
            },
            1,
        )
        show(
            f"ensemble={ensemble}; 0, 1 and 2 answer {agreed:.0%} of the examples alike",
            times,
            "stage of models 0, 1",
        )


def calibration(size: int, classes: int) -> None:
    pool = synthetic_pool(size, classes, "none")
    pool.prepare()
    logits = np.asarray(pool.outputs[0])
    fit_temperature(logits[:100], pool.labels[:100])
    times = best_times(
        {
            "one pass of scores": lambda: ours(logits),
            "a fitted temperature": lambda: fit_temperature(logits, pool.labels),
        },
        1,
    )
    show("calibration", times, "one pass of scores")


def main() -> None:
    settings = {"examples": 50_000, "classes": 1_000}
    for argument in sys.argv[1:]:
        key, _, value = argument.partition("=")
        if key not in settings or not value.isdigit():
            sys.exit(f"{argument}: expected examples=<number> or classes=<number>")
        settings[key] = int(value)
    size, classes = settings["examples"], settings["classes"]
    print(
        f"{size:,} x {classes:,} float32 logits; {len(os.sched_getaffinity(0))} cores at hand, "
        f"torch on {torch.get_num_threads()} threads, scipy on one; "
        f"load before {os.getloadavg()[0]:.1f}"
    )
    compare_metrics(size, classes)
    ensembles(size, classes)
    calibration(size, classes)


if __name__ == "__main__":
    main()
