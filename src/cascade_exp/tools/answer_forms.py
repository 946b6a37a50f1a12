"""How rows of answers are written: csv, tsv, jsonl and parquet, a group of rows at a time.

What a form writes of one group can be put behind what it wrote of the group before.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from cascade_exp.atomic import replacing
from cascade_exp.errors import CascadeError, one_line

ROW_GROUP = 1 << 16
ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")

Record = Mapping[str, object]


class Form(Protocol):
    """A way to write rows."""

    def head(self) -> bytes:
        """What stands before the first row."""
        ...

    def rows(self, rows: Sequence[Record]) -> bytes:
        """Some rows; equal rows give equal bytes."""
        ...

    def finish(self, working: Path, target: Path) -> None:
        """Put the file ``target`` in place, out of ``working``, which holds all that was written.

        ``working`` may be moved, or stay.
        """
        ...


class _Text(Form):
    @override
    def finish(self, working: Path, target: Path) -> None:
        working.replace(target)


class SeparatedForm(_Text):
    """Lines of fields; csv with quotation marks where they are needed, tsv without any."""

    def __init__(self, columns: Sequence[str], separator: str, quoted: bool) -> None:
        self.columns = list(columns)
        self.separator = separator
        self.quoted = quoted

    @override
    def head(self) -> bytes:
        return self._line(self.columns)

    @override
    def rows(self, rows: Sequence[Record]) -> bytes:
        return b"".join(self._line([row.get(column) for column in self.columns]) for row in rows)

    def _line(self, cells: Iterable[object]) -> bytes:
        fields = [self._field(cell_text(cell)) for cell in cells]
        return f"{self.separator.join(fields)}\n".encode()

    def _field(self, text: str) -> str:
        special = any(sign in text for sign in (self.separator, "\n", "\r"))
        if not self.quoted:
            if special:
                raise CascadeError(f"a tsv field cannot hold {text[:40]!r}; give output=….csv")
            return text
        # csv.writer leaves a lone carriage return unquoted, which readers take for the end of a row
        return '"' + text.replace('"', '""') + '"' if special or '"' in text else text


class JsonForm(_Text):
    """An object a line, with the keys that the row has."""

    @override
    def head(self) -> bytes:
        return b""

    @override
    def rows(self, rows: Sequence[Record]) -> bytes:
        lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows]
        # half of a surrogate pair is written as the escape that JSON has for it
        return "".join(lines).encode("utf-8", "backslashreplace")


class ParquetForm(Form):
    """Groups of rows as Arrow streams one behind the other, and one parquet file of them."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    @override
    def head(self) -> bytes:
        return self.rows([])

    @override
    def rows(self, rows: Sequence[Record]) -> bytes:
        import pyarrow as pa

        try:
            table = pa.Table.from_pylist(list(rows), schema=self.schema)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise CascadeError(f"cannot be written as parquet: {one_line(error)}") from error
        stream = io.BytesIO()
        with pa.ipc.new_stream(stream, self.schema) as writer:
            writer.write_table(table)
        return stream.getvalue()

    @override
    def finish(self, working: Path, target: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        held: list[Any] = []
        with (
            replacing(target) as partial,
            pq.ParquetWriter(partial, self.schema) as writer,  # type: ignore[no-untyped-call]
            working.open("rb") as file,
        ):
            size = working.stat().st_size
            while file.tell() < size:
                with pa.ipc.open_stream(file) as stream:
                    held.append(stream.read_all())
                if sum(len(table) for table in held) >= ROW_GROUP:
                    writer.write_table(pa.concat_tables(held))
                    held = []
            if held:
                writer.write_table(pa.concat_tables(held))


def cell_text(value: object) -> str:
    """A value as the text of a field: nothing for null and NaN, JSON for lists and objects.

    >>> [cell_text(value) for value in ("a", 0.1, True, None, [1, 2])]
    ['a', '0.1', 'true', '', '[1, 2]']
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, dict | list | tuple):
        with suppress(TypeError, ValueError):
            return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
