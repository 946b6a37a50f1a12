"""Jobs that differ only in the seed, aggregated: mean and spread over seeds.

``models_over_seeds.csv`` holds every model's score, DIS and ECE (CascadeBERT, Tables 4 and 5 where
the jobs differ in ``regularizer``), ``speed_ups_over_seeds.csv`` every method at every wanted
speed-up (Tables 2 and 3). Both are of the report split. One job's own numbers live in its
``results/``.
"""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cascade_exp.atomic import write_text
from cascade_exp.report.comparison.runs import ComparedRun, varied
from cascade_exp.report.pages import numbers
from cascade_exp.report.pages.speed_ups_view import is_near
from cascade_exp.report.pages.terminal import paragraph, plain, print_encodable
from cascade_exp.report.results.speed_ups import SPEED_UPS
from cascade_exp.report.results.speed_ups_schema import SpeedUpRow
from cascade_exp.tables import Cell, csv_records, read_dataclasses

# What a job trains and compares is named in its rows.
_NAMED_IN_ROWS = ("models.members.", "speed_ups.", "seed")

# How the spread is named wherever a table is shown.
SPREAD = "the sample standard deviation over jobs that differ only in the seed"

# By quantity, the column of ``speed_ups.csv`` that holds it.
_SPEED_UP_VALUES = {
    "score": "report_score",
    "speed_up": "report_speed_up",
    "selection_speed_up": "selection_speed_up",
}

Values = dict[str, list[float]]


@dataclass(frozen=True)
class OverSeeds:
    """One line of a table: a model, or a method at a wanted speed-up, over the seeds of a variant.

    Attributes:
        variant: the choices besides the seed that distinguish these jobs from the others of
            the comparison: ``regularizer=dar``.
        key: what the row is about: ``{"method": "cascade_2_6", "target": "2.0"}``.
        values: per quantity one value per job, in the order of the jobs; without those that are
            not defined there.
    """

    variant: str
    key: dict[str, str]
    values: Values

    @property
    def jobs(self) -> int:
        """How many jobs it is about."""
        return max(map(len, self.values.values()))

    def cells(self) -> dict[str, Cell]:
        """The row as a flat record: of every quantity the mean and the sample deviation."""
        record: dict[str, Cell] = {"variant": self.variant, **self.key, "jobs": self.jobs}
        for name, values in self.values.items():
            record[f"{name}_mean"] = mean(values)
            record[f"{name}_std"] = deviation(values)
        return record


@dataclass(frozen=True)
class SeedTable:
    """A table of rows over seeds, and how it is shown.

    Attributes:
        name: of its file. columns, lines: words, the variant first; numbers from the third on.
    """

    name: str
    rows: list[OverSeeds]
    title: str
    columns: list[str]
    lines: list[list[str]]


