"""Reading a recordings folder (DESIGN §4): ``models.csv``, labels, logits and black-box answers.

Arrays are memory-mapped and checked for form here (shape, dtype, truncation, label range); their
values are checked where they are scored. Writing recordings lives in ``write``.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.recordings.names import check_name, narrow

COST_COLUMNS = ("macs", "params", "layers", "seconds", "dollars")


@dataclass(frozen=True)
class RecordedAnswers:
    """A black box's word on N examples: prediction int64 [N] and confidence float64 [N]."""

    prediction: NDArray[np.int64]
    confidence: NDArray[np.float64]


Recorded = NDArray[Any] | RecordedAnswers


@dataclass(frozen=True)
class ModelRow:
    """One row of ``models.csv``: the model's name and the cost columns that are known for it."""

    name: str
    costs: dict[str, float]


@dataclass(frozen=True)
class Split:
    """One recorded split.

    Attributes:
        labels: int64 [N].
        ids: int64 [N] or None where the folder holds none.
        outputs: by model, logits [N, K] (memory-mapped) or answers.
        classes: K, or None where only black boxes are recorded.
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


@dataclass(frozen=True)
class Recordings:
    """A recordings folder, narrowed to the models of the pool."""

    path: Path
    models: tuple[ModelRow, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The pool's model names, in the order of ``models.csv``."""
        return tuple(row.name for row in self.models)

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
                    f"{did_you_mean(column, known)}"
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
        """Open the split ``name`` for all models of the pool.

        Raises:
            CascadeError: if a file is missing or truncated, sizes or class counts differ, the split
                is empty, or a label is outside the classes.
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
        outputs = {model: _outputs(folder, model, size) for model in self.names}
        classes = _classes(folder, outputs)
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or (classes is not None and high >= classes):
            row = int(np.argmax((labels < 0) | (labels >= (classes or np.inf))))
            limit = f"0..{classes - 1}" if classes is not None else "0 or more"
            raise CascadeError(
                f"{folder / 'labels.npy'}: row {row} has label {int(labels[row])}; expected {limit}"
            )
        return Split(name, folder, labels, ids, outputs, classes)


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
    rows = _read_models(folder / "models.csv")
    kept = narrow([row.name for row in rows], include, exclude)
    return Recordings(folder, tuple(row for row in rows if row.name in set(kept)))


def _read_models(path: Path) -> list[ModelRow]:
    if not path.is_file():
        raise CascadeError(f"{path}: missing; a recordings folder lists its models there")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CascadeError(f"{path}: not a CSV table in UTF-8 ({error})") from None
    if not lines or "name" not in lines[0]:
        found = ",".join(lines[0]) if lines else "an empty file"
        raise CascadeError(f"{path}: no column 'name' in its first line (found {found})")
    header = lines[0]
    if len(set(header)) != len(header):
        raise CascadeError(f"{path}: the same column twice in {','.join(header)}")
    rows: list[ModelRow] = []
    seen: set[str] = set()
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        if len(line) != len(header):
            raise CascadeError(
                f"{path}: line {number} has {len(line)} fields, expected {len(header)}"
            )
        fields = dict(zip(header, line, strict=True))
        name = check_name(fields.pop("name"), f"{path}: line {number}")
        if name in seen:
            raise CascadeError(f"{path}: line {number}: a second model named {name}")
        seen.add(name)
        rows.append(ModelRow(name, _costs(fields, f"{path}: model {name}")))
    if not rows:
        raise CascadeError(f"{path}: lists no model")
    return rows


def _costs(fields: dict[str, str], where: str) -> dict[str, float]:
    costs = {}
    for column, text in fields.items():
        if not text.strip():
            continue
        try:
            costs[column] = float(text)
        except ValueError:
            if column in COST_COLUMNS:
                raise CascadeError(f"{where} has {column}={text!r}; expected a number") from None
    return costs


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
    return array


def _integers(path: Path) -> NDArray[np.int64]:
    array = _load(path)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise CascadeError(
            f"{path}: {array.dtype} of shape {list(array.shape)}, expected int64 of shape [N]"
        )
    return np.asarray(array, dtype=np.int64)


def _outputs(folder: Path, model: str, size: int) -> Recorded:
    logits_file, answers_file = folder / f"{model}.npy", folder / f"{model}.answers.npz"
    if logits_file.exists() and answers_file.exists():
        raise CascadeError(f"{folder}: both {logits_file.name} and {answers_file.name}; keep one")
    if answers_file.exists():
        return _answers(answers_file, model, size)
    if not logits_file.exists():
        raise CascadeError(
            f"{logits_file}: missing; models.csv lists {model}, so every split must hold its "
            f"outputs (or leave it out: pool.exclude={model})"
        )
    logits = _load(logits_file)
    if logits.ndim != 2 or logits.dtype.kind != "f" or logits.dtype.itemsize > 8:
        raise CascadeError(
            f"{logits_file}: {logits.dtype} of shape {list(logits.shape)}, expected float16, "
            "float32 or float64 logits of shape [N, K]"
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
    known = {m: int(o.shape[1]) for m, o in outputs.items() if isinstance(o, np.ndarray)}
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
