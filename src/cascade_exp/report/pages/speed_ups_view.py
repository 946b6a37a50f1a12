"""What the terminal and the page both show of rivals: one row per rival, a column per speed-up."""

from __future__ import annotations

from dataclasses import dataclass

from cascade_exp.report.results.speed_ups_schema import AddedRow, RivalAnalyses, RivalRow


@dataclass(frozen=True)
class RivalLine:
    """One rival: its name, and per wanted speed-up what it does; None where it is not asked."""

    name: str
    cells: list[RivalRow | None]


def targets(found: RivalAnalyses) -> list[float]:
    """The wanted speed-ups, the full model's 1 first."""
    return list(dict.fromkeys(row.target for row in found.rows))


def lines(found: RivalAnalyses) -> list[RivalLine]:
    """The rivals in their order, the full model first."""
    cells = {(row.rival, row.target): row for row in found.rows}
    return [
        RivalLine(
            found.full if rival == "full" else rival,
            [cells.get((rival, target)) for target in targets(found)],
        )
        for rival in dict.fromkeys(row.rival for row in found.rows)
    ]


NEAR = 0.1
"""How far, of the wanted speed-up, one may be off for its score to be held against others there."""


def is_best(found: RivalAnalyses, row: RivalRow) -> bool:
    """Whether no rival scores higher at this wanted speed-up; the full model has no rivals.

    Those that missed the speed-up on the report split by more than ``NEAR`` do not count.
    """
    if row.target <= 1 or not _is_near(row):
        return False
    column = [other for other in found.rows if other.target == row.target and _is_near(other)]
    return row.report_score == max(other.report_score for other in column)


def _is_near(row: RivalRow) -> bool:
    return abs(row.report_speed_up / row.target - 1) <= NEAR


def added(found: RivalAnalyses) -> list[tuple[str, str, str, list[AddedRow]]]:
    """By longer cascade: it, the one without the added model, that model, a row per speed-up."""
    groups: dict[tuple[str, str, str], list[AddedRow]] = {}
    for row in found.added:
        groups.setdefault((row.rival, row.without, row.added), []).append(row)
    return [(*names, rows) for names, rows in groups.items()]
