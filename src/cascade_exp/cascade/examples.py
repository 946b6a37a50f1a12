"""A small pool for the examples in docstrings."""

from __future__ import annotations

import numpy as np

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.objective import Accuracy
from cascade_exp.cascade.pools.logits import LogitsPool


def three_models(metric: str = "logits_margin", ensemble: str = "none") -> LogitsPool:
    """Three models on four examples of two classes: right on 2, 3 and 4 of them, at costs 1, 2, 5.

    >>> pool = three_models()
    >>> pool.names, pool.cost.tolist(), pool.labels.tolist()
    (('small', 'medium', 'large'), [1.0, 2.0, 5.0], [0, 0, 1, 1])
    """
    logits = {
        "small": [[3.0, 0.0], [0.0, 0.5], [0.0, 3.0], [1.0, 0.0]],
        "medium": [[3.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.5, 0.0]],
        "large": [[4.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 3.0]],
    }
    return LogitsPool.build(
        {name: np.array(rows) for name, rows in logits.items()},
        {"small": 1.0, "medium": 2.0, "large": 5.0},
        np.array([0, 0, 1, 1]),
        metric=make_metric(metric),
        objective=Accuracy(),
        ensemble=ensemble,
    )
