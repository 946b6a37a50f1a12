"""The GLUE tasks, from a local folder in the original TSV layout or from the Hugging Face hub.

The official test sets carry no labels and are never read: a task's dev set is the source's test.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_exp.data.examples import Ints, Source, Text, source_of
from cascade_exp.data.hub_sets import load_from_hub
from cascade_exp.errors import CascadeError, choice, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """How one task lies on disk and on the hub.

    Attributes:
        folder: the task's folder in the original archive.
        text, pair, label: its columns; ``pair`` None for single sentences.
        classes: class names in the hub's order; a label's index is the same from either place.
        words: the labels as the files write them, in the order of ``classes``.
        hub_text, hub_pair: the hub's columns; its label column is ``label``.
        dev: the file of the labelled dev set; ``hub_dev``: the hub's split.
        header: the columns of a file without a header row, else None.
        broken_rows: whether the official files have rows cut by line feeds, which are left out.
        further: tasks whose dev sets are reported on as well, where they are at hand.
    """

    folder: str
    text: str
    pair: str | None
    label: str
    classes: tuple[str, ...]
    words: tuple[str, ...]
    hub_config: str
    hub_text: str
    hub_pair: str | None = None
    dev: str = "dev.tsv"
    hub_dev: str = "validation"
    header: tuple[str, ...] | None = None
    broken_rows: bool = False
    further: tuple[str, ...] = ()


_TABLE = """
task            | folder | text      | pair      | label        | hub's text | hub's pair | classes
sst2            | SST-2  | sentence  |           | label        | sentence   |            | negative positive
mrpc            | MRPC   | #1 String | #2 String | Quality      | sentence1  | sentence2  | not_equivalent equivalent
rte             | RTE    | sentence1 | sentence2 | label        | sentence1  | sentence2  | entailment not_entailment
cola            | CoLA   | sentence  |           | label        | sentence   |            | unacceptable acceptable
qnli            | QNLI   | question  | sentence  | label        | question   | sentence   | entailment not_entailment
qqp             | QQP    | question1 | question2 | is_duplicate | question1  | question2  | not_duplicate duplicate
mnli            | MNLI   | sentence1 | sentence2 | gold_label   | premise    | hypothesis | entailment neutral contradiction
mnli_mismatched | MNLI   | sentence1 | sentence2 | gold_label   | premise    | hypothesis | entailment neutral contradiction
"""  # noqa: E501
_NUMBERED = ("sst2", "mrpc", "cola", "qqp")
"""Tasks whose files write labels as numbers; the others write the names of the classes."""
_OWN: dict[str, dict[str, Any]] = {
    "cola": {"header": ("source", "label", "mark", "sentence")},
    "qqp": {"broken_rows": True},
    "mnli": {
        "dev": "dev_matched.tsv",
        "hub_dev": "validation_matched",
        "further": ("mnli_mismatched",),
    },
    "mnli_mismatched": {
        "dev": "dev_mismatched.tsv",
        "hub_config": "mnli",
        "hub_dev": "validation_mismatched",
    },
}
"""What else is a task's own."""


def _task(row: str) -> tuple[str, Task]:
    name, folder, text, pair, label, hub_text, hub_pair, named = map(str.strip, row.split("|"))
    classes = tuple(named.split())
    given: dict[str, Any] = {
        "folder": folder,
        "text": text,
        "pair": pair or None,
        "label": label,
        "classes": classes,
        "words": tuple(map(str, range(len(classes)))) if name in _NUMBERED else classes,
        "hub_config": name,
        "hub_text": hub_text,
        "hub_pair": hub_pair or None,
    }
    return name, Task(**given | _OWN.get(name, {}))


TASKS: dict[str, Task] = dict(map(_task, _TABLE.strip().splitlines()[1:]))

_Set = tuple[Ints, list[Text]]


def load(task: str, root: str | None = None) -> Source:
    """A GLUE task; its dev set is the source's test, ``mnli_mismatched`` having its own.

    Where the dev set of ``mnli_mismatched`` is at hand, it is a further set of ``mnli`` as well, so
    that the same models are evaluated on both.

    Args:
        task: one of ``TASKS``.
        root: the GLUE folder or the task's own folder, with the original TSV files; None loads
            ``nyu-mll/glue`` from the hub through ``datasets``.

    Raises:
        CascadeError: if the task is unknown, a file is missing or empty, or a row has the wrong
            number of fields or an unknown label (file and line); or the hub cannot be used.
    """
    known = TASKS[choice(task, TASKS, "data.task")]
    if root is None:
        train, dev, further = _from_hub(known)
    else:
        folder = _task_folder(Path(root), known)
        train, dev = _read(folder / "train.tsv", known), _read(folder / known.dev, known)
        further = {
            other: _read(folder / TASKS[other].dev, known)
            for other in known.further
            if (folder / TASKS[other].dev).is_file()
        }
    return source_of(task, "text", known.classes, train, dev, further=further)


def _task_folder(root: Path, task: Task) -> Path:
    expected = f"{task.folder}/train.tsv and {task.folder}/{task.dev}"
    if not root.is_dir():
        raise CascadeError(f"data.root={root}: no such folder; expected one with {expected}")
    inner = root / task.folder
    folder = inner if inner.is_dir() else root
    missing = [file for file in ("train.tsv", task.dev) if not (folder / file).is_file()]
    if len(missing) == 2:
        raise CascadeError(f"data.root={root}: neither {expected} nor these files in it directly")
    if missing:
        raise CascadeError(
            f"{folder / missing[0]}: no such file; training and reporting need "
            f"train.tsv and {task.dev} with labels"
        )
    return folder


