"""Difficulty labels: which training examples a model gets wrong when they are held out.

Li et al. 2021 (CascadeBERT), §3.2: train on all folds but one, see which examples of that fold are
answered right, for every fold and several seeds; easy are those that are right under all seeds.
Here are the folds, the labels and their place on disk; fitting a fold is in ``folds``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.atomic import locked, write_text
from cascade_exp.errors import CascadeError
from cascade_exp.tables import read_table, write_table

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
AGAIN = "delete the file to have it made again"


@dataclass(frozen=True)
class Task:
    """One model to fit: on all folds but ``fold``, with ``seed``."""

    seed: int
    fold: int

    def __str__(self) -> str:
        return f"seed{self.seed}-fold{self.fold}"


@dataclass(frozen=True, eq=False)
class Labels:
    """Held-out correctness of N training examples.

    Attributes:
        ids: int64 [N].
        correct: bool [N, seeds], whether the held-out answer was right.
    """

    ids: Ints
    correct: Bools

    @property
    def difficult(self) -> Bools:
        """bool [N]: wrong under one seed at least."""
        wrong: Bools = np.logical_not(np.all(self.correct, axis=1))
        return wrong


@dataclass(frozen=True)
class LabelQuality:
    """Whether the fold models have learnt enough for their errors to say what is difficult.

    Attributes:
        accuracy: per seed, per fold, the share of held-out examples answered right.
        held_out: the same over all folds and seeds.
        majority: share of the largest class, which a constant answer gets right.
        difficult: by class, the share of difficult examples.
        examples: how many are labelled.
    """

    accuracy: list[list[float]]
    held_out: float
    majority: float
    difficult: dict[str, float]
    examples: int

    @property
    def informative(self) -> bool:
        """Whether held-out answers are better than the largest class by over two standard errors.

        The error is that of the majority's share m over N examples, sqrt(m (1 - m) / N). Below
        it, *difficult* hardly means more than *not of the largest class*.
        """
        error = np.sqrt(self.majority * (1 - self.majority) / self.examples)
        return bool(self.held_out > self.majority + 2 * error)


def label_quality(
    labels: Labels, targets: Ints, fold_of: Ints, classes: Sequence[str]
) -> LabelQuality:
    """Held-out accuracy against the largest class, and what share of each class is difficult.

    Args:
        targets, fold_of: int64 [N], class and fold of each example, in the order of ``labels``.
        classes: names of the K classes; those without an example are left out of ``difficult``.
    """
    folds = range(int(fold_of.max()) + 1)
    counts = np.bincount(targets, minlength=len(classes))
    difficult = np.bincount(targets, weights=labels.difficult, minlength=len(classes))
    return LabelQuality(
        accuracy=[
            [float(correct[fold_of == fold].mean()) for fold in folds]
            for correct in labels.correct.T
        ],
        held_out=float(labels.correct.mean()),
        majority=float(counts.max() / len(targets)),
        difficult={
            name: float(wrong / count)
            for name, wrong, count in zip(classes, difficult, counts, strict=True)
            if count
        },
        examples=len(targets),
    )


def assign_folds(labels: Ints, folds: int, seed: int) -> Ints:
    """The fold of each example, int64 [N] in 0..folds-1; stratified, drawn with ``seed``.

    Folds differ by at most one example, and so does each class's share of them.

    Raises:
        CascadeError: if there are fewer than two folds, or fewer examples than folds.
    """
    check_counts(folds)
    if folds > len(labels):
        raise CascadeError(
            f"regularizer.folds={folds}: {len(labels)} training examples; expected at most one "
            "fold for each"
        )
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    assigned = np.empty(len(labels), dtype=np.int64)
    assigned[by_class] = np.arange(len(labels)) % folds
    return assigned


def check_counts(folds: int, seeds: int = 1) -> None:
    """Refuse numbers of folds and seeds that make no labels, whatever the data.

    Raises:
        CascadeError: naming the key.
    """
    if folds < 2:
        raise CascadeError(f"regularizer.folds={folds}: expected at least 2")
    if seeds < 1:
        raise CascadeError(f"regularizer.seeds={seeds}: expected at least 1")


class LabelStore:
    """The labels of one stage, made task by task: ``<root>/<key>/`` with all that belongs to them.

    ``key.json`` says what they are made from, ``folds/<task>.csv`` holds what each finished task
    found, and ``labels.csv`` (``id``, ``correct_<seed>`` per seed, ``difficulty``) is there once
    all of them are. Several processes may work on one store: a task is claimed by one at a time,
    and a process that dies gives its claim back.

    Args:
        made_from: all that the labels depend on; its digest is the key.
        ids: int64 [N] of the training examples, in the order of ``fold_of``.
        fold_of: int64 [N], the fold of each.
        seeds: how many seeds, 0..seeds-1.
        about: what they are of in words, for whoever opens ``key.json``; no part of the key.
    """

    def __init__(
        self,
        root: Path,
        made_from: Mapping[str, Any],
        ids: Ints,
        fold_of: Ints,
        seeds: int,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        check_counts(int(fold_of.max()) + 1, seeds)
        text = json.dumps(made_from, indent=2, sort_keys=True)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()
        self.ids = ids
        self.fold_of = fold_of
        self.tasks = [Task(s, f) for s in range(seeds) for f in range(int(fold_of.max()) + 1)]
        self.seeds = seeds
        try:
            if not (self.folder / "key.json").exists():
                beside = {"of": about or {}, "made_from": made_from}
                write_text(self.folder / "key.json", json.dumps(beside, indent=2) + "\n")
        except OSError as error:
            raise CascadeError(
                f"{self.folder}: cannot hold difficulty labels ({error.strerror}); expected a "
                "folder, or another paths.cache_dir"
            ) from error

    @property
    def file(self) -> Path:
        """``labels.csv``."""
        return self.folder / "labels.csv"

    def done(self, task: Task) -> bool:
        """Whether ``task`` is finished."""
        return self._result(task).is_file()

    def work(self, task: Task) -> Path:
        """Where ``task`` keeps what it needs to continue after an interruption."""
        return self.folder / "unfinished" / str(task)

    @contextmanager
    def claim(self, task: Task) -> Iterator[bool]:
        """Yield whether ``task`` is this process's to do: not finished, and no other has it."""
        with locked(self.folder / "claims" / str(task), wait=False) as mine:
            yield mine and not self.done(task)

    def put(self, task: Task, correct: Bools) -> None:
        """Keep what ``task`` found: whether each example of its fold, in order, was right."""
        ids = self.ids[self.fold_of == task.fold]
        rows = [[int(i), int(c)] for i, c in zip(ids, correct, strict=True)]
        write_table(self._result(task), ["id", "correct"], rows)
        shutil.rmtree(self.work(task), ignore_errors=True)

    def finish(self) -> Labels:
        """Write ``labels.csv`` out of all finished tasks, unless it is there, and read it.

        Raises:
            CascadeError: if one of the files is damaged.
        """
        if not self.file.is_file():
            correct = np.zeros((len(self.ids), self.seeds), dtype=bool)
            for task in self.tasks:
                mine = self.fold_of == task.fold
                found = _read_table(self._result(task), ["id", "correct"], self.ids[mine])
                correct[mine, task.seed] = found[:, 0]
            table = np.column_stack([correct, ~np.all(correct, axis=1)]).astype(int)
            rows = [[int(i), *map(int, row)] for i, row in zip(self.ids, table, strict=True)]
            write_table(self.file, self._header(), rows)
        for needless in ("unfinished", "claims"):
            shutil.rmtree(self.folder / needless, ignore_errors=True)
        found = _read_table(self.file, self._header(), self.ids)
        labels = Labels(self.ids, found[:, : self.seeds])
        wrong = np.flatnonzero(labels.difficult != found[:, -1])
        if len(wrong):
            raise CascadeError(
                f"{self.file}: example {self.ids[wrong[0]]} has difficulty "
                f"{int(found[wrong[0], -1])}, which its correct_… contradict: expected 0 where all "
                f"are 1, else 1; {AGAIN}"
            )
        return labels

    def keep_quality(self, quality: LabelQuality) -> None:
        """Write ``quality.json`` beside the labels."""
        record = {**asdict(quality), "informative": quality.informative}
        write_text(self.folder / "quality.json", json.dumps(record, indent=2) + "\n")

    def _header(self) -> list[str]:
        return ["id", *(f"correct_{seed}" for seed in range(self.seeds)), "difficulty"]

    def _result(self, task: Task) -> Path:
        return self.folder / "folds" / f"{task}.csv"


def _read_table(path: Path, header: list[str], ids: Ints) -> Bools:
    """All columns but the id, bool [N, columns], for exactly these ids in this order.

    Raises:
        CascadeError: naming the first row that is not as it should be.
    """
    try:
        rows = [(where, [cells[c] for c in header]) for where, cells in read_table(path, header)]
    except CascadeError as error:
        raise CascadeError(f"{error}: damaged; {AGAIN}") from None
    for (where, row), example in zip(rows, ids, strict=False):
        if row[0] != str(example) or not set(row[1:]) <= {"0", "1"}:
            raise CascadeError(
                f"{where}: damaged, '{','.join(row)}'; expected {example} and 0 or 1 for each of "
                f"{','.join(header[1:])}; {AGAIN}"
            )
    if len(rows) != len(ids):
        raise CascadeError(f"{path}: damaged, {len(rows)} examples; expected {len(ids)}; {AGAIN}")
    return np.array([[cell == "1" for cell in row[1:]] for _, row in rows], dtype=bool)
