"""What an example pays when it leaves at a stage; costs themselves come from ``models.csv``."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Accounting = Literal["cumulative", "exit_tier"]


def exit_costs(stage_costs: NDArray[np.float64], accounting: Accounting) -> NDArray[np.float64]:
    """Cost float64 [n] of an example that leaves at stage i, given that of running each stage.

    ``cumulative``: every stage that ran is paid (Lebovitz et al. 2023, §3). ``exit_tier``: only the
    tier that answered (how CoE's Table 2 counts).
    """
    costs = np.asarray(stage_costs, dtype=np.float64)
    return np.cumsum(costs) if accounting == "cumulative" else costs.copy()