def _read(path: Path, task: Task) -> _Set:
    """(labels, texts) of one TSV file."""
    frame, header = read_rows(path, task, (task.text, task.pair, task.label), task.header)
    frame = _whole_rows(frame, path, header, task)
    if len(frame) == 0:
        raise CascadeError(f"{path}: no rows below the header")
    words = frame[header.index(task.label)]
    labels = words.map({word: i for i, word in enumerate(task.words)})
    if labels.isna().any():
        first = labels.index[labels.isna()][0]
        raise CascadeError(
            f"{path} line {first + 1}: label '{words[first]}'; "
            f"expected one of {', '.join(task.words)}"
        )
    return np.asarray(labels, dtype=np.int64), texts_of(frame, header, task)


def texts_of(frame: pd.DataFrame, header: list[str], task: Task) -> list[Text]:
    """The task's texts or pairs of texts, row by row."""
    texts = frame[header.index(task.text)].tolist()
    pairs = frame[header.index(task.pair)].tolist() if task.pair else [None] * len(texts)
    return list(zip(texts, pairs, strict=True))


def read_rows(
    path: Path, task: Task, wanted: Iterable[str | None], given: tuple[str, ...] | None
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of one TSV file, row i of the frame being line i + 1 of the file, and its columns.

    The header is read as a row, so that a first row that is too long is an error and not an index
    column.

    Args:
        wanted: the columns that must be there; None among them is none.
        given: the columns of a file without a header row, else None.

    Raises:
        CascadeError: if the file is empty or not such a table, or lacks a column.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(
            path,
            sep="\t",
            header=None,
            dtype=str,
            quoting=csv.QUOTE_NONE,
            encoding="utf-8-sig",
            keep_default_na=False,
            skip_blank_lines=False,
            lineterminator="\n",
        )
    except pd.errors.EmptyDataError:
        raise CascadeError(f"{path}: the file is empty") from None
    except UnicodeDecodeError as error:
        raise CascadeError(f"{path}: not UTF-8 text: {error.reason}") from error
    except pd.errors.ParserError as error:
        raise CascadeError(f"{path}{_where(str(error))}") from error
    frame[frame.columns[-1]] = frame[frame.columns[-1]].str.removesuffix("\r")
    if given is None:
        header, frame = frame.iloc[0].tolist(), frame.iloc[1:]
    else:
        header = list(given)
        if frame.shape[1] != len(header):
            raise CascadeError(
                f"{path} line 1: {frame.shape[1]} fields; "
                f"expected {len(header)} ({', '.join(header)})"
            )
    for column in filter(None, wanted):
        if column not in header:
            raise CascadeError(
                f"{path}: no column '{column}'{did_you_mean(column, header)}; "
                f"it has {', '.join(header)}"
            )
    return frame, header


def _whole_rows(frame: pd.DataFrame, path: Path, header: list[str], task: Task) -> pd.DataFrame:
    """``frame`` without the broken rows, which are an error where the official file has none.

    pandas fills the missing fields of a short row with empty text, so its last field is empty; in
    every task that is the label or a sentence.
    """
    short = frame[frame.columns[-1]] == ""
    if not short.any():
        return frame
    first = int(frame.index[short][0])
    if not task.broken_rows:
        line = path.read_text(encoding="utf-8-sig").split("\n")[first].removesuffix("\r")
        raise CascadeError(
            f"{path} line {first + 1}: {len(line.split(chr(9)))} fields, the last one "
            f"'{header[-1]}' missing or empty; expected {len(header)} ({', '.join(header)})"
        )
    log.warning(
        "%s: left out %d rows that line feeds in a question cut short, as the hub's version does "
        "(the first is line %d)",
        path,
        int(short.sum()),
        first + 1,
    )
    return frame[~short]


def _where(message: str) -> str:
    """pandas' "Expected 2 fields in line 3, saw 5" as the end of an error message."""
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if found is None:
        return f": {message.strip()}"
    expected, line, saw = found.groups()
    return f" line {line}: {saw} fields, expected {expected}"


def hub_texts(split: Any, task: Task) -> list[Text]:
    """The task's texts or pairs of texts in one of the hub's splits."""
    texts = list(split[task.hub_text])
    pairs = list(split[task.hub_pair]) if task.hub_pair else [None] * len(texts)
    return list(zip(texts, pairs, strict=True))


def _from_hub(task: Task) -> tuple[_Set, _Set, dict[str, _Set]]:
    """Train, dev and the further sets from the hub's ``nyu-mll/glue``."""
    instead = (
        f"give data.root=FOLDER with {task.folder}/train.tsv and {task.folder}/{task.dev} "
        "(the original GLUE files)"
    )
    loaded = load_from_hub("nyu-mll/glue", task.hub_config, instead)

    def rows(split: Any) -> _Set:
        return np.asarray(split["label"], dtype=np.int64), hub_texts(split, task)

    further = {other: rows(loaded[TASKS[other].hub_dev]) for other in task.further}
    return rows(loaded["train"]), rows(loaded[task.hub_dev]), further
