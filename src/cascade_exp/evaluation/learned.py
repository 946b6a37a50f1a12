"""``metric=learned`` in a job: what it is learned from, and the confidence under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cascade_exp.cascade.objective import Objective
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.pools.learned import LEARNED, Deferral, LearnedPool
from cascade_exp.cascade.stages import Ints, Stage
from cascade_exp.schema.evaluating import CommonConfig, LearnedMetric, Named


def unlearned(settings: CommonConfig) -> CommonConfig:
    """The settings with the original confidence that ``metric=learned`` is learned from."""
    metric = settings.metric
    if not isinstance(metric, LearnedMetric):
        return settings
    return replace(settings, metric=Named(metric.base))


def learned_from(settings: CommonConfig) -> LearnedMetric:
    """``metric=learned`` of the confidence that ``settings`` have, or have under it."""
    metric = settings.metric
    return metric if isinstance(metric, LearnedMetric) else LearnedMetric(LEARNED, base=metric.name)


def deferral_models(pool: StagePool, members: Sequence[int]) -> dict[str, dict[str, object]]:
    """By stage, the deferral model that a deployment scores it with.

    Empty unless the stages' confidence was learned.
    """
    if not isinstance(pool, LearnedPool):
        return {}
    found: dict[str, dict[str, object]] = {}
    for i in range(len(members)):
        whole = pool.model(tuple(members[: i + 1]))
        found[pool.names[members[i]]] = {
            "center": whole.center,
            "scale": whole.scale,
            "slope": whole.slope,
            "offset": whole.offset,
            "classes": whole.classes.tolist(),
            "offsets": whole.offsets.tolist(),
        }
    return found


def deferral_of(
    settings: CommonConfig, pool: StagePool, objective: Objective, labels: Ints, rows: Ints | None
) -> Deferral | None:
    """What learns the confidence of ``pool``'s stages; None unless ``metric=learned``.

    Args:
        pool: the selection split's stages, and ``labels`` int64 [N] of its examples.
        rows: the examples that may be learned from; None: all.
    """
    metric = settings.metric
    if not isinstance(metric, LearnedMetric):
        return None

    def right(stage: Stage) -> Ints:
        if objective.additive:
            return np.asarray(stage.statistics[:, 0] > 0, dtype=np.int64)
        return np.asarray(stage.prediction == labels, dtype=np.int64)

    kept = np.arange(pool.size) if rows is None else rows
    return Deferral(pool, right, kept, metric.folds, settings.seed)
