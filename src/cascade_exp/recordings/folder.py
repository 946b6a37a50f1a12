"""Reading a recordings folder: ``models.csv``, labels, logits and black-box answers.

The format is docs/definitions.md#recordings.

Arrays are memory-mapped and checked for form here (shape, dtype, truncation, label range); their
values are checked where they are scored. Writing recordings lives in ``write``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError, choice, did_you_mean
from cascade_exp.recordings.arrays import Ids, load_ids, load_integers
from cascade_exp.recordings.exits import (
    EXIT_COSTS,
    EXITS,
    ExitRow,
    check_growing,
    exit_name,
    read_exits,
)
from cascade_exp.recordings.models import ModelRow, read_models
from cascade_exp.recordings.names import narrow
from cascade_exp.recordings.outputs import (
    ABSENT,
    ModelOutput,
    Recorded,
    RecordedAnswers,
    model_of,
    read_output,
)

ABSENT_AS = ("defer", "wrong")


DATA_WARNINGS = "data_warnings.txt"


@dataclass(frozen=True)
class Split:
    """One recorded split.

    Attributes:
        labels: int64 [N].
        ids: int64 or text [N], or None where the folder holds none.
        outputs: by model, logits [N, K] (memory-mapped; of a network with exits [N, exits, K]) or
            answers, in the order of the labels.
        classes: K of the whole pool, or None where it holds black boxes only.
        files: by model, the file that holds its outputs.
        notes: what a user should know about how the split was read.
        absent_from: predictions of this class and above stand for absent answers; None: there are
            none.
    """

    name: str
    path: Path
    labels: NDArray[np.int64]
    ids: Ids | None
    outputs: dict[str, Recorded]
    classes: int | None
    files: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    absent_from: int | None = None

    def file_of(self, model: str) -> Path:
        """The file that holds ``model``'s outputs on this split."""
        return self.files[model]

    def called(self, model: str) -> str:
        """What errors call ``model``'s outputs on this split."""
        return str(self.file_of(model))


