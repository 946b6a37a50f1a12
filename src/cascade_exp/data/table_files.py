"""Table files as columns: csv, tsv, jsonl and parquet, compressed or not, in any encoding."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from typing_extensions import override

from cascade_exp.errors import CascadeError, did_you_mean

SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "space": " "}
ESCAPES = {"backslash": "\\"}


@dataclass(frozen=True)
class TableFormat:
    """How separated files (csv, tsv) are read; the encoding counts for jsonl files as well.

    Attributes:
        header: whether the first row names the columns; False names them 1, 2, 3, …; a list names
            them itself, for a file without such a row.
        separator: one character or a word of :data:`SEPARATORS`; None takes that of the ending.
        encoding: as Python names it; a byte order mark is skipped in any of UTF-8.
        escape: a character, or ``backslash``, before which separators and quotes are themselves.
        prefix: what precedes the keys' names in errors.
    """

    header: bool | Sequence[str] = True
    separator: str | None = None
    encoding: str = "utf-8"
    escape: str | None = None
    prefix: str = "data."

    def __post_init__(self) -> None:
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise CascadeError(
                f"{self.prefix}encoding={self.encoding}: no such encoding; expected one that "
                "Python knows, such as utf-8, utf-16, latin-1 or cp1252"
            ) from None
        character(f"{self.prefix}separator", self.separator, SEPARATORS)
        character(f"{self.prefix}escape", self.escape, ESCAPES)
        if not isinstance(self.header, bool) and isinstance(self.header, str):
            raise CascadeError(
                f"{self.prefix}header={self.header}: expected true, false or a list of column names"
            )


@dataclass(frozen=True)
class Table:
    """One file: ``columns[name][i]`` was found at ``unit`` ``numbers[i]`` of it.

    Rows are counted from 1 below the header, the lines of a jsonl file from 1. ``separator``: what
    stands between the fields of a csv or tsv file.
    """

    path: Path
    columns: dict[str, list[object]]
    unit: str
    numbers: Sequence[int]
    separator: str | None = None

    def place(self, i: int) -> str:
        """Where row i is, for error messages."""
        return f"{self.path} {self.unit} {self.numbers[i]}"

    def take(self, rows: Sequence[int]) -> Table:
        """The table of these rows alone, which keep their numbers."""
        columns = {name: [column[i] for i in rows] for name, column in self.columns.items()}
        return replace(self, columns=columns, numbers=[self.numbers[i] for i in rows])


def read_table(path: Path, key: str, wanted: dict[str, str], form: TableFormat) -> Table:
    """The table in ``path``; its format is that of the name's ending, in upper or lower case.

    Args:
        path: ``.csv`` (fields may be quoted), ``.tsv`` (they are not: a quotation mark is itself),
            ``.jsonl`` (an object a line) or ``.parquet``, each also with ``.gz``, ``.bz2``, ``.xz``
            or ``.zst`` behind it.
        key: the configuration key that names the file, for errors.
        wanted: the columns that must be there, by the keys that name them.

    Raises:
        CascadeError: if the file is missing, empty or cannot be read as such a table, or a column
            is missing or there twice.
    """
    if not path.is_file():
        raise CascadeError(f"{key}={path}: no such file")
    ending = ending_of(path)
    if ending not in READERS:
        raise CascadeError(
            f"{key}={path}: unknown ending '{ending}'; expected {', '.join(READERS)}, "
            f"each also with {', '.join(COMPRESSED)}"
        )
    table = READERS[ending](path, form)
    for column_key, column in wanted.items():
        if column not in table.columns:
            raise CascadeError(
                f"{path}: no column '{column}' ({column_key})"
                f"{did_you_mean(column, table.columns)}; it has {_listed(table.columns)}"
                f"{_hint(table, column_key, form)}"
            )
    if not table.numbers:
        raise CascadeError(f"{path}: no rows")
    return table


def ending_of(path: Path) -> str:
    """The ending that says the format, in lower case, without that of a compression.

    >>> ending_of(Path("reviews.CSV.gz"))
    '.csv'
    """
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in COMPRESSED:
        endings = endings[:-1]
    return endings[-1] if endings else ""


def is_separated(path: Path) -> bool:
    """Whether ``path`` is a csv or tsv file, compressed or not."""
    return ending_of(path) in (".csv", ".tsv")


def character(key: str, given: str | None, words: dict[str, str]) -> str | None:
    """The character that ``given`` is or names; None where nothing is given.

    Raises:
        CascadeError: naming ``key``, if it is several characters and none of ``words``.
    """
    if given is None:
        return None
    found = words.get(given, given)
    if len(found) != 1:
        raise CascadeError(f"{key}={given}: expected one character, or {' or '.join(words)}")
    return found


class _Zstandard(io.RawIOBase):
    """A file decompressed; unlike ``zstandard.open``, a frame that is cut short is an error."""

    def __init__(self, file: Path | IO[bytes]) -> None:
        self._file: IO[bytes] = file.open("rb") if isinstance(file, Path) else file
        self._frame: Any = None
        self._packed = self._found = b""

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        import zstandard

        while not self._found:
            self._packed = self._packed or self._file.read(1 << 16)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the file ends within a frame")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._found = self._frame.decompress(self._packed)
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        size = min(len(buffer), len(self._found))
        buffer[:size], self._found = self._found[:size], self._found[size:]
        return size

    @override
    def close(self) -> None:
        self._file.close()
        super().close()


COMPRESSED: dict[str, Callable[[Any], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _Zstandard,
}
"""By ending, what opens a file of it: a path, or a stream of bytes."""


def _content(path: Path) -> bytes:
    """The bytes of the file, decompressed where its last ending says that it is compressed."""
    import zstandard

    ending = path.suffix.lower()
    try:
        with COMPRESSED[ending](path) if ending in COMPRESSED else path.open("rb") as file:
            content: bytes = file.read()
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        kind = f"not a {ending} file that can be read" if ending in COMPRESSED else "cannot be read"
        raise CascadeError(f"{path}: {kind}: {error}") from error
    if not content.strip():
        raise CascadeError(f"{path}: the file is empty")
    return content


def _text(path: Path, encoding: str) -> str:
    content = _content(path)
    codec = codecs.lookup(encoding).name
    try:
        return content.decode("utf-8-sig" if codec == "utf-8" else codec)
    except (UnicodeDecodeError, UnicodeError) as error:
        reason = getattr(error, "reason", error)
        guess = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1 or cp1252"
        other = f"; try data.encoding={guess}" if codec == "utf-8" else ""
        name = "UTF-8" if codec == "utf-8" else encoding
        raise CascadeError(f"{path}: not {name} text: {reason}{other}") from error


def _separated(usual: str, quoting: Literal[0, 3]) -> Callable[[Path, TableFormat], Table]:
    def read(path: Path, form: TableFormat) -> Table:
        import pandas as pd

        separator = character("data.separator", form.separator, SEPARATORS) or usual
        try:
            frame = pd.read_csv(
                io.StringIO(_text(path, form.encoding), newline=""),
                sep=separator,
                header=None,  # a header row would let pandas take a first column for an index
                dtype=str,
                quoting=quoting,
                escapechar=character("data.escape", form.escape, ESCAPES),
                keep_default_na=False,
            )
        except pd.errors.EmptyDataError:
            raise CascadeError(f"{path}: the file is empty") from None
        except pd.errors.ParserError as error:
            reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
            raise CascadeError(f"{path}: {reason}") from error
        columns = [frame[i].tolist() for i in frame.columns]
        names, rows = _header(path, columns, form)
        numbers = range(1, len(rows[0]) + 1)
        table = Table(path, dict(zip(names, rows, strict=True)), "row", numbers, separator)
        if form.header is True:
            _no_second_header(table)
        return table

    return read


def _header(
    path: Path, columns: list[list[str]], form: TableFormat
) -> tuple[list[str], list[list[object]]]:
    """The names of the columns, and what is below them."""
    rows: list[list[object]] = [list(column) for column in columns]
    if form.header is True:
        names = [str(column[0]).strip() for column in columns]
        rows = [row[1:] for row in rows]
    elif form.header is False:
        names = [str(i + 1) for i in range(len(columns))]
    else:
        names = [str(name) for name in form.header]
        if len(names) != len(columns):
            raise CascadeError(f"{path}: {len(columns)} columns; data.header names {len(names)}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        otherwise = "; expected different names"
        raise CascadeError(f"{path}: two columns are called '{twice}'" + _headless(form, otherwise))
    return names, rows


def _no_second_header(table: Table) -> None:
    """Refuse a row that repeats the names of the columns, as joined files have one."""
    names = list(table.columns)
    for i, cells in enumerate(zip(*table.columns.values(), strict=True)):
        if list(cells) == names:
            raise CascadeError(
                f"{table.place(i)}: repeats the names of the columns; are two files joined here? "
                "Expected one header, in the first row"
            )


def _json_lines(path: Path, form: TableFormat) -> Table:
    rows: list[dict[str, object]] = []
    numbers: list[int] = []
    for number, line in enumerate(_text(path, form.encoding).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            raise CascadeError(f"{path} line {number}: not JSON: {reason}") from error
        if not isinstance(row, dict):
            raise CascadeError(f"{path} line {number}: expected an object, found {line[:40]}")
        rows.append(row)
        numbers.append(number)
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(path, {name: [row.get(name) for row in rows] for name in names}, "line", numbers)


def _parquet(path: Path, form: TableFormat) -> Table:
    import pandas as pd
    import pyarrow as pa

    del form  # a parquet file says itself how it is read
    try:
        frame = pd.read_parquet(io.BytesIO(_content(path)))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CascadeError(f"{path}: not a parquet file that can be read: {reason}") from error
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    return Table(path, columns, "row", range(1, len(frame) + 1))


READERS: dict[str, Callable[[Path, TableFormat], Table]] = {
    ".csv": _separated(",", csv.QUOTE_MINIMAL),
    ".tsv": _separated("\t", csv.QUOTE_NONE),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}


def _listed(columns: dict[str, list[object]]) -> str:
    shown = [name if len(name) <= 40 else f"{name[:39]}…" for name in list(columns)[:20]]
    return ", ".join(shown) + (", …" if len(columns) > 20 else "")


def _hint(table: Table, key: str, form: TableFormat) -> str:
    """What is likely wrong where a column is missing: the separator, the header row, or the key."""
    names = list(table.columns)
    if is_separated(table.path):
        for word, sign in SEPARATORS.items():
            if len(names) == 1 and word != "space" and sign in names[0]:
                return f"; fields separated by {word}? then give data.separator={word}"
        if form.header is not True:
            return f"; give {key}=NAME"
        if any(_is_content(name) for name in names):
            return _headless(form, "")
    return f"; give {key}=NAME"


def _is_content(name: str) -> bool:
    """Whether a cell of the first row looks like a value and not like the name of a column."""
    return name.lstrip("+-").replace(".", "", 1).isdigit() or len(name.split()) > 3


def _headless(form: TableFormat, otherwise: str) -> str:
    if form.header is not True:
        return otherwise
    return (
        "; is the first row no header? then give data.header=false, which names the columns "
        "1, 2, 3, … (data.label=1 data.text=2)"
    )
