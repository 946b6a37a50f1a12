"""The rows of a file one at a time, however long it is, and what is wrong with each of them.

Where ``table_files`` reads a whole table and refuses it for one bad row, this reads on: a row that
is malformed comes with the reason, and no other row is lost by it.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from typing_extensions import override

from cascade_exp.data.table_files import (
    COMPRESSED,
    ESCAPES,
    SEPARATORS,
    TableFormat,
    character,
    ending_of,
)
from cascade_exp.errors import CascadeError, choice

STDIN = "-"
ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "txt"}
FOLDER = "folder"
LONGEST_ROW = 2**25
"""Characters of a csv row; a longer one has a quotation mark left open."""
PARQUET_ROWS = 1024
TEXT, FILE = "text", "file"
"""The columns of text lines, and of a folder of pictures."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        number: of csv, tsv and parquet from 1 below the header; else of the line or picture.
        cells: by column; None where the row is malformed.
        reason: what is wrong with it; None where nothing is.
        mark: what else is the row's own where cells are equal: a picture's size and time.
    """

    number: int
    cells: dict[str, object] | None
    reason: str | None = None
    mark: str = ""


class RowFile:
    """A file, or standard input, as rows.

    Attributes:
        path: the file.
        kind: ``csv``, ``tsv``, ``jsonl``, ``parquet``, ``txt`` or ``folder``.
        columns: their names; None where every row brings its own (``jsonl``).
        total: the number of rows, None where only reading gives it.
        separator: between the fields of a csv or tsv file.
        notes: what was noticed while opening it, one line each.
    """

    kind: str
    columns: list[str] | None = None
    total: int | None = None
    separator: str | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    def rows(self) -> Iterator[Row]:
        """Every row, once.

        Raises:
            CascadeError: if the file itself cannot be read further, as where it is cut short.
        """
        raise NotImplementedError

    def share(self) -> float | None:
        """How much of the file has been read, 0..1; None where that cannot be known."""
        return None


def open_rows(given: str, form: TableFormat, kind: str | None) -> RowFile:
    """The file ``given`` as rows.

    Args:
        given: a path, or ``-`` for standard input; the format is that of the ending.
        form: of separated files; its encoding counts for lines and jsonl as well.
        kind: the format, for standard input and files of another ending.

    Raises:
        CascadeError: if it is missing, empty, of an unknown ending, or its header cannot be read.
    """
    path = Path(given)
    if kind is not None:
        choice(kind, ENDINGS.values(), "format")
    if given != STDIN and path.is_dir():
        if kind is not None:
            raise CascadeError(f"format={kind}: {path} is a folder, whose pictures are read")
        return _Folder(path)
    if given != STDIN and not path.exists():
        raise CascadeError(f"input={given}: no such file or folder")
    ending = ending_of(path)
    if kind is None:
        if given == STDIN:
            raise CascadeError(f"input={STDIN}: give format={'|'.join(ENDINGS.values())}")
        if ending not in ENDINGS:
            raise CascadeError(
                f"input={given}: unknown ending '{ending}'; expected {', '.join(ENDINGS)}, each "
                f"also with {', '.join(COMPRESSED)}, a folder of pictures, or format=…"
            )
        kind = ENDINGS[ending]
    if kind == "parquet":
        if given == STDIN or path.suffix.lower() in COMPRESSED:
            raise CascadeError(f"input={given}: a parquet file is read from its end; unpack it")
        return _Parquet(path)
    stream = _Stream(given, form.encoding)
    if kind in ("csv", "tsv"):
        return _Separated(stream, kind, form)
    return _JsonLines(stream) if kind == "jsonl" else _Lines(stream)


class _Counted(io.RawIOBase):
    """The bytes of a file, and how many of them were read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.done = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        reads = getattr(self.file, "read1", self.file.read)  # a pipe gives what there is
        found = reads(len(buffer))
        buffer[: len(found)] = found
        self.done += len(found)
        return len(found)


