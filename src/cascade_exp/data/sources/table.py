"""The user's own texts: csv, tsv, jsonl or parquet files with a text and a label column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cascade_exp.data.examples import Ints, Source, Text, source_of
from cascade_exp.data.labels import Classes, is_missing, label_of, means_no_label
from cascade_exp.data.table_files import Table, TableFormat, is_separated, read_table
from cascade_exp.errors import CascadeError, choice

FILES = ("data.train_file", "data.test_file", "data.selection_file")
DROPS = ("empty", "unlabelled")


def load(
    train_file: str,
    test_file: str | None = None,
    selection_file: str | None = None,
    text: str = "text",
    text_pair: str | None = None,
    label: str = "label",
    classes: Sequence[object] | Mapping[object, object] | None = None,
    header: bool | Sequence[str] = True,
    separator: str | None = None,
    encoding: str = "utf-8",
    escape: str | None = None,
    drop: str | Sequence[str] | None = None,
) -> Source:
    """Labelled texts or pairs of texts from files of the user's own.

    Args:
        train_file: what models are fitted on, and what is cut up where there is no ``test_file``
            (:func:`~cascade_exp.data.table_files.read_table` lists the formats).
        test_file: labelled, for selection and report.
        selection_file: labelled, for ``data.selection=own``.
        text: the column of the text.
        text_pair: the column of the second text, None for single texts.
        label: the column of the label: words or whole numbers.
        classes: the labels as the files write them, in order; or a mapping of each label to the
            name of its class, so that ``{0: bearish, 1: bullish}`` names numbers and
            ``{Good: good, good: good}`` makes two ways to write a label one. None takes the labels
            of ``train_file``, whole numbers in order of value, else words in alphabetical order.
        header, separator, encoding, escape: see
            :class:`~cascade_exp.data.table_files.TableFormat`.
        drop: rows to leave out instead of refusing the file: ``empty`` (no text) and ``unlabelled``
            (no label, or one that says so: ``-``, ``-1``, ``NaN``, ``?``). Their number is noted.

    Raises:
        CascadeError: if a file or column is missing, a file is empty or cannot be read, a text or
            label is empty, a label is outside the classes, or labels are decimal numbers or lists.
    """
    form = TableFormat(header, separator, encoding, escape)
    columns = {"data.text": text, "data.label": label}
    if text_pair is not None:
        columns["data.text_pair"] = text_pair
    named = zip(FILES, (train_file, test_file, selection_file), strict=True)
    files = {key: Path(file) for key, file in named if file is not None}
    _check_read(form, list(files.values()))
    tables = {key: read_table(path, key, columns, form) for key, path in files.items()}
    texts = [text, text_pair] if text_pair is not None else [text]
    tables, notes = _left_out(tables, texts, label, _drops(drop), classes)
    sets: list[tuple[Ints, list[Text]] | None] = []
    words = {key: _words(table, label) for key, table in tables.items()}
    found = Classes(classes, tables["data.train_file"], words["data.train_file"])
    for key in FILES:
        table = tables.get(key)
        sets.append(None if table is None else (found.of(table, words[key]), _texts(table, texts)))
    train, test, selection = sets
    assert train is not None
    name = "/".join(Path(train_file).parts[-2:])
    notes += found.notes
    for table in tables.values():
        notes += _swallowed(table, texts, found)
    return source_of(name, "text", found.names, train, test, selection, notes=notes)


def _drops(given: str | Sequence[str] | None) -> set[str]:
    parts = given.split(",") if isinstance(given, str) else list(given or ())
    return {choice(part.strip(), DROPS, "data.drop") for part in parts}


def _check_read(form: TableFormat, files: Sequence[Path]) -> None:
    """Refuse options of separated files where no file is one."""
    given = {
        "data.header": form.header is not True,
        "data.separator": form.separator is not None,
        "data.escape": form.escape is not None,
    }
    key = next((key for key, is_given in given.items() if is_given), None)
    if key is not None and not any(is_separated(path) for path in files):
        raise CascadeError(f"{key}: only csv and tsv files have one; found {files[0]}")


def _left_out(
    tables: Mapping[str, Table],
    texts: Sequence[str],
    label: str,
    drops: set[str],
    classes: Sequence[object] | Mapping[object, object] | None,
) -> tuple[dict[str, Table], list[str]]:
    """The tables without the rows that are to be dropped, and how many these were.

    A label that ``data.classes`` names is a class, whatever it usually says.
    """
    left: dict[str, Table] = {}
    notes: list[str] = []
    train = {label_of(value) for value in tables["data.train_file"].columns[label]} - {None}
    found = {word for word in train if word is not None}
    given = {label_of(name) for name in classes or ()}

    def unlabelled(value: object) -> bool:
        word = label_of(value)
        return is_missing(value) or (
            word is not None and word not in given and means_no_label(word, found)
        )

    for key, table in tables.items():
        size = len(table.numbers)
        rows = range(size)
        empty = {i for i in rows if any(is_missing(table.columns[name][i]) for name in texts)}
        blank = {i for i in rows if unlabelled(table.columns[label][i])}
        gone = (empty if "empty" in drops else set()) | (blank if "unlabelled" in drops else set())
        left[key] = table.take([i for i in rows if i not in gone]) if gone else table
        for drop, reason, there in (
            ("empty", "without a text", empty),
            ("unlabelled", "without a label", blank - empty if "empty" in drops else blank),
        ):
            if drop in drops and there:
                notes.append(
                    f"{len(there):,} of {size:,} rows of {table.path} are left out: {reason} "
                    f"(data.drop={drop})"
                )
        if len(gone) == size:
            raise CascadeError(f"{table.path}: data.drop leaves none of its {size:,} rows")
    return left, notes


def _swallowed(table: Table, columns: Sequence[str], classes: Classes) -> list[str]:
    """Texts of a csv file with lines in them that end or begin like rows: a quote left open."""
    separator = table.separator
    if separator is None:
        return []
    for i in range(len(table.numbers)):
        for column in columns:
            lines = str(table.columns[column][i]).splitlines()[:-1]
            ends = [
                line.rpartition(separator)[2].strip(' "') for line in lines if separator in line
            ]
            rows = sum(label_of(end) in classes.index for end in ends)
            if rows:
                return [
                    f"{table.place(i)}: its text holds {rows:,} line{'s' * (rows > 1)} that end in "
                    "a label, as rows do: is a quotation mark left open there?"
                ]
    return []


def _texts(table: Table, columns: Sequence[str]) -> list[Text]:
    for column in columns:
        _none_missing(table, column, "a text", "empty")
        for i, value in enumerate(table.columns[column]):
            if not isinstance(value, str):
                raise CascadeError(
                    f"{table.place(i)}: column '{column}' is {value!r}; expected a text"
                )
    pairs = table.columns[columns[1]] if len(columns) > 1 else [None] * len(table.numbers)
    return list(zip(table.columns[columns[0]], pairs, strict=True))  # type: ignore[arg-type]


def _words(table: Table, label: str) -> list[str]:
    """The label of each row as a word (:func:`~cascade_exp.data.labels.label_of`)."""
    _none_missing(table, label, "a label", "unlabelled")
    words: list[str] = []
    for i, value in enumerate(table.columns[label]):
        word = label_of(value)
        if word is None:
            several = hasattr(value, "__len__")
            raise CascadeError(
                f"{table.place(i)}: column '{label}' is {value!r}; expected a word or a whole "
                f"number{' (several labels for a text are not supported)' if several else ''}"
            )
        words.append(word)
    return words


def _none_missing(table: Table, column: str, expected: str, drop: str) -> None:
    empty = [i for i, value in enumerate(table.columns[column]) if is_missing(value)]
    if empty:
        more = f", as are {len(empty) - 1:,} more" if len(empty) > 1 else ""
        raise CascadeError(
            f"{table.place(empty[0])}: column '{column}' is empty{more}; expected {expected}, or "
            f"data.drop={drop} to leave such rows out"
        )
