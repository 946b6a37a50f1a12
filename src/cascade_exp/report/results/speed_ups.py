"""Methods at equal speed-up: ``speed_ups.csv``, four analyses, the terminal.

CascadeBERT (Li et al. 2021): ``speed_ups.csv`` is Table 2, ``analyses/emitted.csv`` Fig. 2,
``analyses/inversions.csv`` Fig. 3, ``analyses/added_models.csv`` Eq. 13. Pictures live in
``speed_ups_figures``.
"""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cascade_exp.atomic import write_text
from cascade_exp.report.pages import numbers
from cascade_exp.report.pages import speed_ups_view as speed_ups_view
from cascade_exp.report.pages.terminal import paragraph, plain, print_encodable
from cascade_exp.report.results.speed_ups_schema import SpeedUpAnalyses, SpeedUpRow
from cascade_exp.schema.evaluating import CommonConfig
from cascade_exp.tables import Cell, csv_dataclasses, csv_records

SPEED_UPS = "speed_ups.csv"


def write_speed_ups(found: SpeedUpAnalyses, folder: Path) -> None:
    """Write the tables below ``folder``: ``repr`` floats, an empty cell where none is defined.

    ``speed_ups_<split>.csv`` is ``speed_ups.csv`` evaluated on a further split.
    """
    write_text(folder / SPEED_UPS, csv_dataclasses(SpeedUpRow, found.rows))
    for split, rows in found.elsewhere.items():
        write_text(folder / f"speed_ups_{split}.csv", csv_dataclasses(SpeedUpRow, rows))
    analyses: dict[str, list[dict[str, Cell]]] = {
        "speed_up_curves": [
            {"method": curve.method, "report_speed_up": up, "report_score": score}
            for curve in found.curves
            for up, score in zip(curve.speed_up, curve.score, strict=True)
        ],
        "emitted": [asdict(row) for row in found.emitted],
        "inversions": [asdict(row) for row in found.inversions],
        "added_models": [asdict(row) for row in found.added],
    }
    for name, records in analyses.items():
        path = folder / "analyses" / f"{name}.csv"
        if records:
            write_text(path, csv_records(records))
        else:
            path.unlink(missing_ok=True)


def print_speed_ups(
    found: SpeedUpAnalyses, settings: CommonConfig, folder: Path, console: Console
) -> None:
    """Print the comparison, one line per method, and where it lies below ``folder``."""
    print_encodable(console, functools.partial(_print_all, found, settings, folder))


def _print_all(
    found: SpeedUpAnalyses, settings: CommonConfig, folder: Path, console: Console
) -> None:
    unit, splits = settings.cost.column, settings.splits
    for split, there in found.tables(splits.report).items():
        console.print()
        title = f"Methods at equal speed-up on {split}: {settings.objective.name} (speed-up)"
        console.print(Text(title, style="bold"))
        console.print(_table(there))
    console.print()
    paragraph(
        console,
        f"Speed-up: {unit} of {found.full} over mean {unit}. In each column the setting whose "
        f"speed-up on {splits.selection} is closest, and what it does here; –: none within "
        f"{speed_ups_view.NEAR:.0%} of the speed-up; *: the best score among those that are within "
        f"{speed_ups_view.NEAR:.0%} here as well.",
        "dim",
    )
    console.print()
    console.print(Text(f"{'speed-ups':<10}{folder / SPEED_UPS}"), soft_wrap=True)


def _table(found: SpeedUpAnalyses) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("method")
    for target in speed_ups_view.targets(found):
        table.add_column(f"{target:g}×", justify="right", no_wrap=True)
    for line in speed_ups_view.lines(found):
        cells = []
        for row in line.cells:
            if row is None:
                cells.append(plain(""))
                continue
            if not speed_ups_view.is_reached(row):
                cells.append(plain(numbers.NOTHING))
                continue
            text = f"{numbers.score(row.report_score)} ({row.report_speed_up:.2f}×)"
            top = speed_ups_view.is_best(found, row)
            cells.append(plain(("*" if top else "") + text, "bold" if top else ""))
        table.add_row(Text(numbers.shorten(line.name, 28)), *cells)
    return table
