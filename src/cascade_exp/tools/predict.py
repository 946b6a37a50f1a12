"""Answers of a cascade to the rows of a file, or to the pictures of a folder.

    python -m cascade_exp.predict cascade=JOB_OR_BUNDLE input=reviews.csv output=answers.csv
    python -m cascade_exp.predict cascade=bundle/ input=pictures/ output=answers.csv
    tail -f lines | python -m cascade_exp.predict cascade=bundle/ input=- format=txt output=- \\
        mode=latency

The output has the columns of the input and answer, confidence, exit and cost. Rows that cannot be
answered are listed with their reason in <output>.rejects.<ending>. A run that was stopped
continues with the same command. docs/deploy.md explains all of it.
"""

from __future__ import annotations

import hashlib
import itertools
import platform
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_exp.data.examples import Choice
from cascade_exp.data.labels import is_missing
from cascade_exp.data.row_files import (
    FILE,
    FOLDER,
    STDIN,
    TEXT,
    Row,
    RowFile,
    known_columns,
    open_rows,
)
from cascade_exp.data.table_files import TableFormat
from cascade_exp.errors import CascadeError, choice
from cascade_exp.jobs.commands import run_command
from cascade_exp.jobs.signals import interruptible
from cascade_exp.tools.answer_files import Done, Output, Streamed, resumable
from cascade_exp.tools.answer_forms import ENDINGS, Form, JsonForm, ParquetForm, SeparatedForm
from cascade_exp.tools.prediction_view import progress_shown, show_summary
from cascade_exp.tools.training_columns import training_columns

if TYPE_CHECKING:
    from cascade_exp.runtime.cascade import Cascade
    from cascade_exp.runtime.chosen import ChosenCascade
    from cascade_exp.runtime.prediction import Prediction

