"""The small CSV tables of a recordings folder: rows of named fields, and costs among them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from cascade_exp.errors import CascadeError

COST_COLUMNS = ("macs", "params", "layers", "seconds", "dollars")


def read_table(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (``<path>: line <number>``, fields by column) for every row of ``path``.

    Raises:
        CascadeError: if it is no CSV table in UTF-8, lacks a ``needed`` column or has one twice, or
            a row has another number of fields than the first line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CascadeError(f"{path}: not a CSV table in UTF-8 ({error})") from None
    header = lines[0] if lines else []
    for column in needed:
        if column not in header:
            found = ",".join(header) if lines else "an empty file"
            raise CascadeError(f"{path}: no column '{column}' in its first line (found {found})")
    if len(set(header)) != len(header):
        raise CascadeError(f"{path}: the same column twice in {','.join(header)}")
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        where = f"{path}: line {number}"
        if len(line) != len(header):
            raise CascadeError(f"{where} has {len(line)} fields, expected {len(header)}")
        yield where, dict(zip(header, line, strict=True))


def read_costs(fields: dict[str, str], where: str) -> dict[str, float]:
    """The numbers among ``fields``; empty ones are left out, and text where it is no cost's.

    Raises:
        CascadeError: if a field of :data:`COST_COLUMNS` is no number.
    """
    costs = {}
    for column, text in fields.items():
        if not text.strip():
            continue
        try:
            costs[column] = float(text)
        except ValueError:
            if column in COST_COLUMNS:
                raise CascadeError(f"{where} has {column}={text!r}; expected a number") from None
    return costs
