"""Reading a recordings folder: ``models.csv``, labels, logits and black-box answers.

The format is docs/definitions.md#recordings.

Arrays are memory-mapped and checked for form here (shape, dtype, truncation, label range); their
values are checked where they are scored. Writing recordings lives in ``write``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.recordings.about import check_array
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


@dataclass(frozen=True)
class RecordedAnswers:
    """A black box's word on N examples: prediction int64 [N] and confidence float64 [N]."""

    prediction: NDArray[np.int64]
    confidence: NDArray[np.float64]


Recorded = NDArray[Any] | RecordedAnswers


@dataclass(frozen=True)
class Split:
    """One recorded split.

    Attributes:
        labels: int64 [N].
        ids: int64 [N] or None where the folder holds none.
        outputs: by model, logits [N, K] (memory-mapped; of a network with exits [N, exits, K]) or
            answers.
        classes: K of the whole pool, or None where it holds black boxes only.
    """

    name: str
    path: Path
    labels: NDArray[np.int64]
    ids: NDArray[np.int64] | None
    outputs: dict[str, Recorded]
    classes: int | None

    def file_of(self, model: str) -> Path:
        """The file that holds ``model``'s outputs on this split."""
        suffix = ".answers.npz" if isinstance(self.outputs[model], RecordedAnswers) else ".npy"
        return self.path / f"{model}{suffix}"

    def called(self, model: str) -> str:
        """What errors call ``model``'s outputs on this split."""
        return str(self.file_of(model))


@dataclass(frozen=True)
class Recordings:
    """A recordings folder, narrowed to the models of the pool.

    Attributes:
        exits: by network with exits, its exits; complete models are not in it.
        listed: all models of ``models.csv``, whether in the pool or not.
        pool: the whole pool, where these are a part of it; a split is checked for all of it.
    """

    path: Path
    models: tuple[ModelRow, ...]
    exits: Mapping[str, tuple[ExitRow, ...]]
    listed: tuple[str, ...]
    pool: Recordings | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The pool's model names, in the order of ``models.csv``."""
        return tuple(row.name for row in self.models)

    def complete(self) -> Recordings:
        """The same without its networks with exits.

        Raises:
            CascadeError: if nothing is left.
        """
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
            CascadeError: if the column is missing, or a value is missing, zero or negative.
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
            if not (math.isfinite(value) and value > 0):
                raise CascadeError(
                    f"{table}: model {row.name} has {column}={value!r}; a cost is a finite number "
                    "above 0"
                )
            values.append(value)
        return np.array(values, dtype=np.float64)

    def split(self, name: str) -> Split:
        """Open the split ``name`` for these models.

        Raises:
            CascadeError: if a file of the pool is missing or truncated, sizes or class counts
                differ, ``models.csv`` does not list a recording, the split is empty, or a label is
                outside the classes.
        """
        folder = self.path / name
        if not folder.is_dir():
            there = sorted(p.name for p in self.path.iterdir() if p.is_dir())
            raise CascadeError(
                f"{folder}: no such split in these recordings; found "
                f"{', '.join(there) or 'none'}{did_you_mean(name, there)}"
            )
        labels = _integers(folder / "labels.npy")
        size = len(labels)
        if size == 0:
            raise CascadeError(f"{folder / 'labels.npy'}: the split is empty; expected examples")
        ids_file = folder / "ids.npy"
        ids = _integers(ids_file) if ids_file.exists() else None
        if ids is not None and len(ids) != size:
            raise CascadeError(f"{ids_file}: {len(ids)} ids, expected {size} (labels.npy)")
        _check_listed(folder, self.listed)
        pool = self.pool or self
        recorded = {m: _outputs(folder, m, size, pool.exits.get(m)) for m in pool.names}
        classes = _classes(folder, recorded)
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or (classes is not None and high >= classes):
            row = int(np.argmax((labels < 0) | (labels >= (classes or np.inf))))
            limit = f"0..{classes - 1}" if classes is not None else "0 or more"
            raise CascadeError(
                f"{folder / 'labels.npy'}: row {row} has label {int(labels[row])}; expected {limit}"
            )
        outputs = {model: recorded[model] for model in self.names}
        return Split(name, folder, labels, ids, outputs, classes)


@dataclass(frozen=True)
class ExitsSplit(Split):
    """One recorded split of one network; its outputs are those of the exits, each [N, K]."""

    network: str

    def file_of(self, model: str) -> Path:
        """The one file of all exits."""
        return self.path / f"{self.network}.npy"

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
        found.name, found.path, found.labels, found.ids, outputs, found.classes, network
    )


