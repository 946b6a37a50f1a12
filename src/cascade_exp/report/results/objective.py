"""The objective that results were scored by, out of their settings."""

from __future__ import annotations

from cascade_exp.cascade.objective import Objective, make_objective
from cascade_exp.report.results.schema import Results


def objective_of(results: Results) -> Objective:
    """The objective with its own settings, which ``summary.json`` keeps as ``objective_<key>``."""
    details = {
        key.removeprefix("objective_"): value
        for key, value in results.settings.items()
        if key.startswith("objective_")
    }
    return make_objective(str(results.settings["objective"]), **details)