BATCH_SIZE, POOL_BATCHES = 32, 32
ADDED = ("answer", "confidence", "exit", "cost")
REJECTS = ("row", "reason")


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        cascade: the folder of an evaluated job, its ``operating_point.json``, or a bundle.
        input: a .csv, .tsv, .jsonl, .parquet or .txt file (a text a line), all but parquet also
            compressed; a folder of pictures; or ``-``, standard input.
        output: the file to write (.csv, .tsv, .jsonl or .parquet), or ``-``, standard output.
        rule: of a job, the selection rule whose operating point answers; null: that of
            ``operating_point.json``.
        text: the column of the text; null: as in training, else ``text``.
        text_pair: the column of the second text; null: as in training.
        endings: of multiple-choice questions, the columns of the endings, [a,b,c].
        image: of a table, the column with the paths of the pictures, relative to the table; null:
            ``file``.
        mode: ``throughput`` fills the batches of every stage; ``latency`` answers each row as soon
            as it is read.
        batch_size: the most inputs that a model is given at once; null: 32.
        pool: rows that are worked on together: what the first stage defers of them fills the
            batches of the next; null: 32 batches.
        wait: of standard input, the most seconds that a row waits for the pool to fill; null: until
            it is full.
        prefix: put before the names of the four columns that are added.
        format: of standard input, or of a file of another ending: csv, tsv, jsonl, txt.
        header: of csv and tsv: true; false names the columns 1, 2, …; or the list of their names.
        separator: of csv and tsv: a character, or comma, tab, semicolon, pipe, space.
        encoding: of the input.
        escape: of csv and tsv: a character, or backslash, before which quotes are themselves.
        device: where models run; null: a GPU where there is one.
        every: where no terminal shows a bar, report the progress after so many rows.
    """

    cascade: str = ""
    input: str = ""
    output: str = ""
    rule: str | None = None
    text: str | None = None
    text_pair: str | None = None
    endings: list[str] | None = None
    image: str | None = None
    mode: str = "throughput"
    batch_size: int | None = None
    pool: int | None = None
    wait: float | None = None
    prefix: str = ""
    format: str | None = None
    header: Any = True
    separator: str | None = None
    encoding: str = "utf-8"
    escape: str | None = None
    device: str | None = None
    every: int = 10_000

    def __post_init__(self) -> None:
        for key in ("cascade", "input", "output"):
            if not getattr(self, key):
                raise CascadeError(f"{key}: missing; expected {key}=… (--help explains the keys)")
        choice(self.mode, ("throughput", "latency"), "mode")
        for key in ("batch_size", "pool", "every"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise CascadeError(f"{key}={value}: expected 1 or more")
            if self.mode == "latency" and key != "every" and value not in (None, 1):
                raise CascadeError(f"{key}={value}: mode=latency works on one row at a time")
        if self.wait is not None and not (self.wait > 0 and self.input == STDIN):
            raise CascadeError(
                f"wait={self.wait:g}: expected seconds above 0, with input={STDIN}: the rows of a "
                "file are there and do not wait"
            )


@dataclass(frozen=True)
class Asked:
    """What the models of a cascade read out of a row.

    Attributes:
        kind: ``text``, ``choice`` or ``image``.
        columns: those that are read, the text first.
        folder: what paths of pictures are relative to.
    """

    kind: str
    columns: tuple[str, ...]
    folder: Path

    def item(self, row: Row) -> object:
        """The input of the cascade. Raises a ``ValueError`` that says why there is none."""
        if row.cells is None:
            raise ValueError(row.reason)
        values = []
        for column in self.columns:
            if column not in row.cells:
                raise ValueError(f"no '{column}' in it")
            value = row.cells[column]
            if is_missing(value):
                raise ValueError(f"'{column}' is empty")
            if not isinstance(value, str):
                raise ValueError(f"'{column}' is {str(value)[:40]}, expected text")
            values.append(value)
        if self.kind == "image":
            return self.folder / values[0]
        if self.kind == "choice":
            return Choice(values[0], tuple(values[1:]))
        return values[0] if len(values) == 1 else tuple(values)


def predict(options: Options) -> None:
    """Answer every row of the input, write the answers, and print what each stage did.

    Raises:
        CascadeError: if the cascade, the input or the output cannot be used, or no row could be
            answered.
    """
    form = TableFormat(
        _header(options.header), options.separator, options.encoding, options.escape, prefix=""
    )
    targets = _targets(options.output)
    rows = open_rows(options.input, form, options.format)
    forms = _forms(options, rows)
    cascade = _load(options)
    asked = _asked(options, rows, cascade.chosen)
    size, batch = _sizes(options)
    stages = len(cascade.stages)
    for note in rows.notes:
        print(f"Note: {note}", file=sys.stderr)
    with _output(options, targets, forms, stages, _key(options, cascade, rows, asked)) as output:
        for note in output.notes:
            print(f"Note: {note}", file=sys.stderr)
        started, before = time.perf_counter(), output.done.rows
        work = _Work(cascade, asked, output, forms, batch, options.prefix)
        with progress_shown(cascade.chosen.stages, rows, options.every) as progress:
            for group in _groups(work.remaining(rows), size, options.wait):
                work.answer(group)
                progress(output.done)
        done = output.done
        output.finish()
    seconds = time.perf_counter() - started
    show_summary(cascade, done, targets, done.rows - before, seconds)
    if work.first is not None and done.aside == done.rows:
        number, reason = work.first
        raise CascadeError(
            f"{rows.path}: none of its {done.rows:,} rows could be answered (row "
            f"{number}: {reason})"
        )


def _header(given: object) -> bool | Sequence[str]:
    if isinstance(given, bool):
        return given
    if isinstance(given, list):
        return [str(name) for name in given]
    raise CascadeError(f"header={given}: expected true, false or a list of column names")


def _targets(output: str) -> tuple[Path, Path] | None:
    """Where answers and rejects go; None: standard output."""
    if output == STDIN:
        return None
    path = Path(output)
    if path.suffix.lower() not in ENDINGS or path.name == path.suffix:
        raise CascadeError(f"output={output}: expected a file that ends in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise CascadeError(f"output={output}: is a folder, expected a file")
    return path, path.with_name(f"{path.stem}.rejects{path.suffix}")


def _forms(options: Options, rows: RowFile) -> tuple[Form, Form]:
    """How answers and rejects are written; a clash of columns is refused."""
    added = [f"{options.prefix}{name}" for name in ADDED]
    for name in added:
        if rows.columns is not None and name in rows.columns:
            raise CascadeError(
                f"{rows.path}: has a column '{name}' already; give prefix=…, which is put before "
                "the names of the added ones"
            )
    kind = "jsonl" if rows.columns is None else "csv"
    if options.output != STDIN:
        kind = Path(options.output).suffix.lower()[1:]
    where = f"output={options.output}"
    if kind == "jsonl":
        return JsonForm(), JsonForm()
    if rows.columns is None:
        raise CascadeError(f"{where}: rows of a jsonl file have keys of their own; give a .jsonl")
    if kind == "tsv" and rows.kind != "tsv":
        raise CascadeError(
            f"{where}: the fields of a tsv file cannot hold tabs and line ends, which {rows.kind} "
            "may have; give a .csv or .jsonl"
        )
    columns = [*rows.columns, *added]
    if kind == "parquet":
        return _parquet(rows, added)
    separator = rows.separator if rows.kind == kind and rows.separator else ","
    quoted = kind == "csv"
    return (
        SeparatedForm(columns, separator, quoted),
        SeparatedForm(REJECTS, separator if quoted else "\t", quoted),
    )


def _parquet(rows: RowFile, added: Sequence[str]) -> tuple[Form, Form]:
    import pyarrow as pa

    assert rows.columns is not None
    text, number = pa.string(), pa.float64()
    own = getattr(rows, "schema", None) or pa.schema([(name, text) for name in rows.columns])
    for name, kind in zip(added, (text, number, text, number), strict=True):
        own = own.append(pa.field(name, kind))
    rejects = pa.schema([("row", pa.int64()), ("reason", text)])
    return ParquetForm(own), ParquetForm(rejects)


def _load(options: Options) -> Cascade:
    from cascade_exp.runtime.cascade import Cascade

    return Cascade.load(options.cascade, rule=options.rule, device=options.device)


def _asked(options: Options, rows: RowFile, chosen: ChosenCascade) -> Asked:
    """What is read out of each row, once the keys and columns are known to fit the models."""
    from cascade_exp.models.complete import saved_input
    from cascade_exp.models.inputs import ImageInput

    wanted = [saved_input(place) for place in chosen.weights.values()]
    images = any(isinstance(it, ImageInput) for it in wanted)
    endings = max((getattr(it, "endings", 1) for it in wanted), default=1)
    folder = rows.path if rows.kind == FOLDER else rows.path.parent
    if images:
        _refuse(options, ("text", "text_pair", "endings"), "reads pictures")
        column = options.image or FILE
        known_columns(rows, [column], "image")
        return Asked("image", (column,), folder)
    if rows.kind == FOLDER:
        raise CascadeError(f"input={options.input}: a folder, and the cascade reads texts")
    _refuse(options, ("image",), "reads texts")
    if endings > 1:
        given = [] if options.endings is None else options.endings
        if len(given) != endings:
            raise CascadeError(
                f"endings={given}: the cascade answers questions of {endings} endings; give the "
                "columns that hold them, endings=[a,b,…], and text= for the context"
            )
        columns = [options.text or TEXT, *given]
        known_columns(rows, columns[:1], "text")
        known_columns(rows, given, "endings")
        return Asked("choice", tuple(columns), folder)
    _refuse(options, ("endings",), "answers no questions with endings")
    columns = _texts(options, rows, Path(options.cascade))
    for column, key in zip(columns, ("text", "text_pair"), strict=False):
        known_columns(rows, [column], key)
    return Asked("text", tuple(columns), folder)


def _texts(options: Options, rows: RowFile, place: Path) -> list[str]:
    """The columns of the text and of the second text, where there is one."""
    from cascade_exp.runtime.bundle import is_bundle, read_bundle

    job = place if place.is_dir() else place.parent.parent
    trained = read_bundle(place)[1].columns if is_bundle(place) else training_columns(job)
    if rows.kind == "txt":
        _refuse(options, ("text", "text_pair"), "reads the lines of a text file")
        if len(trained) > 1:
            raise CascadeError(
                f"input={options.input}: the cascade reads pairs of texts ({', '.join(trained)}); "
                "give a table with text= and text_pair="
            )
        return [TEXT]
    there = rows.columns is None or (trained and trained[0] in rows.columns)
    first = options.text or (trained[0] if trained and (there or len(trained) > 1) else TEXT)
    second = options.text_pair or (trained[1] if len(trained) > 1 else None)
    return [first] if second is None else [first, second]


def _refuse(options: Options, keys: Sequence[str], why: str) -> None:
    for key in keys:
        if getattr(options, key) is not None:
            raise CascadeError(f"{key}={getattr(options, key)}: the cascade {why}")


def _sizes(options: Options) -> tuple[int, int]:
    """Rows of a group, and inputs of a batch."""
    if options.mode == "latency":
        return 1, 1
    batch = options.batch_size or BATCH_SIZE
    return options.pool or POOL_BATCHES * batch, batch


def _key(options: Options, cascade: Cascade, rows: RowFile, asked: Asked) -> dict[str, Any]:
    """All that decides what is written, but the rows themselves."""
    import torch

    size, batch = _sizes(options)
    return {
        "cascade": _fingerprint(cascade.chosen),
        "columns": rows.columns,
        "read": list(asked.columns),
        "format": rows.kind,
        "separator": rows.separator,
        "batch_size": batch,
        "pool": size,
        "prefix": options.prefix,
        "machine": {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": options.device or ("cuda" if torch.cuda.is_available() else "cpu"),
            "machine": platform.machine(),
        },
    }


def _fingerprint(chosen: ChosenCascade) -> str:
    """sha256 (hex) of what the answers depend on; a job and its bundle have the same."""
    from cascade_exp.models.complete import RECORD

    parts: list[object] = [chosen.stages, chosen.thresholds, chosen.compare, chosen.ensemble]
    for confidence in (chosen.metric, chosen.base):
        parts.append([confidence.name, getattr(confidence, "settings", {})])
    parts += [chosen.combine, dict(sorted(chosen.temperatures.items())), chosen.order]
    for number, model in sorted(chosen.learned.items()):
        own = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(model).items()}
        parts.append([number, own])
    parts += [chosen.stage_costs, chosen.cost, chosen.accounting]
    digest = hashlib.sha256(repr(parts).encode())
    for name, place in sorted(chosen.weights.items()):
        digest.update(f"{name}\n".encode() + (place / RECORD).read_bytes())
    return digest.hexdigest()


@contextmanager
def _output(
    options: Options,
    targets: tuple[Path, Path] | None,
    forms: tuple[Form, Form],
    stages: int,
    key: Mapping[str, Any],
) -> Iterator[Output]:
    if targets is None:
        yield Streamed(forms[0], stages, sys.stdout.buffer, sys.stderr.buffer)
        return
    line = "The same command continues it."
    with resumable(targets, forms, stages, key) as output, interruptible(line, output.close):
        yield output


class _Work:
    """Groups of rows answered and written, one after the other."""

    def __init__(
        self,
        cascade: Cascade,
        asked: Asked,
        output: Output,
        forms: tuple[Form, Form],
        batch_size: int,
        prefix: str,
    ) -> None:
        self.cascade, self.asked, self.output = cascade, asked, output
        self.forms, self.batch_size = forms, batch_size
        self.added = [f"{prefix}{name}" for name in ADDED]
        self.digest = hashlib.sha256()
        self.first: tuple[int, str] | None = None
        """The first row that was set aside, and why."""

    def remaining(self, rows: RowFile) -> Iterator[Row]:
        """The rows that are not done; those that are must be what they were.

        Raises:
            CascadeError: if they are not.
        """
        found, done = rows.rows(), self.output.done
        for row in itertools.islice(found, done.rows):
            self._count(row)
        if done.rows and self.digest.hexdigest() != done.input:
            raise CascadeError(
                f"{rows.path}: not what was begun with: its first {done.rows:,} rows have changed; "
                "continue with the same input, or give another output="
            )
        return found

    def answer(self, group: Sequence[Row]) -> None:
        """Answer the rows of ``group`` and write them."""
        items, asked, rejects = [], [], {}
        for row in group:
            self._count(row)
            try:
                item = self.asked.item(row)
                self._no_clash(row)
            except ValueError as error:
                rejects[row.number] = str(error)
                continue
            items.append(item)
            asked.append(row)
        found = self.cascade.predict(items, batch_size=self.batch_size, chunk_size=len(group))
        records = []
        for row, record, reason in zip(asked, self._records(found), found.reason, strict=True):
            if reason is not None:
                rejects[row.number] = reason
            else:
                assert row.cells is not None
                records.append({**row.cells, **record})
        ordered = sorted(rejects.items())
        if ordered and self.first is None:
            self.first = ordered[0]
        self.output.write(
            self.forms[0].rows(records),
            self.forms[1].rows([dict(zip(REJECTS, pair, strict=True)) for pair in ordered]),
            self._done(len(group), found, len(ordered)),
        )

    def _count(self, row: Row) -> None:
        cells = None if row.cells is None else list(row.cells.items())
        text = repr((row.number, cells, row.reason, row.mark))
        self.digest.update(text.encode("utf-8", "surrogatepass"))

    def _no_clash(self, row: Row) -> None:
        for name in self.added:
            if row.cells is not None and name in row.cells:
                raise ValueError(f"has '{name}' already; give prefix=…")

    def _records(self, found: Prediction) -> Iterator[dict[str, object]]:
        columns: tuple[Iterable[object], ...] = (
            found.name,
            found.confidence.tolist(),
            found.exit_name,
            found.cost.tolist(),
        )
        for values in zip(*columns, strict=True):
            yield dict(zip(self.added, values, strict=True))

    def _done(self, rows: int, found: Prediction, aside: int) -> Done:
        before = self.output.done
        left = found.exit[found.exit >= 0]
        counts = np.bincount(left, minlength=len(before.exits)).tolist()
        return replace(
            before,
            rows=before.rows + rows,
            input=self.digest.hexdigest(),
            exits=tuple(a + b for a, b in zip(before.exits, counts, strict=True)),
            aside=before.aside + aside,
            fallen=before.fallen + sum(note is not None for note in found.note),
        )


def _groups(rows: Iterator[Row], size: int, wait: float | None) -> Iterator[list[Row]]:
    """``size`` rows at a time; with ``wait``, fewer once the first of them has waited so long."""
    if wait is None:
        yield from iter(lambda: list(itertools.islice(rows, size)), [])
        return
    read: queue.Queue[Row | BaseException | None] = queue.Queue(size)

    def reading() -> None:
        try:
            for row in rows:
                read.put(row)
            read.put(None)
        except BaseException as error:
            read.put(error)

    threading.Thread(target=reading, daemon=True).start()
    group: list[Row] = []
    until = 0.0
    while True:
        try:
            found = read.get(timeout=max(until - time.monotonic(), 0.0) if group else None)
        except queue.Empty:
            yield group
            group = []
            continue
        if isinstance(found, Row):
            until = until if group else time.monotonic() + wait
            group.append(found)
            if len(group) < size:
                continue
        if group:
            yield group
            group = []
        if isinstance(found, BaseException):
            raise found
        if found is None:
            return


def main(arguments: Sequence[str]) -> int:
    """Answer what the arguments ask for; returns the exit status."""
    return run_command(arguments, Options, __doc__ or "", predict)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
