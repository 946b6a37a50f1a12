"""Results on disk: ``summary.json``, ``frontier.csv``, ``reliability.csv``, written and read back.

Each file is written beside its place and moved there whole. All of them are complete on disk before
the first one is moved, and ``summary.json`` goes last. What is read is checked field by field
against the dataclasses of ``schema`` (pydantic); ``docs/schemas/`` holds the same as JSON schemas.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from operator import attrgetter, ne
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cascade_exp.atomic import write_files, write_text
from cascade_exp.errors import CascadeError
from cascade_exp.report.results.schema import (
    SCHEMA_VERSION,
    FrontFigures,
    FrontRow,
    ReliabilityRow,
    Results,
    Setting,
    Summary,
)
from cascade_exp.tables import columns_of, csv_dataclasses, read_dataclasses

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SUMMARY = "summary.json"
FRONTIER = "frontier.csv"
RELIABILITY = "reliability.csv"

T = TypeVar("T")

_FOUND_KEYS = (
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
    "warnings",
)
"""Keys of ``summary.json`` that hold what was found; all others are settings."""


def write_results(results: Results, folder: Path) -> None:
    """Write ``results`` into ``folder`` (a job's ``results/``), which is made when missing.

    A value that cannot be written (NaN, an unknown type) raises before anything is touched.
    ``sweep_curve`` is not stored: it is drawn, and an evaluation of the recordings gives it again.

    Raises:
        ValueError: on a NaN, on a setting named like one of the summary's own keys.
        TypeError: on a setting or environment entry that JSON has no form for.
    """
    write_files(
        folder,
        {
            FRONTIER: _table(FrontRow, results.frontier),
            RELIABILITY: _table(ReliabilityRow, results.reliability),
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
    """The contents of ``summary.json``: the settings at top level, then what was found."""
    clash = sorted(set(results.settings) & set(_FOUND_KEYS))
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
            split: {
                "factor": f.max_improvement,
                "score": f.max_improvement_score,
                "setting": _asdict(f.max_improvement_setting),
            }
            for split, f in figures.items()
        },
        "top_score": {
            split: {"score": f.top_score, "gain": f.top_gain, "setting": _asdict(f.top_setting)}
            for split, f in figures.items()
        },
        "operating_points": {
            rule: dataclasses.asdict(point) for rule, point in results.operating_points.items()
        },
        "single_models": [dataclasses.asdict(model) for model in results.single_models],
        "baseline_knots": results.baseline,
        "temperatures": results.temperatures,
        "learned": results.learned,
        "environment": results.environment,
        "warnings": results.warnings,
    }


def read_results(folder: Path) -> Results:
    """Read back what :func:`write_results` wrote; ``sweep_curve`` is None, it is not stored.

    Raises:
        CascadeError: a file is missing, truncated, of a newer schema, lacks a key or column, or
            holds a value of another type; the message names the file and the key, or the line.
    """
    found = _checked(folder / SUMMARY)
    return Results(
        settings={key: value for key, value in found.items() if key not in _FOUND_KEYS},
        single_models=found["single_models"],
        frontier=_read_table(folder / FRONTIER, FrontRow),
        operating_points=found["operating_points"],
        chosen=found["chosen"],
        figures={split: _figures(found, split) for split in found["top_score"]},
        baseline=found["baseline_knots"],
        reliability=_read_table(folder / RELIABILITY, ReliabilityRow),
        temperatures=found["temperatures"],
        learned=found["learned"],
        sweep_curve=None,
        environment=found["environment"],
        warnings=found.get("warnings", []),
    )


# ------------------------------------------------------------------------------------- writing


def _asdict(setting: Setting | None) -> dict[str, object] | None:
    return None if setting is None else dataclasses.asdict(setting)


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
        return float(value) if math.isfinite(value) else repr(value)
    raise TypeError(f"{where} is a {type(value).__name__}: JSON has no form for it")


def _table(kind: type, rows: Sequence[Any]) -> bytes:
    for column in columns_of(kind):
        values = [*map(attrgetter(column), rows)]
        if any(map(ne, values, values)) or any(_holds_nan(v) for v in values if type(v) is list):
            raise ValueError(f"{kind.__name__}.{column} is NaN: what is undefined is None")
    return csv_dataclasses(kind, rows).encode()


def _holds_nan(values: list[object]) -> bool:
    return any(map(ne, values, values))


# ------------------------------------------------------------------------------------- reading


@cache
def summary_adapter() -> TypeAdapter[Summary]:
    """What checks ``summary.json``, and gives its JSON schema; built once."""
    from pydantic import TypeAdapter

    return TypeAdapter(Summary)


def read_object(path: Path, version: int) -> dict[str, Any]:
    """The JSON object of the file ``path``, whose ``schema_version`` must be ``version``.

    Raises:
        CascadeError: if it is missing, truncated, no object, or of another version.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CascadeError(f"{path}: no such file; expected a finished evaluation there") from None
    except (ValueError, OSError, RecursionError) as error:
        raise CascadeError(f"{path}: cannot be read as JSON ({error}); truncated?") from error
    if not isinstance(found, dict):
        raise CascadeError(f"{path}: expected a JSON object, found a {type(found).__name__}")
    there = found.get("schema_version")
    if there != version:
        raise CascadeError(f"{path}: schema_version is {there!r}, expected {version}")
    return found


def check_object(found: dict[str, Any], adapter: TypeAdapter[T], path: Path) -> T:
    """``found``, read from ``path``, checked field by field and as the adapter's type.

    Raises:
        CascadeError: naming ``path`` and the key that is missing or holds a value of another type.
    """
    from pydantic import ValidationError

    try:
        return adapter.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CascadeError(
            f"{path}: {where}: {first['msg']}, found {_shown(first)}; evaluate again"
        ) from None


def _checked(path: Path) -> Summary:
    found = read_object(path, SCHEMA_VERSION)
    checked = check_object(found, summary_adapter(), path)
    # settings as they are in the file, the order of nested keys included
    kept = {key: checked[key] if key in _FOUND_KEYS else found[key] for key in found}  # type: ignore[literal-required]
    return cast("Summary", kept)


def _shown(error: Any) -> str:
    if error["type"] == "missing":
        return "nothing"
    shown = repr(error["input"])
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _read_table(path: Path, kind: type[Any]) -> list[Any]:
    if not path.is_file():
        raise CascadeError(f"{path}: no such file; expected a finished evaluation there")
    return read_dataclasses(path, kind)


def _figures(found: Summary, split: str) -> FrontFigures:
    try:
        average = found["average_improvement"][split]
        maximum, top = found["max_improvement"][split], found["top_score"][split]
    except KeyError:
        raise CascadeError(
            f"{SUMMARY}: average_improvement, max_improvement and top_score are not all given for "
            f"{split}; evaluate again"
        ) from None
    return FrontFigures(
        average_improvement=average["factor"],
        accuracy_range=average["accuracy_range"],
        max_improvement=maximum["factor"],
        max_improvement_score=maximum["score"],
        top_score=top["score"],
        top_gain=top["gain"],
        max_improvement_setting=maximum.get("setting"),
        top_setting=top.get("setting"),
    )
