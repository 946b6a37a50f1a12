"""Many jobs compared: one row each, the choices that distinguish them, and the best per budget.

Jobs are folders with ``job.json``, ``config.yaml`` and ``results/``; if any of it is missing, that
is reported as the reason why a job is not compared. The page and the figure live in
``pages.runs_page`` and ``figures.runs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from cascade_exp.atomic import write_text
from cascade_exp.errors import CascadeError
from cascade_exp.report.results.files import read_results
from cascade_exp.report.results.headline import reported_number
from cascade_exp.report.results.schema import FrontRow, OperatingPoint, Results
from cascade_exp.report.results.status import (
    FAILED,
    FINISHED,
    PRUNED,
    REFUSED,
    JobStatus,
    check_same_job,
    read_status,
)
from cascade_exp.report.sentences import stated
from cascade_exp.tables import Cell, csv_records

if TYPE_CHECKING:
    from cascade_exp.report.comparison.pairs import Pair

# Where jobs are logged and stored, and what starts them, are no choices that explain a difference.
_NO_CHOICE = ("logger", "paths", "compare")
BUDGETS = 10


@dataclass(frozen=True)
class ComparedRun:
    """One job of a comparison.

    Attributes:
        name: the folder below the one that all jobs share.
        choices: its whole configuration, flat: ``{"metric": "entropy", "seed": "0"}``.
        state: ``finished``, ``running``, ``pruned``, ``refused`` or ``failed``.
        reason: why there is nothing to compare.
        seconds: from its latest start to its end.
        results: None exactly where there is a reason.
        optimized: the number that ``optimize`` names, of a job that has it.
    """

    name: str
    folder: Path | None
    choices: dict[str, str]
    state: str
    reason: str | None
    seconds: float | None
    results: Results | None
    optimized: float | None = None


@dataclass(frozen=True)
class Budget:
    """The best setting of all Pareto fronts within the mean cost ``cost``, picked on selection."""

    cost: float
    run: ComparedRun
    row: FrontRow


def read_run(folder: Path, name: str) -> ComparedRun:
    """The job in ``folder``."""
    status = read_status(folder)
    results, reason = None, None
    try:
        found = read_results(folder / "results")
        check_same_job(folder, found.environment.get("job"), folder / "results")
        results = found
    except CascadeError as error:
        reason = str(error)
    choices = _choices(folder / "config.yaml", results)
    if results is None and status is not None:
        if status.state == FINISHED and choices.get("evaluate") == "False":
            reason = "not evaluated (evaluate=false)"
        elif status.state != FINISHED:
            known = status.reason if status.state in (FAILED, PRUNED, REFUSED) else None
            reason = known or "not finished"
    return ComparedRun(
        name=name,
        folder=folder,
        choices=choices,
        state=status.state if status is not None else FINISHED if results else FAILED,
        reason=reason,
        seconds=None if status is None else status.seconds,
        results=results,
        optimized=_optimized(folder, choices.get("optimize"), status),
    )


def refused_run(overrides: Sequence[str], reason: str | None) -> ComparedRun:
    """A job that never had a folder: it could not be composed."""
    pairs = (override.partition("=") for override in overrides)
    choices = {key.lstrip("+~"): value for key, _, value in pairs}
    return ComparedRun(" ".join(overrides), None, choices, FAILED, reason, None, None)


def varied(runs: Iterable[ComparedRun]) -> list[str]:
    """The choices in which the ``runs`` differ, in the order of the configuration.

    Of those that always go together (``metric`` and ``metric.k``) only one is kept: the one that
    stands highest in the configuration, of equals the earlier.
    """
    compared = list(runs)
    keys = list(dict.fromkeys(key for run in compared for key in run.choices))
    kept: dict[str, list[str | None]] = {}
    for key in sorted(keys, key=lambda key: key.count(".")):
        # of a job that was never composed only its overrides are known
        known = [run for run in compared if key in run.choices or run.results is not None]
        values = [run.choices.get(key) for run in compared]
        distinct = {run.choices.get(key) for run in known}
        if len(distinct) > 1 and not any(_determines(values, other) for other in kept.values()):
            kept[key] = values
    return [key for key in keys if key in kept]


def label(run: ComparedRun, keys: Sequence[str]) -> str:
    """What distinguishes ``run`` from the others: ``entropy, mean_softmax``, or its folder."""
    return ", ".join(run.choices[key] for key in keys if key in run.choices) or run.name


def comparable(runs: Iterable[ComparedRun]) -> dict[tuple[str, str], list[ComparedRun]]:
    """The runs with results, by (objective, unit of cost): only within these can Pareto fronts
    be overlaid."""
    groups: dict[tuple[str, str], list[ComparedRun]] = {}
    for run in runs:
        if run.results is not None:
            settings = run.results.settings
            cost = settings["cost"]
            assert isinstance(cost, Mapping)
            groups.setdefault((str(settings["objective"]), str(cost["unit"])), []).append(run)
    return groups


def best_per_budget(runs: Sequence[ComparedRun]) -> list[Budget]:
    """Per budget, evenly spread from the cheapest to the most expensive single model, the run and
    setting with the best selection score; a budget that changes nothing is left out.

    Args:
        runs: comparable ones, with results.
    """
    costs = [m.selection.cost for run in runs if run.results for m in run.results.single_models]
    if not costs:
        return []
    low, high = min(costs), max(costs)
    found: list[Budget] = []
    for i in range(BUDGETS):
        budget = low + (high - low) * i / (BUDGETS - 1)
        within = [
            (row.score, -row.cost, -place, run, row)
            for place, run in enumerate(runs)
            if run.results is not None
            for row in run.results.frontier
            if row.cost <= budget
        ]
        if not within:
            continue
        *_, run, row = max(within, key=lambda entry: entry[:3])
        if not found or row is not found[-1].row:
            found.append(Budget(budget, run, row))
    return found


def by_improvement(run: ComparedRun) -> float:
    """What ranks runs: the average improvement on the selection split, lowest where undefined.

    Report numbers are shown and choose nothing: the best of many jobs on report is biased.
    """
    found = run.results.figures["selection"].average_improvement if run.results else None
    return float("-inf") if found is None else found


def first_point(run: ComparedRun) -> OperatingPoint | None:
    """What the first selection rule of ``run`` chose."""
    if run.results is None:
        return None
    return next(iter(run.results.operating_points.values()), None)


def cells(run: ComparedRun, keys: Sequence[str], pair: Pair | None = None) -> dict[str, Cell]:
    """``run`` as a flat record; of the operating points, the first rule's.

    ``pair`` gives the columns ``difference_*``, empty where the examples differ.
    """
    record: dict[str, Cell] = {"job": run.name, "state": run.state, "reason": run.reason}
    record |= {key: run.choices.get(key) for key in keys}
    record["seconds"] = run.seconds
    record["optimized"] = run.optimized
    for role in ("selection", "report"):
        figures = run.results.figures[role] if run.results else None
        for name in ("average_improvement", "max_improvement", "top_score"):
            record[f"{role}_{name}"] = getattr(figures, name) if figures else None
    point = first_point(run)
    record |= {"rule": point.rule if point else None}
    record |= {"stages": ">".join(point.stages) if point else None}
    for role in ("selection", "report"):
        measured = getattr(point, role) if point else None
        for name in ("score", "cost", "improvement"):
            record[f"{role}_{name}"] = getattr(measured, name) if measured else None
    return record | _paired_cells(pair)


def _paired_cells(pair: Pair | None) -> dict[str, Cell]:
    """The paired difference from the reference job, and why there is none."""
    record: dict[str, Cell] = {"difference_from": pair.reference if pair else None}
    found = pair.difference if pair else None
    for name in ("score", "cost"):
        low, high = getattr(found, f"{name}_interval") if found else (None, None)
        record[f"{name}_difference"] = getattr(found, name) if found else None
        record |= {f"{name}_difference_low": low, f"{name}_difference_high": high}
    record["no_difference"] = pair.reason if pair else None
    return record


def write_csv(
    runs: Sequence[ComparedRun], path: Path, pairs: Mapping[str, Pair] | None = None
) -> None:
    """Write one row per run; numbers are ``repr`` floats, what is not there is empty."""
    keys, paired = varied(runs), pairs or {}
    write_text(path, csv_records(cells(run, keys, paired.get(run.name)) for run in runs))


@stated
def cautions(runs: Sequence[ComparedRun]) -> list[str]:
    """What limits a comparison of the overlaid Pareto fronts."""
    compared = [run.results.settings for run in runs if run.results is not None]
    found = []
    for key in ("splits", "sizes", "baseline"):
        values = sorted({str(settings.get(key)) for settings in compared})
        if len(values) > 1:
            found.append(f"These jobs differ in {key}: {'; '.join(values)}.")
    if len(comparable(runs)) > 1:
        found.append("Scores or costs of different kinds are drawn and ranked apart.")
    return found


def _choices(path: Path, results: Results | None) -> dict[str, str]:
    try:
        loaded = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, OmegaConfBaseException, ValueError, YAMLError, RecursionError):
        loaded = dict(results.settings) if results is not None else {}
    if not isinstance(loaded, dict):
        return {}
    kept = {str(k): v for k, v in loaded.items() if k not in _NO_CHOICE}
    return {key.removesuffix(".name"): value for key, value in _flat(kept)}


def _optimized(folder: Path, name: str | None, status: JobStatus | None) -> float | None:
    if name is None or status is None or status.state != FINISHED:
        return None
    try:
        return reported_number(folder, name)
    except CascadeError:
        return None


def _flat(mapping: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", str(value)


def _determines(values: Sequence[str | None], other: Sequence[str | None]) -> bool:
    """Whether each value of ``other`` goes with one value of ``values`` alone."""
    return len(set(zip(values, other, strict=True))) == len(set(other))
