"""Writing a recordings folder, and the content-keyed store that recordings come from.

The format is docs/definitions.md#recordings.

A recording is kept once under its content key (weights, data, transform, code) in the store below
``paths.cache_dir`` and hard-linked into every job with the same key; parts of one, which several
jobs record, wait beside it until a job puts them together; ``models.csv`` is written
last, so a folder that has one is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.atomic import locked, replacing, sha256_of, write_text
from cascade_exp.recordings.exits import EXIT_COSTS, EXITS
from cascade_exp.recordings.folder import DATA_WARNINGS
from cascade_exp.recordings.models import COST_COLUMNS
from cascade_exp.tables import write_table


@dataclass(frozen=True)
class ContentKey:
    """sha256 digests of what a recording was made from.

    Attributes:
        weights: of the model. data: of the examples and how they were prepared for it.
        code: of the source that prepares, runs and records.
    """

    weights: str
    data: str
    code: str

    def digest(self) -> str:
        """One sha256 over the three parts."""
        text = json.dumps([self.weights, self.data, self.code])
        return hashlib.sha256(text.encode()).hexdigest()


class RecordingStore:
    """Recordings by content key, below one folder that jobs share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _file(self, key: ContentKey) -> Path:
        return self.folder / f"{key.digest()}.npy"

    def holds(self, key: ContentKey) -> bool:
        """Whether the store has a recording under ``key`` whose bytes are as they were written."""
        file = self._file(key)
        try:
            stored = json.loads(file.with_suffix(".json").read_text())
            return bool(stored["sha256"] == sha256_of(file))
        except (OSError, ValueError, KeyError, TypeError):  # not JSON, or not of this form
            return False

    def put(self, key: ContentKey, logits: NDArray[np.float32]) -> None:
        """Keep ``logits`` [N, K], or [N, exits, K], under ``key``, unless another job has done so.

        One job writes at a time, so that the file and its checksum are always of one job. Parts
        under ``key`` have served and go.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(key)
        with locked(file.with_suffix(".lock")):
            if not self.holds(key):
                save_array(file, logits)
                about = {"sha256": sha256_of(file), "recorded": _now(), **key.__dict__}
                write_text(file.with_suffix(".json"), json.dumps(about, indent=2))
        shutil.rmtree(self._parts(key), ignore_errors=True)

    def _parts(self, key: ContentKey) -> Path:
        return self.folder / f"{key.digest()}.parts"

    def holds_part(self, key: ContentKey, name: str) -> bool:
        """Whether the part ``name`` of the recording under ``key`` is kept whole."""
        return _read_part(self._parts(key) / f"{name}.npz") is not None

    def put_part(
        self, key: ContentKey, name: str, ids: NDArray[np.int64], logits: NDArray[np.float32]
    ) -> None:
        """Keep the rows ``logits`` [n, K], or [n, exits, K], of the examples ``ids`` [n]."""
        path = self._parts(key) / f"{name}.npz"
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, allow_pickle=False, ids=ids, logits=logits)

    def parts(self, key: ContentKey) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The ids [n] and logits [n, K] of each part under ``key`` that is whole, by name."""
        read = map(_read_part, sorted(self._parts(key).glob("*.npz")))
        return [part for part in read if part is not None]

    def get(self, key: ContentKey) -> NDArray[np.float32]:
        """What is kept under ``key``: logits [N, K]."""
        logits: NDArray[np.float32] = np.load(self._file(key), allow_pickle=False)
        return logits

    def place(self, key: ContentKey, target: Path, about: Mapping[str, Any]) -> None:
        """Put the recording under ``key`` at ``target`` as a real file, ``about`` beside it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        file = self._file(key)
        target.unlink(missing_ok=True)
        try:
            os.link(file, target)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(file, target)
        stored = json.loads(file.with_suffix(".json").read_text())
        beside = {"key": key.digest(), **stored, **about}
        write_text(target.with_suffix(".json"), json.dumps(beside, indent=2))


def _read_part(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
    """A part's ids and logits; None where there is none, or one whose bytes are damaged."""
    try:
        with np.load(path, allow_pickle=False) as part:  # zip has a checksum of each
            return part["ids"], part["logits"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def save_array(path: Path, array: NDArray[Any]) -> None:
    """``numpy.save`` that leaves either the whole file or none."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def write_models(folder: Path, costs: Mapping[str, Mapping[str, float]]) -> None:
    """Write ``models.csv``: one row per model, one column per cost that any model has.

    Recordings of other models, left by an earlier job in the same folder, go: no row lists them.
    """
    for path in folder.glob("*/*.npy"):
        if path.stem not in ("labels", "ids", *costs):
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
    columns = [c for c in COST_COLUMNS if any(c in known for known in costs.values())]
    rows = ([name, *map(known.get, columns)] for name, known in costs.items())
    write_table(folder / "models.csv", ["name", *columns], rows)


def write_exits(folder: Path, networks: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Write ``exits.csv`` for ``networks``: by name, of each exit the costs it has come to.

    A cost that is not known is an empty cell. Without networks there is no such file.
    """
    rows = [(name, e, cost) for name, exits in networks.items() for e, cost in enumerate(exits, 1)]
    if not rows:
        (folder / EXITS).unlink(missing_ok=True)
        return
    cells = ([name, exit, *map(cost.get, EXIT_COSTS)] for name, exit, cost in rows)
    write_table(folder / EXITS, ["name", "exit", *EXIT_COSTS], cells)


def write_labels(
    folder: Path, labels: NDArray[np.int64], ids: NDArray[np.int64], job: str | None = None
) -> None:
    """Write one split's ``labels.npy`` and ``ids.npy``, and beside each its checksum.

    Args:
        job: the key of the job that records the split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("labels", labels), ("ids", ids)):
        path = folder / f"{name}.npy"
        save_array(path, array.astype(np.int64))
        about = {"sha256": sha256_of(path), "recorded": _now(), "job": job}
        write_text(path.with_suffix(".json"), json.dumps(about, indent=2))


def write_data_warnings(folder: Path, warnings: Sequence[str]) -> None:
    """Write what was wrong with the data that were recorded, a line each; none: no file."""
    path = folder / DATA_WARNINGS
    if not warnings:
        path.unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(f"{' '.join(warning.split())}\n" for warning in warnings))


def code_revision(packages: Sequence[str] = ("models", "data", "recordings")) -> str:
    """sha256 over the source files that decide what a recording holds."""
    root = Path(__file__).parent.parent
    return sha256_of(*sorted(f for p in packages for f in (root / p).rglob("*.py")))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
