"""The numbers that jobs are compared by, under names that stay: ``<rule>/…``, ``front/<split>/…``.

What W&B's board, its sweeps and Optuna optimise and sort by; ``docs/wandb.md`` lists them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cascade_exp.atomic import write_text
from cascade_exp.errors import CascadeError, choice, one_line
from cascade_exp.report.results.files import read_results
from cascade_exp.report.results.schema import Results

VALIDATION = "validation.json"


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


def keep_validation(job: Path, best: Mapping[str, float]) -> None:
    """Add ``best``, the best validation numbers of a model's epochs, to ``<job>/validation.json``.

    They have the names that W&B's summary has: ``<model>/val/accuracy.max``.
    """
    write_text(job / VALIDATION, json.dumps({**_validation(job), **best}, indent=2) + "\n")


def reported_number(job: Path, name: str) -> float:
    """The number ``name`` of the job in the folder ``job``, for a sweeper to optimise.

    Raises:
        CascadeError: if there is none of that name, or it is on the report split, which no choice
            may see.
    """
    known: dict[str, float | None] = {**_validation(job)}
    if name not in known:
        found = headline(read_results(job / "results"))
        known |= {n: v for n, v in found.items() if "selection" in n and not isinstance(v, str)}
    value = known[choice(name, known, "optimize")]
    if value is None:
        raise CascadeError(f"optimize={name}: not defined for these results")
    return float(value)


def _validation(job: Path) -> dict[str, float]:
    try:
        text = (job / VALIDATION).read_bytes().decode("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise CascadeError(f"{job / VALIDATION}: {one_line(error)}; expected UTF-8") from None
    try:
        return {str(name): float(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CascadeError(
            f"{job / VALIDATION}: {one_line(error)}; expected numbers by name"
        ) from None
