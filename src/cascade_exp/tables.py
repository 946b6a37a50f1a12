"""The one reader and writer of CSV tables; like ``errors``, every part may import it.

Tables are UTF-8 with a header line and ``\\n`` line ends, and are written atomically. Floats are
``repr`` of plain Python floats, truth values ``true`` or ``false``, and an undefined value (None,
NaN) is an empty cell. In a cell that holds a list, names are joined by ``>`` and numbers by ``;``.

Data sets of users (``data/``) are read with pandas instead: they are large and of any dialect.
"""

from __future__ import annotations

import csv
import io
import math
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from operator import attrgetter, ne
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from cascade_exp.atomic import write_text
from cascade_exp.errors import CascadeError

Cell = str | int | float | None

_Row = TypeVar("_Row")


def csv_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """``rows`` under the header ``columns``, as CSV text.

    >>> csv_table(["name", "costs", "exact"], [["a", [1.0, 0.5], True], ["b", [], None]])
    'name,costs,exact\\na,1.0;0.5,true\\nb,,\\n'
    """
    return _written(columns, list(zip(*rows, strict=True)))


def csv_records(records: Iterable[Mapping[str, Cell]]) -> str:
    """``records`` under the columns of the first one, as :func:`csv_table`; at least one."""
    rows = list(records)
    columns = list(rows[0])
    return csv_table(columns, ([row[column] for column in columns] for row in rows))


def csv_dataclasses(kind: type, rows: Iterable[object]) -> str:
    """``rows``, dataclasses of one ``kind``, as :func:`csv_table`: a column per field."""
    columns = columns_of(kind)
    every = list(rows)
    return _written(columns, [[*map(attrgetter(column), every)] for column in columns])


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write ``rows`` under ``columns`` to ``path``, atomically."""
    write_text(path, csv_table(columns, rows))


def write_dataclasses(path: Path, kind: type, rows: Sequence[object]) -> None:
    """Write dataclasses of one ``kind`` to ``path``; without rows, remove an earlier file."""
    if rows:
        write_text(path, csv_dataclasses(kind, rows))
    else:
        path.unlink(missing_ok=True)


def columns_of(kind: type) -> list[str]:
    """The columns of a table of dataclasses of ``kind``: its fields, in order."""
    return [field.name for field in fields(kind)]


def read_table(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (``<path>: line <number>``, cells by column) for every row of ``path``.

    Raises:
        CascadeError: if it cannot be read as a CSV table in UTF-8, lacks a ``needed`` column or has
            one twice, or a row has another number of fields than the first line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise CascadeError(f"{path}: cannot be read as a CSV table in UTF-8 ({error})") from None
    yield from parse_table(text, str(path), needed)


def parse_table(
    text: str, source: str, needed: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """As :func:`read_table`, of text that came from ``source``."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for line in reader:
            if header is None:
                header = line
                _check_header(header, source, needed)
            elif line:
                where = f"{source}: line {reader.line_num}"
                if len(line) != len(header):
                    raise CascadeError(f"{where} has {len(line)} fields, expected {len(header)}")
                yield where, dict(zip(header, line, strict=True))
    except csv.Error as error:
        raise CascadeError(
            f"{source}: line {reader.line_num}: not a CSV table in UTF-8 ({error})"
        ) from None
    if header is None:
        _check_header([], source, needed)


def read_dataclasses(path: Path, kind: type[_Row]) -> list[_Row]:
    """The rows of ``path`` as dataclasses of ``kind``, as :func:`write_dataclasses` wrote them.

    Raises:
        CascadeError: naming the line and column where a cell is not of its field's type; also where
            a ``ValueError`` out of ``kind`` itself refuses the row.
    """
    from pydantic import TypeAdapter, ValidationError

    check, columns = TypeAdapter(kind), columns_of(kind)
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    found = []
    for where, cells in read_table(path, columns):
        try:
            found.append(check.validate_python({c: readers[c](cells[c]) for c in columns}))
        except ValidationError as error:
            first = error.errors()[0]
            column = f"{first['loc'][0]}={cells[str(first['loc'][0])]!r}: " if first["loc"] else ""
            raise CascadeError(f"{where}: {column}{first['msg']}") from None
    return found


def optional_float(cell: str) -> float | None:
    """The number in a cell, None where it is empty.

    Raises:
        ValueError: if the text is no number.
    """
    return float(cell) if cell else None


def _check_header(header: Sequence[str], source: str, needed: Sequence[str]) -> None:
    for column in needed:
        if column not in header:
            found = ",".join(header) if header else "an empty file"
            raise CascadeError(f"{source}: no column '{column}' in its first line (found {found})")
    if len(set(header)) != len(header):
        raise CascadeError(f"{source}: the same column twice in {','.join(header)}")


def _written(columns: Sequence[str], cells: Iterable[Sequence[object]]) -> str:
    """``cells`` by column under the header ``columns``, as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*map(_column_texts, cells), strict=True))
    return text.getvalue()


def _column_texts(values: Sequence[Any]) -> Iterable[str]:
    """:func:`_text` of every value; quick where all are floats, or lists of floats or of names."""
    kinds = {*map(type, values)}
    if kinds == {float} and not any(map(ne, values, values)):
        return map(repr, values)
    if kinds == {list}:
        parts = {*map(type, chain.from_iterable(values))}
        if parts == {str}:
            return map(">".join, values)
        flat = chain.from_iterable(values)
        if parts == {float} and not any(part != part for part in flat):
            return (repr(value)[1:-1].replace(", ", ";") for value in values)
    return map(_text, values)


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    if isinstance(value, list | tuple):
        separator = ">" if any(isinstance(part, str) for part in value) else ";"
        return separator.join(map(_text, value))
    return str(value)


def _reader(hint: Any) -> Any:
    """What turns a cell into a value that pydantic can check against the type ``hint``."""
    if get_origin(hint) in (list, tuple):
        separator = ">" if get_args(hint)[0] is str else ";"
        return lambda cell: cell.split(separator) if cell else []
    if isinstance(hint, types.UnionType) and type(None) in get_args(hint):
        return lambda cell: cell or None
    return lambda cell: cell