def open_recordings(
    path: Path | str,
    include: str | list[str] | None = None,
    exclude: str | list[str] | None = None,
) -> Recordings:
    """Open the recordings folder ``path``, narrowed by ``include`` and ``exclude`` (``pool.*``).

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
    )


def _load(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise CascadeError(f"{path}: missing")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CascadeError(f"{path}: truncated or not a plain .npy array ({reason})") from None
    if not isinstance(array, np.ndarray):
        raise CascadeError(f"{path}: an archive, expected a plain .npy array")
    check_array(path)
    return array


def _meant(column: str, known: list[str]) -> str:
    """A hint at a column that is there; none where ``column`` itself is, and only a cell empty."""
    return "" if column in known else did_you_mean(column, known)


def _check_listed(folder: Path, listed: tuple[str, ...]) -> None:
    """Refuse a recording of a model that ``models.csv`` does not list."""
    for path in sorted(folder.iterdir()):
        for suffix in (".npy", ".answers.npz"):
            name = path.name.removesuffix(suffix)
            if name not in (path.name, "labels", "ids", *listed):
                raise CascadeError(
                    f"{path}: models.csv lists no model '{name}'{did_you_mean(name, listed)}; "
                    "expected a row of it, or no recording"
                )


def _integers(path: Path) -> NDArray[np.int64]:
    array = _load(path)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise CascadeError(
            f"{path}: {array.dtype} of shape {list(array.shape)}, expected int64 of shape [N]"
        )
    return np.asarray(array, dtype=np.int64)


def _outputs(folder: Path, model: str, size: int, exits: tuple[ExitRow, ...] | None) -> Recorded:
    logits_file, answers_file = folder / f"{model}.npy", folder / f"{model}.answers.npz"
    if logits_file.exists() and answers_file.exists():
        raise CascadeError(f"{folder}: both {logits_file.name} and {answers_file.name}; keep one")
    if answers_file.exists() and exits is not None:
        raise CascadeError(
            f"{answers_file}: answers of {model}, which {EXITS} lists; an early-exit network is "
            f"recorded as logits [N, exits, K] in {logits_file.name}"
        )
    if answers_file.exists():
        return _answers(answers_file, model, size)
    if not logits_file.exists():
        raise CascadeError(
            f"{logits_file}: missing; models.csv lists {model}, so every split must hold its "
            f"outputs (or leave it out: pool.exclude={model})"
        )
    logits = _load(logits_file)
    shape = "[N, K]" if exits is None else "[N, exits, K]"
    dimensions = 2 if exits is None else 3
    if logits.ndim != dimensions or logits.dtype.kind != "f" or logits.dtype.itemsize > 8:
        listed = "lists no exits" if exits is None else f"lists {len(exits)} exits"
        raise CascadeError(
            f"{logits_file}: {logits.dtype} of shape {list(logits.shape)}, expected float16, "
            f"float32 or float64 logits of shape {shape}, as {EXITS} {listed} of {model}"
        )
    if exits is not None and logits.shape[1] != len(exits):
        raise CascadeError(
            f"{logits_file}: {logits.shape[1]} exits of {model}, but {EXITS} lists {len(exits)}"
        )
    if len(logits) != size:
        raise CascadeError(
            f"{logits_file}: {len(logits)} rows for model {model}, expected {size} (labels.npy)"
        )
    return logits


def _answers(path: Path, model: str, size: int) -> RecordedAnswers:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = {"prediction", "confidence"} - set(archive.files)
            if missing:
                raise CascadeError(f"{path}: no array '{min(missing)}' for model {model}")
            prediction, confidence = archive["prediction"], archive["confidence"]
    except CascadeError:
        raise
    except Exception as error:
        # zipfile, zlib and numpy each raise their own kinds for a damaged archive
        reason = " ".join(str(error).split())
        raise CascadeError(f"{path}: truncated or not an .npz archive ({reason})") from None
    if prediction.shape != (size,) or confidence.shape != (size,):
        raise CascadeError(
            f"{path}: prediction {list(prediction.shape)} and confidence "
            f"{list(confidence.shape)} for model {model}, expected [{size}] each (labels.npy)"
        )
    if prediction.dtype.kind not in "iu" or confidence.dtype.kind not in "fiu":
        raise CascadeError(
            f"{path}: prediction {prediction.dtype} and confidence {confidence.dtype} for model "
            f"{model}, expected integers and floats"
        )
    confidence = confidence.astype(np.float64)
    bad = (prediction < 0) | ~np.isfinite(confidence)
    if bad.any():
        row = int(np.argmax(bad))
        raise CascadeError(
            f"{path}: row {row} of model {model} has prediction {int(prediction[row])} and "
            f"confidence {float(confidence[row])!r}; expected an integer of 0 or more and a finite "
            "number"
        )
    return RecordedAnswers(prediction.astype(np.int64), confidence)


def _classes(folder: Path, outputs: dict[str, Recorded]) -> int | None:
    known = {m: int(o.shape[-1]) for m, o in outputs.items() if isinstance(o, np.ndarray)}
    if not known:
        return None
    first, classes = next(iter(known.items()))
    for model, count in known.items():
        if count != classes:
            raise CascadeError(
                f"{folder / (model + '.npy')}: model {model} has {count} classes, {first} has "
                f"{classes}; all models of a pool must name the same classes"
            )
    if classes == 0:
        raise CascadeError(f"{folder / (first + '.npy')}: logits of no class")
    return classes