def mean(values: Sequence[float]) -> float | None:
    """The mean, None of no values."""
    return statistics.fmean(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation (over n - 1), None of fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def by_variant(runs: Iterable[ComparedRun]) -> dict[str, list[ComparedRun]]:
    """The runs with results, by the choices besides the seed in which they differ."""
    known = [
        replace(run, choices={k: v for k, v in run.choices.items() if not _named_in_rows(k)})
        for run in runs
        if run.results is not None
    ]
    keys = varied(known)
    groups: dict[str, list[ComparedRun]] = {}
    for run in known:
        variant = ", ".join(f"{key}={run.choices[key]}" for key in keys if key in run.choices)
        groups.setdefault(variant or "all jobs", []).append(run)
    return groups


def models_over_seeds(runs: Iterable[ComparedRun]) -> list[OverSeeds]:
    """Score, DIS and ECE of every model on report, per variant."""
    rows = []
    for variant, members in by_variant(runs).items():
        found: dict[str, Values] = {}
        for run in members:
            assert run.results is not None
            report = str(run.results.settings["splits"]["report"])  # type: ignore[index]
            for row in run.results.reliability:
                if row.split != report:
                    continue
                values = found.setdefault(row.model, {"score": [], "dis": [], "ece": []})
                for name, value in (("score", row.score), ("dis", row.dis), ("ece", row.ece)):
                    if value is not None:
                        values[name].append(value)
        rows += [OverSeeds(variant, {"model": model}, values) for model, values in found.items()]
    return rows


def speed_ups_over_seeds(runs: Iterable[ComparedRun]) -> list[OverSeeds]:
    """Score and speed-ups of every method at every wanted speed-up, per variant.

    Raises:
        CascadeError: if a ``speed_ups.csv`` lacks a column or holds a value of another type.
    """
    rows = []
    for variant, members in by_variant(runs).items():
        found: dict[tuple[str, str], Values] = {}
        for run in members:
            for row in _read_speed_ups(run):
                values = found.setdefault(
                    (row.method, repr(row.target)), {name: [] for name in _SPEED_UP_VALUES}
                )
                for name, column in _SPEED_UP_VALUES.items():
                    values[name].append(getattr(row, column))
        rows += [
            OverSeeds(variant, {"method": method, "target": target}, values)
            for (method, target), values in found.items()
        ]
    return rows


def seed_tables(runs: Sequence[ComparedRun]) -> list[SeedTable]:
    """Both tables, each only if some row of it is about more than one job."""
    made = []
    for name, rows, laid_out in (
        ("models_over_seeds", models_over_seeds(runs), _models),
        ("speed_ups_over_seeds", speed_ups_over_seeds(runs), _speed_ups),
    ):
        if any(row.jobs > 1 for row in rows):
            made.append(SeedTable(name, rows, *laid_out(rows)))
    return made


def write_seed_tables(tables: Iterable[SeedTable], folder: Path, console: Console) -> None:
    """Write each table as ``<name>.csv`` below ``folder`` and print it."""
    for table in tables:
        write_text(folder / f"{table.name}.csv", csv_records(row.cells() for row in table.rows))
        print_encodable(console, functools.partial(_print, table))


def mean_and_spread(values: Sequence[float]) -> str:
    """``86.1 ± 0.4 %``; without a spread where there is one value, ``–`` where there is none."""
    if not values:
        return "–"
    spread = deviation(values)
    average = f"{100 * statistics.fmean(values):.1f}"
    return f"{average} ± {100 * spread:.1f} %" if spread is not None else f"{average} %"


def _models(rows: Sequence[OverSeeds]) -> tuple[str, list[str], list[list[str]]]:
    lines = [
        [
            row.variant,
            row.key["model"],
            str(row.jobs),
            *(mean_and_spread(row.values[name]) for name in ("score", "dis", "ece")),
        ]
        for row in rows
    ]
    return (
        "Models over seeds, on report",
        ["variant", "model", "jobs", "score", "DIS", "ECE"],
        lines,
    )


def _speed_ups(rows: Sequence[OverSeeds]) -> tuple[str, list[str], list[list[str]]]:
    targets = list(dict.fromkeys(row.key["target"] for row in rows))
    by_method: dict[tuple[str, str], dict[str, OverSeeds]] = {}
    for row in rows:
        by_method.setdefault((row.variant, row.key["method"]), {})[row.key["target"]] = row
    lines = [
        [
            variant,
            method,
            str(max(row.jobs for row in at.values())),
            *(_at_speed_up(at[target]) if target in at else "" for target in targets),
        ]
        for (variant, method), at in by_method.items()
    ]
    columns = ["variant", "method", "jobs", *(f"{float(target):g}×" for target in targets)]
    return "Methods at equal speed-up over seeds, on report: score (speed-up)", columns, lines


def _at_speed_up(row: OverSeeds) -> str:
    speed_up = statistics.fmean(row.values["speed_up"])
    if not is_near(statistics.fmean(row.values["selection_speed_up"]), float(row.key["target"])):
        return numbers.NOTHING
    return f"{mean_and_spread(row.values['score'])}\n({speed_up:.2f}×)"


def _print(seed_table: SeedTable, console: Console) -> None:
    console.print()
    console.print(Text(seed_table.title, style="bold"))
    columns = list(zip(*([seed_table.columns, *seed_table.lines]), strict=True))[1:]
    widths = [max(len(part) for cell in cells for part in cell.split("\n")) for cells in columns]
    for variant, lines in itertools.groupby(seed_table.lines, key=lambda line: line[0]):
        console.print()
        paragraph(console, variant)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for place, (column, width) in enumerate(zip(seed_table.columns[1:], widths, strict=True)):
            side: Literal["left", "right"] = "right" if place else "left"
            table.add_column(column, justify=side, no_wrap=True, min_width=width)
        for _, *cells in lines:
            table.add_row(*map(plain, cells))
        console.print(table)
    paragraph(console, f"±: {SPREAD}.", "dim")
    console.print()


def _named_in_rows(key: str) -> bool:
    return any(key.startswith(prefix) for prefix in _NAMED_IN_ROWS)


def _read_speed_ups(run: ComparedRun) -> list[SpeedUpRow]:
    path = (run.folder or Path()) / "results" / SPEED_UPS
    if run.folder is None or not path.is_file():
        return []
    return read_dataclasses(path, SpeedUpRow)
