"""Results on disk: ``summary.json``, ``frontier.csv``, ``reliability.csv``, written and read back.

Each file is written beside its place and moved there whole. All of them are complete on disk before
the first one is moved, and ``summary.json`` goes last. Plots, HTML and what people read in the
terminal live elsewhere.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cascade_exp.atomic import write_files, write_text
from cascade_exp.errors import CascadeError
from cascade_exp.report.results.schema import (
    SCHEMA_VERSION,
    FrontFigures,
    FrontRow,
    Interval,
    Measured,
    OperatingPoint,
    ReliabilityRow,
    Results,
    SingleModel,
)
from cascade_exp.report.results.tables import csv_table

SUMMARY = "summary.json"
FRONTIER = "frontier.csv"
RELIABILITY = "reliability.csv"

FRONTIER_COLUMNS = [field.name for field in dataclasses.fields(FrontRow)]
RELIABILITY_COLUMNS = [field.name for field in dataclasses.fields(ReliabilityRow)]

_Row = TypeVar("_Row")

_FIXED_KEYS = (
    "schema_version",
    "single_models",
    "operating_points",
    "chosen",
    "average_improvement",
    "max_improvement",
    "top_score",
    "baseline_knots",
    "temperatures",
    "learned",
    "environment",
)


def write_results(results: Results, folder: Path) -> None:
    """Write ``results`` into ``folder`` (a job's ``results/``), which is made when missing.

    A value that cannot be written (NaN, an unknown type) raises before anything is touched.
    ``sweep_curve`` is not stored: it is drawn (``plots``), and a recording gives it again.

    Raises:
        ValueError: on a NaN, on a setting named like one of the summary's own keys.
        TypeError: on a setting or environment entry that JSON has no form for.
    """
    write_files(
        folder,
        {
            FRONTIER: csv_table(FRONTIER_COLUMNS, map(_frontier_cells, results.frontier)).encode(),
            RELIABILITY: csv_table(
                RELIABILITY_COLUMNS, map(_reliability_cells, results.reliability)
            ).encode(),
            SUMMARY: json_text(summary(results)).encode(),
        },
    )


def write_json(path: Path, obj: object) -> None:
    """Write ``obj`` as strict JSON to ``path``, atomically; infinities become "inf" and "-inf".

    Raises:
        ValueError: on a NaN. TypeError: on a value that JSON has no form for.
    """
    write_text(path, json_text(obj))


def json_text(obj: object) -> str:
    """``obj`` as strict JSON text, as :func:`write_json` writes it."""
    return json.dumps(_plain(obj, "$"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def summary(results: Results) -> dict[str, object]:
    """What ``summary.json`` holds: the settings at top level, then what was found."""
    clash = sorted(set(results.settings) & set(_FIXED_KEYS))
    if clash:
        raise ValueError(f"settings {clash} are named like the summary's own keys")
    figures = results.figures
    return {
        "schema_version": SCHEMA_VERSION,
        **results.settings,
        "chosen": results.chosen,
        "average_improvement": {
            split: {"factor": f.average_improvement, "accuracy_range": f.accuracy_range}
            for split, f in figures.items()
        },
        "max_improvement": {
            split: {"factor": f.max_improvement, "score": f.max_improvement_score}
            for split, f in figures.items()
        },
        "top_score": {
            split: {"score": f.top_score, "gain": f.top_gain} for split, f in figures.items()
        },
        "operating_points": {
            rule: dataclasses.asdict(point) for rule, point in results.operating_points.items()
        },
        "single_models": [dataclasses.asdict(model) for model in results.single_models],
        "baseline_knots": results.baseline,
        "temperatures": results.temperatures,
        "learned": results.learned,
        "environment": results.environment,
    }


def read_results(folder: Path) -> Results:
    """Read back what :func:`write_results` wrote; ``sweep_curve`` is None, it is not stored.

    Raises:
        CascadeError: a file is missing, truncated, of a newer schema, or lacks a key or column.
    """
    found = _read_json(folder / SUMMARY)
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        raise CascadeError(
            f"{folder / SUMMARY}: schema_version is {version!r}, expected {SCHEMA_VERSION}"
        )
    try:
        return Results(
            settings={key: value for key, value in found.items() if key not in _FIXED_KEYS},
            single_models=[
                SingleModel(
                    entry["name"], _measured(entry["selection"]), _measured(entry["report"])
                )
                for entry in found["single_models"]
            ],
            frontier=_read_csv(folder / FRONTIER, FRONTIER_COLUMNS, _front_row),
            operating_points={
                rule: _operating_point(entry) for rule, entry in found["operating_points"].items()
            },
            chosen=found["chosen"],
            figures={split: _figures(found, split) for split in found["top_score"]},
            baseline={
                split: [(float(score), float(cost)) for score, cost in knots]
                for split, knots in found["baseline_knots"].items()
            },
            reliability=_read_csv(folder / RELIABILITY, RELIABILITY_COLUMNS, _reliability_row),
            temperatures={name: float(t) for name, t in found["temperatures"].items()},
            learned=found["learned"],
            sweep_curve=None,
            environment=found["environment"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CascadeError(
            f"{folder / SUMMARY}: not as evaluate.py writes it "
            f"({type(error).__name__}: {error}); evaluate again"
        ) from error


# ------------------------------------------------------------------------------------- writing


def _plain(value: object, where: str) -> object:
    """``value`` in JSON's own types; ``where`` names it in errors."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError(f"{where} is NaN: what is undefined is written as None")
        return float(value) if math.isfinite(value) else _repr(value)
    raise TypeError(f"{where} is a {type(value).__name__}: JSON has no form for it")


def _repr(value: float | None) -> str:
    """``repr`` of a plain float (of numpy's it would not be a number); empty for None."""
    if value is None:
        return ""
    if math.isnan(value):
        raise ValueError("a NaN among the results: what is undefined is written as None")
    return repr(float(value))


def _frontier_cells(row: FrontRow) -> list[str]:
    return [
        ">".join(row.stages),
        ";".join(map(_repr, row.thresholds)),
        ";".join(map(_repr, row.exit_rates)),
        *map(_repr, (row.cost, row.worst_case_cost, row.score, row.improvement)),
        *map(_repr, (row.report_cost, row.report_score)),
    ]


def _reliability_cells(row: ReliabilityRow) -> list[str]:
    return [row.model, row.split, *map(_repr, (row.score, row.dis, row.ece, row.auroc))]


# ------------------------------------------------------------------------------------- reading


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CascadeError(f"{path}: no such file; expected a finished evaluation there") from None
    except (UnicodeDecodeError, json.JSONDecodeError, OSError) as error:
        raise CascadeError(f"{path}: cannot be read as JSON ({error}); truncated?") from error
    if not isinstance(found, dict):
        raise CascadeError(f"{path}: expected a JSON object, found a {type(found).__name__}")
    return found


def _read_csv(
    path: Path, columns: Sequence[str], parse: Callable[[dict[str, str]], _Row]
) -> list[_Row]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CascadeError(f"{path}: no such file; expected a finished evaluation there") from None
    except (UnicodeDecodeError, OSError) as error:
        raise CascadeError(f"{path}: cannot be read ({error})") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = [column for column in columns if column not in (reader.fieldnames or [])]
    if missing:
        raise CascadeError(f"{path}: column {missing[0]!r} is missing, expected {columns}")
    rows = []
    try:
        for cells in reader:
            if None in cells or None in cells.values():
                raise ValueError(f"expected {len(columns)} cells")
            rows.append(parse(cells))
    except (ValueError, csv.Error) as error:
        raise CascadeError(f"{path}: line {reader.line_num}: {error}") from error
    return rows


def _floats(cell: str) -> list[float]:
    return [float(part) for part in cell.split(";")] if cell else []


def _optional(cell: str) -> float | None:
    return float(cell) if cell else None


def _front_row(cells: dict[str, str]) -> FrontRow:
    row = FrontRow(
        stages=cells["stages"].split(">"),
        thresholds=_floats(cells["thresholds"]),
        exit_rates=_floats(cells["exit_rates"]),
        cost=float(cells["cost"]),
        worst_case_cost=float(cells["worst_case_cost"]),
        score=float(cells["score"]),
        improvement=_optional(cells["improvement"]),
        report_cost=float(cells["report_cost"]),
        report_score=float(cells["report_score"]),
    )
    if len(row.thresholds) != len(row.stages) - 1 or len(row.exit_rates) != len(row.stages):
        raise ValueError(
            f"{len(row.stages)} stages with {len(row.thresholds)} thresholds and "
            f"{len(row.exit_rates)} exit rates"
        )
    return row


def _reliability_row(cells: dict[str, str]) -> ReliabilityRow:
    return ReliabilityRow(
        model=cells["model"],
        split=cells["split"],
        score=float(cells["score"]),
        dis=_optional(cells["dis"]),
        ece=_optional(cells["ece"]),
        auroc=_optional(cells["auroc"]),
    )


def _interval(found: Sequence[float] | None) -> Interval | None:
    return None if found is None else (float(found[0]), float(found[1]))


def _measured(found: dict[str, Any]) -> Measured:
    return Measured(
        cost=float(found["cost"]),
        score=float(found["score"]),
        exit_rates=[float(rate) for rate in found["exit_rates"]],
        improvement=found["improvement"],
        score_interval=_interval(found["score_interval"]),
        cost_interval=_interval(found["cost_interval"]),
    )


def _operating_point(found: dict[str, Any]) -> OperatingPoint:
    selection, report = found["selection"], found["report"]
    return OperatingPoint(
        rule=found["rule"],
        feasible=found["feasible"],
        reason=found["reason"],
        stages=list(found["stages"]),
        thresholds=[float(threshold) for threshold in found["thresholds"]],
        stage_costs=[float(cost) for cost in found["stage_costs"]],
        worst_case_cost=found["worst_case_cost"],
        selection=None if selection is None else _measured(selection),
        report=None if report is None else _measured(report),
    )


def _figures(found: dict[str, Any], split: str) -> FrontFigures:
    average = found["average_improvement"][split]
    maximum, top = found["max_improvement"][split], found["top_score"][split]
    low, high = average["accuracy_range"]
    return FrontFigures(
        average_improvement=average["factor"],
        accuracy_range=(float(low), float(high)),
        max_improvement=maximum["factor"],
        max_improvement_score=maximum["score"],
        top_score=float(top["score"]),
        top_gain=float(top["gain"]),
    )