@dataclass(frozen=True)
class Recordings:
    """A recordings folder, narrowed to the models of the pool.

    Attributes:
        exits: by network with exits, its exits; complete models are not in it.
        listed: all models of ``models.csv``, whether in the pool or not.
        absent: what becomes of an absent answer, which is always wrong: ``defer`` gives it a
            confidence below that of every other answer, ``wrong`` keeps what is recorded.
        pool: the whole pool, where these are a part of it; a split is checked for all of it.
    """

    path: Path
    models: tuple[ModelRow, ...]
    exits: Mapping[str, tuple[ExitRow, ...]]
    listed: tuple[str, ...]
    absent: str = "defer"
    pool: Recordings | None = None
    _splits: dict[str, Split] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The pool's model names, in the order of ``models.csv``."""
        return tuple(row.name for row in self.models)

    @cached_property
    def data_warnings(self) -> tuple[str, ...]:
        """What was found wrong with the data that were recorded, before any training."""
        path = self.path / DATA_WARNINGS
        if not path.is_file():
            return ()
        return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines())

    def complete(self) -> Recordings:
        """The same without its networks with exits; the same object each time.

        Raises:
            CascadeError: if nothing is left.
        """
        return self._complete

    @cached_property
    def _complete(self) -> Recordings:
        models = tuple(row for row in self.models if row.name not in self.exits)
        if not models:
            raise CascadeError(
                f"{self.path / EXITS}: only networks with exits are left in the pool "
                f"({', '.join(self.names)}), and cascades are made of complete models; "
                f"cascade=exits cascade.network={self.names[0]} runs the exits of one"
            )
        return replace(self, models=models, exits={}, pool=self.pool or self)

    def network(self, name: str) -> Recordings:
        """The same with the network ``name`` alone.

        Raises:
            CascadeError: if it is not recorded, or has no exits.
        """
        table = self.path / EXITS
        if name in self.names and not table.is_file():
            raise CascadeError(
                f"{table}: missing; cascade=exits needs it: name, exit and a cost column "
                f"({', '.join(EXIT_COSTS)}), a row per exit of {name}"
            )
        if name not in self.exits:
            kind = "a complete model" if name in self.names else "not recorded"
            raise CascadeError(
                f"cascade.network={name}: {kind}; networks with exits here ({table}): "
                f"{', '.join(self.exits) or 'none'}{did_you_mean(name, self.exits)}"
            )
        models = tuple(row for row in self.models if row.name == name)
        exits = {name: self.exits[name]}
        return replace(self, models=models, exits=exits, pool=self.pool or self)

    def exit_costs(self, network: str, column: str) -> NDArray[np.float64]:
        """float64 [exits], what an example has cost at each exit, out of ``exits.csv``.

        Raises:
            CascadeError: if the column is missing for an exit, or its values do not grow.
        """
        table, rows = self.path / EXITS, self.exits[network]
        for row in rows:
            if column not in row.costs:
                known = sorted({c for r in rows for c in r.costs})
                raise CascadeError(
                    f"{table}: exit {row.exit} of {network} has no '{column}', which "
                    f"cost.column={column} needs; known for it: "
                    f"{', '.join(sorted(row.costs)) or 'nothing'}{_meant(column, known)}"
                )
        values = [row.costs[column] for row in rows]
        check_growing([row.exit for row in rows], values, column, network, str(table))
        return np.array(values, dtype=np.float64)

    def costs(self, column: str) -> NDArray[np.float64]:
        """float64 [M], the cost of each model out of ``column`` of ``models.csv``.

        Raises:
            CascadeError: if the column is missing, or a value is missing or negative.
        """
        table = self.path / "models.csv"
        values = []
        for row in self.models:
            if column not in row.costs:
                known = sorted({c for r in self.models for c in r.costs})
                raise CascadeError(
                    f"{table}: model {row.name} has no '{column}', which cost.column={column} "
                    f"needs; known for it: {', '.join(sorted(row.costs)) or 'nothing'}"
                    f"{_meant(column, known)}"
                )
            value = row.costs[column]
            if not (math.isfinite(value) and value >= 0):
                raise CascadeError(
                    f"{table}: model {row.name} has {column}={value!r}; a cost is a finite number "
                    "of 0 or more"
                )
            values.append(value)
        return np.array(values, dtype=np.float64)

    def split(self, name: str) -> Split:
        """Open the split ``name`` for these models; it is read once.

        Raises:
            CascadeError: if a file of the pool is missing or truncated, sizes or class counts
                differ, ``models.csv`` does not list a recording, the split is empty, or a label is
                outside the classes.
        """
        if name not in self._splits:
            self._splits[name] = self._read_split(name)
        return self._splits[name]

    def _read_split(self, name: str) -> Split:
        folder = self.path / name
        if not folder.is_dir():
            there = sorted(p.name for p in self.path.iterdir() if p.is_dir())
            raise CascadeError(
                f"{folder}: no such split in these recordings; found "
                f"{', '.join(there) or 'none'}{did_you_mean(name, there)}"
            )
        labels = load_integers(folder / "labels.npy")
        size = len(labels)
        if size == 0:
            raise CascadeError(f"{folder / 'labels.npy'}: the split is empty; expected examples")
        ids_file = folder / "ids.npy"
        ids = load_ids(ids_file) if ids_file.exists() else None
        if ids is not None and len(ids) != size:
            raise CascadeError(f"{ids_file}: {len(ids)} ids, expected {size} (labels.npy)")
        _check_listed(folder, self.listed)
        pool = self.pool or self
        found = {m: read_output(folder, m, size, ids, pool.exits.get(m)) for m in pool.names}
        recorded = {m: it.output for m, it in found.items()}
        classes = _classes(found)
        _check_labels(labels, classes, folder / "labels.npy")
        absent_from = _absent_from(recorded, labels)
        recorded = _with_absent(recorded, labels, self.absent)
        return Split(
            name=name,
            path=folder,
            labels=labels,
            ids=ids,
            outputs={model: recorded[model] for model in self.names},
            classes=classes,
            files={model: found[model].file for model in self.names},
            notes=tuple(_notes({model: found[model] for model in self.names})),
            absent_from=absent_from,
        )


@dataclass(frozen=True)
class ExitsSplit(Split):
    """One recorded split of one network; its outputs are those of the exits, each [N, K]."""

    network: str = ""

    def called(self, model: str) -> str:
        """What errors call an exit's outputs on this split."""
        return f"{self.file_of(model)}, exit {model.removeprefix(self.network + '@')}"


def exits_of(recordings: Recordings, split: str) -> ExitsSplit:
    """The split of ``recordings`` that hold one network alone (:meth:`Recordings.network`)."""
    ((network, rows),) = recordings.exits.items()
    found = recordings.split(split)
    logits = found.outputs[network]
    assert isinstance(logits, np.ndarray)
    outputs: dict[str, Recorded] = {
        exit_name(network, row.exit): logits[:, i] for i, row in enumerate(rows)
    }
    return ExitsSplit(
        found.name,
        found.path,
        found.labels,
        found.ids,
        outputs,
        found.classes,
        files=dict.fromkeys(outputs, found.files[network]),
        notes=found.notes,
        network=network,
    )


