"""Flat tables as CSV text, one form for all results; reading them is the readers' business."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

Cell = str | int | float | None


def csv_table(columns: Sequence[str], rows: Iterable[Iterable[Cell]]) -> str:
    """``rows`` under ``columns``.

    Floats are ``repr`` of plain ones, truth is ``true`` or ``false``, and what is undefined (None,
    NaN) is nothing.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_text(records: Iterable[Mapping[str, Cell]]) -> str:
    """``records`` under the columns of the first of them, as :func:`csv_table`; at least one."""
    rows = list(records)
    columns = list(rows[0])
    return csv_table(columns, ([row[column] for column in columns] for row in rows))


def _cell(value: Cell) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)
