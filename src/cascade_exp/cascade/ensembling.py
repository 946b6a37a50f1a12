"""How the answers of the models that have run become one answer; which metric goes with which way.

Metrics of a combined answer are those of ``confidence``; caching the stages lives in ``pool``.
"""

from __future__ import annotations

from cascade_exp.cascade.confidence import METRICS
from cascade_exp.errors import choice

RECORDED = "recorded"
ENSEMBLES = ("none",)


def check_combination(metric: str, ensemble: str) -> None:
    """Raise :class:`CascadeError` unless ``metric`` and ``ensemble`` are known and go together."""
    choice(metric, [*METRICS, RECORDED], "metric")
    choice(ensemble, ENSEMBLES, "ensemble")
