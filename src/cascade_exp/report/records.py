"""Flat records as CSV text, one form for all comparisons; reading them is the readers' business."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

Cell = str | int | float | None


def csv_text(records: Iterable[Mapping[str, Cell]]) -> str:
    """``records`` under the columns of the first of them; at least one.

    Floats are written as ``repr`` of plain ones, truth as ``true`` and ``false``, None as nothing.
    """
    rows = list(records)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Cell) -> str | int:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(value))
    return "" if value is None else value
