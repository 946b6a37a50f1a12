"""A comparison of cascades with early-exit networks: ``rivals.csv``, four analyses, the terminal.

CascadeBERT (Li et al. 2021): ``rivals.csv`` is Table 2, ``analyses/emitted.csv`` Fig. 2,
``analyses/inversions.csv`` Fig. 3, ``analyses/added_models.csv`` Eq. 13. Pictures live in
``rivals_plots``.
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
from cascade_exp.report.pages import speed_ups_view as rivals_view
from cascade_exp.report.pages.terminal import paragraph, plain, print_encodable
from cascade_exp.report.results.speed_ups_schema import RivalAnalyses, RivalRow
from cascade_exp.report.results.tables import Cell, csv_text
from cascade_exp.schema.evaluating import EvaluateConfig


def write_rivals(found: RivalAnalyses, folder: Path) -> None:
    """Write the tables below ``folder``: ``repr`` floats, an empty cell where none is defined.

    ``rivals_<split>.csv`` is ``rivals.csv`` told on a further split.
    """
    write_text(folder / "rivals.csv", csv_text(map(row_cells, found.rows)))
    for split, told in found.elsewhere.items():
        write_text(folder / f"rivals_{split}.csv", csv_text(map(row_cells, told)))
    analyses: dict[str, list[dict[str, Cell]]] = {
        "rival_curves": [
            {"rival": curve.rival, "report_speed_up": up, "report_score": score}
            for curve in found.curves
            for up, score in zip(curve.speed_up, curve.score, strict=True)
        ],
        "emitted": [asdict(row) for row in found.emitted],
        "inversions": [asdict(row) for row in found.inversions],
        "added_models": [asdict(row) for row in found.added],
    }
    for name, rows in analyses.items():
        path = folder / "analyses" / f"{name}.csv"
        if rows:
            write_text(path, csv_text(rows))
        else:
            path.unlink(missing_ok=True)


def row_cells(row: RivalRow) -> dict[str, Cell]:
    """``row`` as a flat record."""
    low, high = row.report_interval
    return {
        "rival": row.rival,
        "target": row.target,
        "stages": ">".join(row.stages),
        "threshold": row.threshold,
        "selection_speed_up": row.selection_speed_up,
        "selection_score": row.selection_score,
        "report_speed_up": row.report_speed_up,
        "report_score": row.report_score,
        "report_score_low": low,
        "report_score_high": high,
    }


def print_rivals(
    found: RivalAnalyses, settings: EvaluateConfig, folder: Path, console: Console
) -> None:
    """Print the comparison, one line per rival, and where it lies below ``folder``."""
    print_encodable(console, functools.partial(_print_all, found, settings, folder))


def _print_all(
    found: RivalAnalyses, settings: EvaluateConfig, folder: Path, console: Console
) -> None:
    unit, splits = settings.cost.column, settings.splits
    for split, there in found.tables(splits.report).items():
        console.print()
        title = f"Rivals on {split}: {settings.objective.name} (speed-up)"
        console.print(Text(title, style="bold"))
        console.print(_table(there))
    console.print()
    paragraph(
        console,
        f"Speed-up: {unit} of {found.full} over mean {unit}. In each column the setting whose "
        f"speed-up on {splits.selection} comes closest, and what it does here; *: the best score "
        f"among those within {rivals_view.NEAR:.0%} of their column's speed-up; compare no others.",
        "dim",
    )
    console.print()
    console.print(Text(f"{'rivals':<8}{folder / 'rivals.csv'}"), soft_wrap=True)


def _table(found: RivalAnalyses) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("rival")
    for target in rivals_view.targets(found):
        table.add_column(f"{target:g}×", justify="right", no_wrap=True)
    for line in rivals_view.lines(found):
        cells = []
        for row in line.cells:
            if row is None:
                cells.append(plain(""))
                continue
            text = f"{numbers.score(row.report_score)} ({row.report_speed_up:.2f}×)"
            top = rivals_view.is_best(found, row)
            cells.append(plain(("*" if top else "") + text, "bold" if top else ""))
        table.add_row(Text(numbers.shorten(line.name, 28)), *cells)
    return table