class _Stream:
    """The text of a file or of standard input.

    Bytes that are not UTF-8 come as surrogates, so that the row that holds them can say so.
    """

    def __init__(self, given: str, encoding: str) -> None:
        import sys

        self.path = Path("standard input" if given == STDIN else given)
        self.encoding = "utf-8" if encoding.lower().replace("_", "-") in UTF_8 else encoding
        self.size = None if given == STDIN else Path(given).stat().st_size
        raw = sys.stdin.buffer if given == STDIN else Path(given).open("rb")  # noqa: SIM115
        self.counted = _Counted(raw)
        self.packed = Path(given).suffix.lower() if given != STDIN else ""
        plain: Any = io.BufferedReader(self.counted)
        with self.reading():
            if self.packed in COMPRESSED:
                plain = io.BufferedReader(COMPRESSED[self.packed](plain))
            start = plain.peek(4)[:4]
        if not start:
            raise CascadeError(f"{self.path}: the file is empty")
        if self.encoding == "utf-8" and start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise CascadeError(f"{self.path}: not UTF-8 text; try encoding=utf-16")
        self._bytes = plain

    def text(self, newline: str | None) -> io.TextIOWrapper:
        utf_8 = self.encoding == "utf-8"
        return io.TextIOWrapper(
            self._bytes,
            encoding="utf-8-sig" if utf_8 else self.encoding,
            errors="surrogateescape" if utf_8 else "strict",
            newline=newline,
        )

    def share(self) -> float | None:
        return None if not self.size else min(self.counted.done / self.size, 1.0)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Words what goes wrong with the file as a whole."""
        import zstandard

        try:
            yield
        except UnicodeError as error:
            raise CascadeError(
                f"{self.path}: not {self.encoding} text: {getattr(error, 'reason', error)}"
            ) from error
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            packed = self.packed in COMPRESSED
            kind = f"not a {self.packed} file that can be read" if packed else "cannot be read"
            raise CascadeError(f"{self.path}: {kind}: {error}") from error


UTF_8 = ("utf-8", "utf8", "utf-8-sig")
NOT_UTF_8 = "not UTF-8 text; encoding=latin-1 or cp1252?"


def _undecoded(text: str) -> bool:
    return any("\udc80" <= sign <= "\udcff" for sign in text) if not text.isascii() else False


class _Held(Iterator[str]):
    """Lines that can be put back, and which of them the row being read has taken."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._back: list[str] = []
        self.taken: list[str] = []
        self._size = 0

    def begin(self) -> None:
        self.taken, self._size = [], 0

    def put_back(self, lines: list[str]) -> None:
        self._back += reversed(lines)

    def __next__(self) -> str:
        if self._size > LONGEST_ROW:
            raise csv.Error(f"longer than {LONGEST_ROW:,} characters")
        line = self._back.pop() if self._back else next(self._lines)
        self.taken.append(line)
        self._size += len(line)
        return line


class _Separated(RowFile):
    """A csv file (fields may be quoted), or a tsv file (a quotation mark is itself)."""

    def __init__(self, stream: _Stream, kind: str, form: TableFormat) -> None:
        super().__init__(stream.path)
        self.kind = kind
        self._stream = stream
        self.share = stream.share  # type: ignore[method-assign]
        usual = "," if kind == "csv" else "\t"
        self.separator = character("separator", form.separator, SEPARATORS) or usual
        self._escape = character("escape", form.escape, ESCAPES)
        csv.field_size_limit(2 * LONGEST_ROW)
        self._lines = _Held(iter(stream.text(newline="")))
        self._first: list[str] | None = None
        with stream.reading():
            first = next(self._records(), None)
        if first is None:
            raise CascadeError(f"{self.path}: the file is empty")
        if isinstance(first, str) or any(map(_undecoded, first)):
            reason = first if isinstance(first, str) else NOT_UTF_8
            raise CascadeError(f"{self.path}: its first row cannot be read: {reason}")
        self.columns = self._header(first, form)

    def _header(self, first: list[str], form: TableFormat) -> list[str]:
        if form.header is True:
            names = [name.strip() for name in first]
        else:
            self._first = first
            names = [str(i + 1) for i in range(len(first))]
            if not isinstance(form.header, bool):
                names = [str(name) for name in form.header]
        if len(names) != len(first):
            raise CascadeError(f"{self.path}: {len(first)} columns; header names {len(names)}")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise CascadeError(f"{self.path}: two columns are called '{twice}'; header=false?")
        return names

    @override
    def rows(self) -> Iterator[Row]:
        assert self.columns is not None
        number = 0
        with self._stream.reading():
            for cells in self._all():
                number += 1
                if isinstance(cells, str):
                    yield Row(number, None, cells)
                elif any(map(_undecoded, cells)):
                    yield Row(number, None, NOT_UTF_8)
                else:
                    yield Row(number, dict(zip(self.columns, cells, strict=True)))

    def _all(self) -> Iterator[list[str] | str]:
        """The rows below the header; one of another number of fields as the reason."""
        assert self.columns is not None
        wanted = len(self.columns)
        if self._first is not None:
            yield self._first
        for cells in self._records():
            if isinstance(cells, str) or len(cells) == wanted:
                yield cells
                continue
            rest = self._lines.taken[1:]
            reason = f"{len(cells)} fields, expected {wanted}"
            if any(self._fields(line) == wanted for line in rest):
                self._lines.put_back(rest)  # rows of their own
                reason += "; is a quotation mark left open?"
            yield reason

    def _fields(self, line: str) -> int | None:
        try:
            return len(next(self._reader(iter([line])), []))
        except csv.Error:
            return None

    def _records(self) -> Iterator[list[str] | str]:
        """The fields of row after row; of one that is no csv, why, and its further lines again."""
        reader = self._reader(self._lines)
        while True:
            self._lines.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._lines.put_back(self._lines.taken[1:])
                several = len(self._lines.taken) > 1
                reader = self._reader(self._lines)
                yield "a quotation mark is left open" if several else f"not csv: {error}"
                continue
            if cells:
                yield cells

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.kind == "csv" else csv.QUOTE_NONE
        return csv.reader(
            lines,
            delimiter=cast(str, self.separator),
            quoting=quoting,
            escapechar=self._escape,
            strict=True,
        )


