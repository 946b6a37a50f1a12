"""Whether ``guaranteed`` holds with ``metric=learned``: a simulation with the project's own parts.

Theory: the regressions, the candidates and their order are functions of the searching half alone.
Given that half, each candidate is one fixed cascade (threshold and deployed regression), and the
testing half is an independent sample that is scored by the same regression as new data will be. So
the p-values are valid, although the candidates' thresholds were found on cross-fitted scores: these
only make a candidate better or worse. It would not hold if the deployed regression were fitted anew
on both halves.
"""

import numpy as np
import pytest
from scipy.stats import binom

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.frontier import Baseline, FrontPoint
from cascade_exp.cascade.guaranteed import guaranteed, loss_differences, split_halves
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.cascade.pools.learned import Deferral, LearnedPool
from cascade_exp.cascade.pools.logits import Answers, LogitsPool
from cascade_exp.cascade.search.engine import search
from cascade_exp.cascade.selection import Goals, select

ACCURACY = make_objective("accuracy")


def population(size: int) -> dict[str, np.ndarray]:
    """A cheap model that is overconfident in class 0, and a better one, on the same examples."""
    rng = np.random.default_rng(0)
    labels, ease = rng.integers(0, 3, size), rng.normal(size=size)
    first = np.where(ease + rng.normal(size=size) > -0.7, labels, rng.integers(0, 3, size))
    second = np.where(ease + rng.normal(size=size) > -1.6, labels, (labels + 1) % 3)
    confidence = ease + 0.5 * rng.normal(size=size) + 1.5 * (first == 0)
    return {"labels": labels, "first": first, "confidence": confidence, "second": second}


def pool_of(world: dict[str, np.ndarray], rows: np.ndarray) -> LogitsPool:
    outputs = {
        "first": Answers(world["first"][rows], world["confidence"][rows]),
        "second": Answers(world["second"][rows], np.zeros(len(rows))),
    }
    costs = {"first": 1.0, "second": 10.0}
    labels, metric = world["labels"][rows], make_metric("recorded")
    return LogitsPool.build(outputs, costs, labels, metric=metric, objective=ACCURACY)


@pytest.mark.slow
def test_the_guarantee_holds_for_the_regression_of_the_searching_half():
    world = population(20_000)
    everything = pool_of(world, np.arange(20_000))
    epsilon, delta, repetitions, size = 0.04, 0.1, 60, 600
    rng = np.random.default_rng(1)
    losses: dict[str, list[float]] = {"tested": [], "untested": []}
    for repetition in range(repetitions):
        drawn = rng.integers(0, 20_000, size)
        halves = split_halves(size, repetition)
        deferral = Deferral(
            pool_of(world, drawn), lambda stage: stage.statistics[:, 0], halves[0], 3, repetition
        )
        fold = deferral.fold_of_rows()
        searched, tested = (
            LearnedPool(pool_of(world, drawn[half]), deferral, fold[half]) for half in halves
        )
        deployed = LearnedPool(everything, deferral, np.full(everything.size, -1))
        front = search(searched, ACCURACY, max_stages=2).front
        best = float(searched.stage((1,)).statistics.mean())
        goals = Goals(Baseline.of([best], [10.0]), "second", best, tolerance=epsilon)

        def differences(point: FrontPoint, pool: LearnedPool) -> np.ndarray:
            reference = table_of(pool, (1,)).run([])
            return loss_differences(reference, table_of(pool, point.members).run(point.thresholds))

        chosen = {
            "tested": guaranteed(front, lambda p: differences(p, tested), epsilon, delta),  # noqa: B023
            "untested": select("match_accuracy", front, goals),
        }
        for way, point in chosen.items():
            if isinstance(point, FrontPoint):
                losses[way].append(float(differences(point, deployed).mean()))
    broken = {way: int(np.sum(np.array(lost) > epsilon)) for way, lost in losses.items()}
    allowed = binom.ppf(1 - 1e-3, repetitions, delta)
    assert broken["tested"] <= allowed, broken
    assert broken["untested"] > allowed, broken  # else the guarantee would hold by accident
    assert len(losses["tested"]) > repetitions / 2
