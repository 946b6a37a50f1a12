"""What an evaluation logs to W&B: headline numbers as summary, tables, and plots as images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_exp.report.comparison.methods import cells, method_rows
from cascade_exp.report.comparison.runs import ComparedRun, varied
from cascade_exp.report.comparison.runs import cells as run_cells
from cascade_exp.report.results.analyses_schema import Analyses, CascadeAnalyses
from cascade_exp.report.results.headline import headline
from cascade_exp.report.results.schema import FrontRow, Measured, OperatingPoint, Results
from cascade_exp.report.results.speed_ups_schema import SpeedUpAnalyses, SpeedUpRow
from cascade_exp.report.thinning import shown_rows

if TYPE_CHECKING:
    from wandb import Run


def log_results(
    run: Run, results: Results, plots: Iterable[Path], analyses: Analyses | None = None
) -> None:
    """Log ``results``, their charts and the pictures ``plots`` to an open W&B run."""
    import wandb

    from cascade_exp.report.tracking.charts import charts

    run.summary.update(headline(results))
    logged: dict[str, Any] = {
        "front": _table([_front_cells(row) for row in shown_rows(results)]),
        "single_models": _table(
            [
                {"name": model.name, **_measured("selection", model.selection)}
                | _measured("report", model.report)
                for model in results.single_models
            ]
        ),
        "operating_points": _table([_point_cells(p) for p in results.operating_points.values()]),
        "exits": _table(_exit_cells(results)),
        "reliability": _table([asdict(row) for row in results.reliability]),
        **charts(results, analyses),
    }
    if analyses is not None and analyses.cascade is not None:
        logged["exits_by_class"] = _table(_class_cells(analyses.cascade))
    logged |= {f"plots/{path.stem}": wandb.Image(str(path)) for path in plots}
    run.log({name: value for name, value in logged.items() if value is not None})


def log_methods(run: Run, methods: Mapping[str, Results]) -> None:
    """Log the table that compares ``methods`` (by name), as a section of their own."""
    run.log({"methods/comparison": _table([cells(row) for row in method_rows(methods)])})


def log_speed_ups(run: Run, found: SpeedUpAnalyses) -> None:
    """Log the tables that compare methods at equal speed-up, as a section of their own."""
    run.log({"speed_ups/comparison": _table([_speed_up_cells(row) for row in found.rows])})
    for split, rows in found.elsewhere.items():
        run.log({f"speed_ups/comparison_{split}": _table([_speed_up_cells(row) for row in rows])})


def log_picture(run: Run, picture: Path) -> None:
    """Log a picture under its own name."""
    import wandb

    run.log({picture.stem: wandb.Image(str(picture))})


def log_runs(run: Run, runs: Sequence[ComparedRun], plot: Path | None) -> None:
    """Log a comparison of jobs: its table and its picture."""
    import wandb

    keys = varied(runs)
    run.log({"runs/comparison": _table([run_cells(one, keys) for one in runs])})
    if plot is not None:
        run.log({"runs/fronts": wandb.Image(str(plot))})


def _table(rows: Sequence[dict[str, Any]]) -> Any:
    import wandb

    if not rows:
        return None
    columns = list(rows[0])
    return wandb.Table(columns=[*columns], data=[[row[c] for c in columns] for row in rows])


def _measured(split: str, measured: Measured | None) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for field in fields(Measured):
        value = None if measured is None else getattr(measured, field.name)
        if field.name == "exit_rates":
            value = None if value is None else _joined(value)
        elif field.name.endswith("_interval"):
            if split == "selection":
                continue
            cells[f"{split}_{field.name}_low"] = value[0] if value else None
            cells[f"{split}_{field.name}_high"] = value[1] if value else None
            continue
        cells[f"{split}_{field.name}"] = value
    return cells


def _exit_cells(results: Results) -> list[dict[str, Any]]:
    """One row per stage of every operating point: the shares of examples that leave there."""
    return [
        {
            "rule": point.rule,
            "stages": ">".join(point.stages),
            "stage": stage,
            "place": place + 1,
            "selection": point.selection.exit_rates[place],
            "report": point.report.exit_rates[place],
        }
        for point in results.operating_points.values()
        if point.selection is not None and point.report is not None
        for place, stage in enumerate(point.stages)
    ]


def _class_cells(cascade: CascadeAnalyses) -> list[dict[str, Any]]:
    return [
        {"class": row.name or str(row.label), "examples": row.examples, "stage": stage, "share": s}
        for row in cascade.exits_by_class
        for stage, s in zip(cascade.stages, row.exit_rates, strict=True)
    ]


def _point_cells(point: OperatingPoint) -> dict[str, Any]:
    return {
        "rule": point.rule,
        "feasible": point.feasible,
        "reason": point.reason,
        "stages": ">".join(point.stages),
        "thresholds": _joined(point.thresholds),
        "worst_case_cost": point.worst_case_cost,
        **_measured("selection", point.selection),
        **_measured("report", point.report),
    }


def _front_cells(row: FrontRow) -> dict[str, Any]:
    cells = asdict(row)
    cells["stages"] = ">".join(row.stages)
    cells["thresholds"] = _joined(row.thresholds)
    cells["exit_rates"] = _joined(row.exit_rates)
    return cells


def _speed_up_cells(row: SpeedUpRow) -> dict[str, Any]:
    return asdict(row) | {"stages": ">".join(row.stages)}


def _joined(values: Iterable[float]) -> str:
    return ";".join(repr(float(value)) for value in values)
