"""Cascading methods compared: one row each, and ``methods.csv``.

After Lebovitz et al. 2023, §4.1 "Cascading method comparison" and Fig. 3. A method is a metric with
an ensemble and a calibration, evaluated as a job evaluates its own; its :class:`Results` are all
that is needed. Showing the rows lives in ``methods_table``, ``methods_figure`` and ``board``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cascade_exp.atomic import write_text
from cascade_exp.cascade.frontier import Baseline, average_improvement
from cascade_exp.report.results.schema import OperatingPoint, Results
from cascade_exp.tables import Cell, csv_records


@dataclass(frozen=True)
class OnSplit:
    """A method's Pareto front on one split, against that split's own single models.

    ``average_improvement`` is the mean factor over accuracies from ``accuracy_low`` (the cheapest
    single model's) to ``accuracy_high`` (the best one's), ``upper_improvement`` over those above
    ``upper_from``, the middle; both None where the range is empty. The rest as in ``FrontFigures``.
    """

    average_improvement: float | None
    accuracy_low: float
    accuracy_high: float
    upper_improvement: float | None
    upper_from: float
    max_improvement: float | None
    max_improvement_score: float | None
    top_score: float
    top_gain: float


@dataclass(frozen=True)
class MethodRow:
    """One method of a comparison.

    Attributes:
        exact: whether its Pareto front was searched exhaustively.
        selection: the front on the split where its thresholds were searched (optimistic).
        report: the settings of that front on the report split.
        point: what the first selection rule chose (by default ``match_accuracy``); None without
            rules.
    """

    method: str
    metric: str
    ensemble: str
    calibration: str
    exact: bool
    selection: OnSplit
    report: OnSplit
    point: OperatingPoint | None


def method_rows(methods: Mapping[str, Results]) -> list[MethodRow]:
    """One row for each of ``methods`` (by name), in the order given."""
    return [
        MethodRow(
            method=name,
            metric=str(results.settings["metric"]),
            ensemble=str(results.settings["ensemble"]),
            calibration=str(results.settings["calibration"]),
            exact=bool(results.settings["exact"]),
            selection=_on_split(results, "selection"),
            report=_on_split(results, "report"),
            point=next(iter(results.operating_points.values()), None),
        )
        for name, results in methods.items()
    ]


def cells(row: MethodRow) -> dict[str, Cell]:
    """``row`` as a flat record; columns say in front which split a number is from.

    Those of the operating point begin with its rule.
    """
    record: dict[str, Cell] = {
        "method": row.method,
        "metric": row.metric,
        "ensemble": row.ensemble,
        "calibration": row.calibration,
        "exact": row.exact,
    }
    for role, figures in (("selection", row.selection), ("report", row.report)):
        record |= {f"{role}_{key}": value for key, value in asdict(figures).items()}
    return record if row.point is None else record | _point_cells(row.point)


def write_methods(methods: Mapping[str, Results], folder: Path) -> Path:
    """Write ``methods.csv`` into ``folder`` (a job's ``results/``); return its path.

    Numbers are ``repr`` floats, one that is not defined is an empty cell.
    """
    write_text(folder / "methods.csv", csv_records(cells(row) for row in method_rows(methods)))
    return folder / "methods.csv"


def front_points(results: Results, role: str) -> tuple[list[float], list[float]]:
    """Scores [P] and costs [P] of the Pareto front's settings on the split that plays ``role``."""
    rows = results.frontier
    if role == "selection":
        return [row.score for row in rows], [row.cost for row in rows]
    return [row.report_score for row in rows], [row.report_cost for row in rows]


def _on_split(results: Results, role: str) -> OnSplit:
    figures = results.figures[role]
    low, high = figures.accuracy_range
    middle = (low + high) / 2
    scores, costs = front_points(results, role)
    baseline = Baseline(tuple(results.baseline[role]), kind="hull")  # the knots are of either kind
    return OnSplit(
        average_improvement=figures.average_improvement,
        accuracy_low=low,
        accuracy_high=high,
        upper_improvement=average_improvement(scores, costs, baseline, low=middle),
        upper_from=middle,
        max_improvement=figures.max_improvement,
        max_improvement_score=figures.max_improvement_score,
        top_score=figures.top_score,
        top_gain=figures.top_gain,
    )


def _point_cells(point: OperatingPoint) -> dict[str, Cell]:
    record: dict[str, Cell] = {
        "feasible": point.feasible,
        "stages": ">".join(point.stages),
        "thresholds": ";".join(repr(threshold) for threshold in point.thresholds),
        "worst_case_cost": point.worst_case_cost,
    }
    for role, measured in (("selection", point.selection), ("report", point.report)):
        for key in ("score", "cost", "improvement"):
            record[f"{role}_{key}"] = None if measured is None else getattr(measured, key)
    for key in ("score", "cost"):
        pair = None if point.report is None else getattr(point.report, f"{key}_interval")
        record[f"report_{key}_low"], record[f"report_{key}_high"] = pair or (None, None)
    return {f"{point.rule}_{key}": value for key, value in record.items()}
