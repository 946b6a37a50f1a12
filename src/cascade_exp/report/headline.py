"""The numbers that jobs are compared by, under names that stay: ``<rule>/…``, ``front/<split>/…``.

What W&B's board, its sweeps and Optuna optimise and sort by; ``docs/wandb.md`` lists them.
"""

from __future__ import annotations

from pathlib import Path

from cascade_exp.errors import CascadeError, choice
from cascade_exp.report.files import read_results
from cascade_exp.report.schema import Results


def headline(results: Results) -> dict[str, float | str | None]:
    """The numbers that runs are compared by, under names that stay: ``<rule>/…``, ``front/…``."""
    numbers: dict[str, float | str | None] = {}
    for rule, point in results.operating_points.items():
        numbers[f"{rule}/feasible"] = float(point.feasible)
        if point.report is None or point.selection is None:
            continue
        numbers[f"{rule}/stages"] = ">".join(point.stages)
        numbers[f"{rule}/score"] = point.report.score
        numbers[f"{rule}/cost"] = point.report.cost
        numbers[f"{rule}/improvement"] = point.report.improvement
        numbers[f"{rule}/selection_score"] = point.selection.score
        numbers[f"{rule}/selection_cost"] = point.selection.cost
    for split, figures in results.figures.items():
        numbers[f"front/{split}/average_improvement"] = figures.average_improvement
        numbers[f"front/{split}/max_improvement"] = figures.max_improvement
        numbers[f"front/{split}/top_score"] = figures.top_score
    return {name: value for name, value in numbers.items() if value is not None}


def told_number(folder: Path, name: str) -> float:
    """The number ``name`` of the results in ``folder``, for a sweeper to optimise.

    Raises:
        CascadeError: if there is none of that name, or it is on the report split, which no choice
            may see.
    """
    found = headline(read_results(folder))
    numbers = {key: value for key, value in found.items() if not isinstance(value, str)}
    value = numbers[choice(name, [key for key in numbers if "selection" in key], "optimize")]
    if value is None:
        raise CascadeError(f"optimize={name}: not defined for these results")
    return float(value)