def open_recordings(
    path: Path | str,
    include: str | list[str] | None = None,
    exclude: str | list[str] | None = None,
    absent: str = "defer",
) -> Recordings:
    """Open the recordings folder ``path``, narrowed by ``include`` and ``exclude`` (``pool.*``).

    Args:
        absent: ``answers.absent``, what becomes of an absent answer.

    Raises:
        CascadeError: if the folder or its ``models.csv`` is missing or malformed.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise CascadeError(f"recordings={folder}: no such folder")
    rows = read_models(folder / "models.csv")
    kept = narrow([row.name for row in rows], include, exclude)
    exits = read_exits(folder, [row.name for row in rows])
    return Recordings(
        folder,
        tuple(row for row in rows if row.name in set(kept)),
        {name: its for name, its in exits.items() if name in set(kept)},
        tuple(row.name for row in rows),
        choice(absent, ABSENT_AS, "answers.absent"),
    )


def _meant(column: str, known: list[str]) -> str:
    """A hint at a column that is there; none where ``column`` itself is, and only a cell empty."""
    return "" if column in known else did_you_mean(column, known)


def _check_listed(folder: Path, listed: tuple[str, ...]) -> None:
    """Refuse a recording of a model that ``models.csv`` does not list."""
    for path in sorted(folder.iterdir()):
        name = model_of(path.name)
        if name is not None and name not in ("labels", "ids", *listed):
            raise CascadeError(
                f"{path}: models.csv lists no model '{name}'{did_you_mean(name, listed)}; "
                "expected a row of it, or no recording"
            )


def _check_labels(labels: NDArray[np.int64], classes: int | None, file: Path) -> None:
    """Refuse a label below 0, or not below the number of classes where logits have one."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= classes):
        row = int(np.argmax((labels < 0) | (labels >= (classes or np.inf))))
        limit = f"0..{classes - 1}" if classes is not None else "0 or more"
        raise CascadeError(f"{file}: row {row} has label {int(labels[row])}; expected {limit}")


def _classes(found: Mapping[str, ModelOutput]) -> int | None:
    known = {
        m: int(it.output.shape[-1])
        for m, it in found.items()
        if not isinstance(it.output, RecordedAnswers)
    }
    if not known:
        return None
    first, classes = next(iter(known.items()))
    for model, count in known.items():
        if count != classes:
            raise CascadeError(
                f"{found[model].file}: model {model} has {count} classes, {first} has "
                f"{classes}; all models of a pool must name the same classes"
            )
    if classes == 0:
        raise CascadeError(f"{found[first].file}: logits of no class")
    return classes


def _with_absent(
    recorded: Mapping[str, Recorded], labels: NDArray[np.int64], absent: str
) -> dict[str, Recorded]:
    """The same with every absent answer as one that is wrong, and under ``defer`` never confident.

    It becomes a class that no label and no other model uses, so that absent answers never agree.
    """
    free = _free_class(recorded, labels)
    found: dict[str, Recorded] = {}
    for place, (model, output) in enumerate(recorded.items()):
        if isinstance(output, RecordedAnswers) and (output.prediction == ABSENT).any():
            output = _absent_as_wrong(output, free + place, absent)
        found[model] = output
    return found


def _free_class(recorded: Mapping[str, Recorded], labels: NDArray[np.int64]) -> int:
    """The least class that neither a label nor an answer uses."""
    answers = [o for o in recorded.values() if isinstance(o, RecordedAnswers)]
    free = 1 + max((int(o.prediction.max(initial=0)) for o in answers), default=0)
    return max(free, 1 + int(labels.max()))


def _absent_from(recorded: Mapping[str, Recorded], labels: NDArray[np.int64]) -> int | None:
    """The class from which on predictions stand for absent answers; None where none is absent."""
    some = any(
        isinstance(o, RecordedAnswers) and (o.prediction == ABSENT).any() for o in recorded.values()
    )
    return _free_class(recorded, labels) if some else None


def _absent_as_wrong(output: RecordedAnswers, named: int, absent: str) -> RecordedAnswers:
    missing = output.prediction == ABSENT
    prediction = np.where(missing, named, output.prediction)
    if output.confidence is None:
        return RecordedAnswers(prediction, None)
    least = float(output.confidence[~missing].min(initial=np.inf))
    never = np.nextafter(least, -np.inf) if np.isfinite(least) else 0.0
    given = np.isfinite(output.confidence) if absent == "wrong" else np.zeros_like(missing)
    return RecordedAnswers(prediction, np.where(missing & ~given, never, output.confidence))


def _notes(found: Mapping[str, ModelOutput]) -> Iterator[str]:
    for it in found.values():
        if it.extra:
            yield f"{it.file}: {it.extra} rows are of examples that the split does not have."
