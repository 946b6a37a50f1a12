"""What the terminal and the page both show of methods at equal speed-up: a row each."""

from __future__ import annotations

from dataclasses import dataclass

from cascade_exp.report.results.speed_ups_schema import AddedRow, SpeedUpAnalyses, SpeedUpRow
from cascade_exp.schema.evaluating import FULL


@dataclass(frozen=True)
class SpeedUpLine:
    """One method: its name, and per wanted speed-up what it does; None where none is wanted."""

    name: str
    cells: list[SpeedUpRow | None]


def targets(found: SpeedUpAnalyses) -> list[float]:
    """The wanted speed-ups, the full model's 1 first."""
    return list(dict.fromkeys(row.target for row in found.rows))


def lines(found: SpeedUpAnalyses) -> list[SpeedUpLine]:
    """The methods in their order, the full model first."""
    cells = {(row.method, row.target): row for row in found.rows}
    return [
        SpeedUpLine(
            found.full if method == FULL else method,
            [cells.get((method, target)) for target in targets(found)],
        )
        for method in dict.fromkeys(row.method for row in found.rows)
    ]


NEAR = 0.1
"""Share of the wanted speed-up by which one may miss it and still be compared with others there."""


def is_near(speed_up: float, target: float) -> bool:
    """Whether ``speed_up`` may be compared with others at ``target``."""
    return abs(speed_up / target - 1) <= NEAR


def is_reached(row: SpeedUpRow) -> bool:
    """Whether a setting of the method has about this speed-up, by the selection split."""
    return is_near(row.selection_speed_up, row.target)


def is_best(found: SpeedUpAnalyses, row: SpeedUpRow) -> bool:
    """Whether no method scores higher at this wanted speed-up; never of the full model.

    Those that miss the speed-up on either split by more than ``NEAR`` do not count.
    """
    if row.target <= 1 or not _is_comparable(row):
        return False
    column = [other for other in found.rows if other.target == row.target and _is_comparable(other)]
    return row.report_score == max(other.report_score for other in column)


def _is_comparable(row: SpeedUpRow) -> bool:
    return is_reached(row) and is_near(row.report_speed_up, row.target)


def added(found: SpeedUpAnalyses) -> list[tuple[str, str, str, list[AddedRow]]]:
    """By longer cascade: it, the one without the added model, that model, a row per speed-up."""
    groups: dict[tuple[str, str, str], list[AddedRow]] = {}
    for row in found.added:
        groups.setdefault((row.method, row.without, row.added), []).append(row)
    return [(*names, rows) for names, rows in groups.items()]
