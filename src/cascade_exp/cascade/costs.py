"""What an example pays when it leaves at a stage, what a tier costs, and what a GPU's time costs.

Costs themselves come from ``models.csv``; links between tiers are ``links``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Accounting = Literal["cumulative", "exit_tier"]
Parallel = Literal["sum", "max"]


def exit_costs(stage_costs: NDArray[np.float64], accounting: Accounting) -> NDArray[np.float64]:
    """Cost float64 [n] of an example that leaves at stage i, given that of running each stage.

    ``cumulative``: every stage that ran is paid (Lebovitz et al. 2023, §3). ``exit_tier``: only the
    tier that answered (how CoE's Table 2 counts).

    >>> exit_costs(np.array([1.0, 4.0, 9.0]), "cumulative").tolist()
    [1.0, 5.0, 14.0]
    """
    costs = np.asarray(stage_costs, dtype=np.float64)
    return np.cumsum(costs) if accounting == "cumulative" else costs.copy()


def tier_cost(model_costs: NDArray[np.float64], parallel: Parallel) -> float:
    """Cost of a tier whose models cost float64 [n]: all of them one after the other (``sum``), or,
    run at the same time on machines of their own, the largest (``max``: Kolawole et al. 2024, §4).

    >>> tier_cost(np.array([1.0, 4.0]), "sum"), tier_cost(np.array([1.0, 4.0]), "max")
    (5.0, 4.0)
    """
    costs = np.asarray(model_costs, dtype=np.float64)
    return float(costs.sum() if parallel == "sum" else costs.max())


SECONDS_PER_HOUR = 3600


def dollars_per_example(rate: float, seconds: float) -> float:
    """Dollars of one example that takes ``seconds`` on a machine of ``rate`` dollars an hour.

    >>> dollars_per_example(rate=3.6, seconds=0.5)
    0.0005
    """
    return rate * seconds / SECONDS_PER_HOUR
