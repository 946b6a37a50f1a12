"""The user's own texts: csv, tsv, jsonl or parquet files with a text and a label column."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cascade_exp.data.examples import Ints, Source, Text, source_of
from cascade_exp.errors import CascadeError, did_you_mean

INTEGER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Table:
    """One file: ``columns[name][i]`` was found at ``unit`` ``numbers[i]`` of it."""

    path: Path
    columns: dict[str, list[object]]
    unit: str
    numbers: Sequence[int]

    def place(self, i: int) -> str:
        """Where row i is, for error messages."""
        return f"{self.path} {self.unit} {self.numbers[i]}"


def load_table(
    train_file: str,
    test_file: str | None = None,
    selection_file: str | None = None,
    text: str = "text",
    text_pair: str | None = None,
    label: str = "label",
    classes: Sequence[str] | None = None,
) -> Source:
    """Labelled texts or pairs of texts from files of the user's own.

    The extension says how a file is read: ``.csv`` (fields may be quoted), ``.tsv`` (they are not:
    a quotation mark is itself), ``.jsonl`` (an object a line), ``.parquet``. Rows are counted from
    1 below the header, the lines of a jsonl file from 1.

    Args:
        train_file: what models are fitted on, and what is cut up where there is no ``test_file``.
        test_file: labelled, for selection and report.
        selection_file: labelled, for ``data.selection=own``.
        text: the column of the text.
        text_pair: the column of the second text, None for single texts.
        label: the column of the label: words or integers.
        classes: the class names in order; None takes the labels of ``train_file``, integers in
            order of value, else words in alphabetical order. Under given names, none of which is a
            number, a label may also be the index of its class.

    Raises:
        CascadeError: if a file or column is missing, a file is empty or cannot be read, a text or
            label is empty, or a label is outside the classes.
    """
    named = {
        "data.train_file": train_file,
        "data.test_file": test_file,
        "data.selection_file": selection_file,
    }
    tables = {
        key: _table(Path(file), key, [text, *([text_pair] if text_pair else []), label])
        for key, file in named.items()
        if file is not None
    }
    words = {key: _words(table, label) for key, table in tables.items()}
    names = _classes(classes, words["data.train_file"])
    sets: list[tuple[Ints, list[Text]] | None] = [
        (_labels(tables[key], words[key], names), _texts(tables[key], text, text_pair))
        if key in tables
        else None
        for key in named
    ]
    train, test, selection = sets
    assert train is not None
    name = "/".join(Path(train_file).parts[-2:])
    return source_of(name, "text", names, train, test, selection)


def _table(path: Path, key: str, wanted: list[str]) -> Table:
    if not path.is_file():
        raise CascadeError(f"{key}={path}: no such file")
    if path.suffix not in READERS:
        raise CascadeError(
            f"{key}={path}: unknown extension '{path.suffix}'; expected {', '.join(READERS)}"
        )
    table = READERS[path.suffix](path)
    for column in wanted:
        if column not in table.columns:
            raise CascadeError(
                f"{path}: no column '{column}'{did_you_mean(column, table.columns)}; "
                f"it has {', '.join(table.columns)}"
            )
    if not table.numbers:
        raise CascadeError(f"{path}: no rows")
    return table


def _separated(separator: str, quoting: Literal[0, 3]) -> Callable[[Path], Table]:
    def read(path: Path) -> Table:
        import pandas as pd

        try:
            frame = pd.read_csv(
                path,
                sep=separator,
                header=None,  # a header row would let pandas take a first column for an index
                dtype=str,
                quoting=quoting,
                encoding="utf-8-sig",
                keep_default_na=False,
            )
        except pd.errors.EmptyDataError:
            raise CascadeError(f"{path}: the file is empty") from None
        except UnicodeDecodeError as error:
            raise CascadeError(f"{path}: not UTF-8 text: {error.reason}") from error
        except pd.errors.ParserError as error:
            reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
            raise CascadeError(f"{path}: {reason}") from error
        header = frame.iloc[0].tolist()
        columns = {name: frame[i].tolist()[1:] for i, name in enumerate(header)}
        return Table(path, columns, "row", range(1, len(frame)))

    return read


def _json_lines(path: Path) -> Table:
    rows: list[dict[str, object]] = []
    numbers: list[int] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise CascadeError(f"{path}: not UTF-8 text: {error.reason}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CascadeError(f"{path} line {number}: not JSON: {error.msg}") from error
        if not isinstance(row, dict):
            raise CascadeError(f"{path} line {number}: expected an object, found {line[:40]}")
        rows.append(row)
        numbers.append(number)
    if not rows:
        raise CascadeError(f"{path}: the file is empty")
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(path, {name: [row.get(name) for row in rows] for name in names}, "line", numbers)


def _parquet(path: Path) -> Table:
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CascadeError(f"{path}: not a parquet file that can be read: {reason}") from error
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    return Table(path, columns, "row", range(1, len(frame) + 1))


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _separated(",", csv.QUOTE_MINIMAL),
    ".tsv": _separated("\t", csv.QUOTE_NONE),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}


def _missing(value: object) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _texts(table: Table, text: str, text_pair: str | None) -> list[Text]:
    columns = [text] if text_pair is None else [text, text_pair]
    for column in columns:
        for i, value in enumerate(table.columns[column]):
            if _missing(value):
                raise CascadeError(f"{table.place(i)}: column '{column}' is empty; expected a text")
            if not isinstance(value, str):
                raise CascadeError(
                    f"{table.place(i)}: column '{column}' is {value!r}; expected a text"
                )
    pairs = table.columns[text_pair] if text_pair else [None] * len(table.numbers)
    return list(zip(table.columns[text], pairs, strict=True))  # type: ignore[arg-type]


def _words(table: Table, label: str) -> list[str]:
    """The labels as words: 1, 1.0 and "1" are all "1", as parquet stores them by turns."""
    words: list[str] = []
    for i, value in enumerate(table.columns[label]):
        if _missing(value):
            raise CascadeError(f"{table.place(i)}: column '{label}' is empty; expected a label")
        if isinstance(value, bool):
            words.append(str(value).lower())
        elif isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            words.append(str(int(value)))
        elif isinstance(value, str):
            words.append(value.strip())
        else:
            raise CascadeError(
                f"{table.place(i)}: column '{label}' is {value!r}; expected a word or an integer"
            )
    return words


def _classes(given: Sequence[str] | None, train: list[str]) -> tuple[str, ...]:
    if given is not None:
        names = tuple(str(name) for name in given)
        if len(set(names)) != len(names):
            raise CascadeError(f"data.classes={list(names)}: a class is named twice")
        return names
    found = set(train)
    if all(INTEGER.fullmatch(word) for word in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))


def _labels(table: Table, words: list[str], classes: tuple[str, ...]) -> Ints:
    index = {name: i for i, name in enumerate(classes)}
    if not any(INTEGER.fullmatch(name) for name in classes):
        index |= {str(i): i for i in range(len(classes))}
    for i, word in enumerate(words):
        if word not in index:
            raise CascadeError(
                f"{table.place(i)}: label '{word}' is outside the classes "
                f"{', '.join(classes)}{did_you_mean(word, classes)}"
            )
    return np.array([index[word] for word in words], dtype=np.int64)
