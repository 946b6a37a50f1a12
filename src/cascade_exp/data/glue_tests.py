"""The GLUE test sets, which have no labels, and the files in which their answers are submitted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade_exp.data.examples import Examples, Text
from cascade_exp.data.hub_sets import load_from_hub
from cascade_exp.data.sources.glue import TASKS, Task, hub_texts, read_rows, texts_of
from cascade_exp.errors import CascadeError, choice


@dataclass(frozen=True)
class Asked:
    """One test set.

    Attributes:
        file: the test set's file in the task's folder; without its ending, the hub's split.
        submitted: what the file of its answers is called in a submission.
        task: the task, whose ``words`` are the answers as the server wants them.
        number: the file's column of row numbers, which the submission repeats.
    """

    file: str
    submitted: str
    task: Task
    number: str = "index"


TEST_SETS: dict[str, tuple[Asked, ...]] = {
    "sst2": (Asked("test.tsv", "SST-2.tsv", TASKS["sst2"]),),
    "mrpc": (Asked("test.tsv", "MRPC.tsv", TASKS["mrpc"]),),
    "rte": (Asked("test.tsv", "RTE.tsv", TASKS["rte"]),),
    "cola": (Asked("test.tsv", "CoLA.tsv", TASKS["cola"]),),
    "qnli": (Asked("test.tsv", "QNLI.tsv", TASKS["qnli"]),),
    "qqp": (Asked("test.tsv", "QQP.tsv", TASKS["qqp"], number="id"),),
    "mnli": (
        Asked("test_matched.tsv", "MNLI-m.tsv", TASKS["mnli"]),
        Asked("test_mismatched.tsv", "MNLI-mm.tsv", TASKS["mnli_mismatched"]),
    ),
}


def test_sets(task: str) -> tuple[Asked, ...]:
    """The test sets of ``task``.

    Raises:
        CascadeError: if the task is unknown (did you mean).
    """
    return TEST_SETS[choice(task, TEST_SETS, "task")]


def load_test(asked: Asked, root: str | None) -> tuple[list[str], Examples]:
    """The row numbers as the source writes them, and the texts; every label is 0 and means nothing.

    Args:
        root: the GLUE folder or the task's own, with the original TSV files; None loads
            ``nyu-mll/glue`` from the hub through ``datasets``.

    Raises:
        CascadeError: if the file is missing, empty or lacks a column; or the hub cannot be used.
    """
    numbers, texts = _from_hub(asked) if root is None else _from_files(asked, root)
    size = len(texts)
    return numbers, Examples(ids=np.arange(size), labels=np.zeros(size, np.int64), inputs=texts)


def _from_files(asked: Asked, root: str) -> tuple[list[str], list[Text]]:
    path = next(
        (
            found
            for found in (Path(root) / asked.task.folder / asked.file, Path(root) / asked.file)
            if found.is_file()
        ),
        None,
    )
    if path is None:
        raise CascadeError(
            f"root={root}: neither {asked.task.folder}/{asked.file} nor {asked.file} in it"
        )
    task = asked.task
    frame, header = read_rows(path, task, (asked.number, task.text, task.pair), None)
    if len(frame) == 0:
        raise CascadeError(f"{path}: no rows below the header")
    return frame[header.index(asked.number)].tolist(), texts_of(frame, header, task)


def _from_hub(asked: Asked) -> tuple[list[str], list[Text]]:
    task = asked.task
    instead = f"give root=FOLDER with {task.folder}/{asked.file} (the original GLUE files)"
    try:
        loaded = load_from_hub("nyu-mll/glue", task.hub_config, instead)
    except CascadeError as error:  # it speaks of the key that jobs have
        raise CascadeError(
            str(error).replace("data.root is null", "root is left out", 1)
        ) from error
    split = loaded[asked.file.removesuffix(".tsv")]
    return [str(number) for number in split["idx"]], hub_texts(split, task)