class _JsonLines(RowFile):
    """An object a line."""

    kind = "jsonl"

    def __init__(self, stream: _Stream) -> None:
        super().__init__(stream.path)
        self._stream = stream
        self.share = stream.share  # type: ignore[method-assign]

    @override
    def rows(self) -> Iterator[Row]:
        with self._stream.reading():
            for number, line in enumerate(self._stream.text(newline="\n"), start=1):
                if line.strip():
                    yield self._row(number, line)

    @staticmethod
    def _row(number: int, line: str) -> Row:
        if _undecoded(line):
            return Row(number, None, NOT_UTF_8)
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: a number of too many digits too
            reason = getattr(error, "msg", None) or "nested too deeply, or a number too long"
            return Row(number, None, f"not JSON: {reason}")
        if not isinstance(found, dict):
            return Row(number, None, f"expected an object, found {line.strip()[:40]}")
        return Row(number, found)


class _Lines(RowFile):
    """A text a line."""

    kind = "txt"

    def __init__(self, stream: _Stream) -> None:
        super().__init__(stream.path)
        self._stream = stream
        self.share = stream.share  # type: ignore[method-assign]
        self.columns = [TEXT]

    @override
    def rows(self) -> Iterator[Row]:
        with self._stream.reading():
            for number, line in enumerate(self._stream.text(newline=None), start=1):
                bad = _undecoded(line)
                cells: dict[str, object] = {TEXT: line.removesuffix("\n")}
                yield Row(number, None if bad else cells, NOT_UTF_8 if bad else None)


class _Parquet(RowFile):
    """A parquet file, a thousand rows at a time."""

    kind = "parquet"

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        super().__init__(path)
        with self._reading():
            self.file = pq.ParquetFile(path)  # type: ignore[no-untyped-call]
        self.schema = self.file.schema_arrow
        self.columns = list(self.schema.names)
        self.total = self.file.metadata.num_rows
        twice = next((name for name in self.columns if self.columns.count(name) > 1), None)
        if twice is not None:
            raise CascadeError(f"{path}: two columns are called '{twice}'")

    @override
    def rows(self) -> Iterator[Row]:
        number = 0
        with self._reading():
            for batch in self.file.iter_batches(PARQUET_ROWS):  # type: ignore[no-untyped-call]
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(number, cells)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, UnicodeError) as error:
            reason = str(error).splitlines()[0]
            raise CascadeError(
                f"{self.path}: not a parquet file that can be read: {reason}"
            ) from error


class _Folder(RowFile):
    """The pictures of a folder at any depth, by their paths in alphabetical order."""

    kind = FOLDER

    def __init__(self, path: Path) -> None:
        from torchvision.datasets.folder import IMG_EXTENSIONS

        super().__init__(path)
        self.columns = [FILE]
        found = sorted(
            file.relative_to(path).as_posix()
            for file in path.rglob("*")
            if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
        )
        self._files = [name for name in found if name.lower().endswith(IMG_EXTENSIONS)]
        self.total = len(self._files)
        others = [name for name in found if not name.lower().endswith(IMG_EXTENSIONS)]
        if not self._files:
            raise CascadeError(f"{path}: no picture in it; expected {' '.join(IMG_EXTENSIONS)}")
        if others:
            self.notes.append(
                f"{path}: {len(others):,} files are no pictures by their endings and are left out "
                f"({', '.join(others[:3])}{', …' if len(others) > 3 else ''})"
            )

    @override
    def rows(self) -> Iterator[Row]:
        for number, name in enumerate(self._files, start=1):
            try:
                name.encode()
                about = (self.path / name).stat()
            except UnicodeEncodeError:
                yield Row(number, None, f"{name!r}: a file name that is not UTF-8")
                continue
            except OSError as error:
                yield Row(number, None, f"{self.path / name}: {error.strerror}")
                continue
            mark = f"{about.st_size} {about.st_mtime_ns}"
            yield Row(number, {FILE: name}, mark=mark)


def known_columns(rows: RowFile, wanted: Sequence[str], key: str) -> None:
    """Raise a :class:`CascadeError` unless ``rows`` has all the columns ``wanted``."""
    from cascade_exp.errors import did_you_mean

    if rows.columns is None:
        return
    for column in wanted:
        if column not in rows.columns:
            shown = [name if len(name) <= 40 else f"{name[:39]}…" for name in rows.columns[:20]]
            more = ", …" if len(rows.columns) > 20 else ""
            raise CascadeError(
                f"{rows.path}: no column '{column}' ({key}){did_you_mean(column, rows.columns)}; "
                f"it has {', '.join(shown)}{more}{_hint(rows)}; give {key}=NAME"
            )


def _hint(rows: RowFile) -> str:
    assert rows.columns is not None
    if rows.kind in ("csv", "tsv") and len(rows.columns) == 1:
        for word, sign in SEPARATORS.items():
            if word != "space" and sign in rows.columns[0]:
                return f"; fields separated by {word}? then give separator={word}"
    return ""
