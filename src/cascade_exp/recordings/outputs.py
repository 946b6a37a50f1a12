"""One model's outputs on one split: logits, probabilities or answers, in the order of the labels.

Formats: ``<name>.npy`` (logits [N, K]; of a network with exits [N, exits, K]),
``<name>.probabilities.npy`` (rows that sum to 1, read as log p) and ``<name>.answers.npz``; rows
in another order than the labels have their ids beside them (``<name>.ids.npy``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.arrays import Ids, as_ids, load_array, load_ids, load_members
from cascade_exp.recordings.exits import EXITS, ExitRow

LOGITS, PROBABILITIES, ANSWERS, IDS = ".npy", ".probabilities.npy", ".answers.npz", ".ids.npy"
ENDINGS = (IDS, PROBABILITIES, ANSWERS, LOGITS)  # the longer before the shorter
ABSENT = -1
"""The prediction of a model that gave no answer."""
NEVER = 1e6
"""How far below the highest logit of its row the logit -inf is put: p = 0 at every temperature."""
CHUNK = 1 << 22  # elements that are looked at together


@dataclass(frozen=True)
class RecordedAnswers:
    """A black box's answers to N examples.

    Attributes:
        prediction: int64 [N]; :data:`ABSENT` where there is none.
        confidence: float64 [N], NaN only where there is no prediction; None where none is recorded.
    """

    prediction: NDArray[np.int64]
    confidence: NDArray[np.float64] | None


Recorded = NDArray[Any] | RecordedAnswers


@dataclass(frozen=True)
class ModelOutput:
    """One model's outputs on one split.

    Attributes:
        extra: how many of its rows are of examples that the split does not have.
    """

    file: Path
    output: Recorded
    extra: int = 0


def read_output(
    folder: Path, model: str, size: int, ids: Ids | None, exits: Sequence[ExitRow] | None
) -> ModelOutput:
    """Read ``model``'s outputs in ``folder``, its rows in the order of the split's ``ids``.

    Args:
        size: number of examples N of the split.
        exits: of a network with exits, its rows of ``exits.csv``.

    Raises:
        CascadeError: if there is none, more than one, or one of another form.
    """
    there = [folder / f"{model}{ending}" for ending in (LOGITS, PROBABILITIES, ANSWERS)]
    there = [path for path in there if path.exists()]
    if len(there) > 1:
        raise CascadeError(f"{folder}: both {there[0].name} and {there[1].name}; keep one")
    if not there:
        raise CascadeError(f"{folder / (model + LOGITS)}: missing; {_instead(folder, model)}")
    (file,) = there
    ids_file = folder / f"{model}{IDS}"
    given = load_ids(ids_file) if ids_file.exists() else None
    rows = size if given is None else len(given)
    output: Recorded
    if file.name.endswith(ANSWERS):
        if exits is not None:
            raise CascadeError(
                f"{file}: answers of {model}, which {EXITS} lists; an early-exit network is "
                f"recorded as logits [N, exits, K] in {model}{LOGITS}"
            )
        output, inside = _answers(file, model, rows)
        given = inside if given is None else given
    else:
        output = _logits(file, model, rows, exits)
    if given is None:
        return ModelOutput(file, output)
    order, extra = _order(given, ids, ids_file if ids_file.exists() else file, folder / "ids.npy")
    return ModelOutput(file, _taken(output, order), extra)


def model_of(file_name: str) -> str | None:
    """The model that a file in a split's folder is of; None for a file of no model."""
    for ending in ENDINGS:
        if file_name.endswith(ending) and file_name != ending:
            return file_name.removesuffix(ending)
    return None


def _instead(folder: Path, model: str) -> str:
    """What to do about a recording that is missing: there may be one in another format."""
    load = {
        ".pt": "torch.load(FILE).numpy()",
        ".pth": "torch.load(FILE).numpy()",
        ".npz": "np.load(FILE)[NAME]",
        ".csv": "np.loadtxt(FILE, delimiter=',')",
    }
    for ending, how in load.items():
        if (folder / f"{model}{ending}").is_file():
            how = how.replace("FILE", f"'{model}{ending}'")
            return f"{model}{ending} lies there; convert it: np.save('{model}.npy', {how})"
    return (
        f"models.csv lists {model}, so every split must hold its outputs (or leave it out: "
        f"pool.exclude={model})"
    )


def _logits(file: Path, model: str, size: int, exits: Sequence[ExitRow] | None) -> NDArray[Any]:
    logits = load_array(file)
    shape = "[N, K]" if exits is None else "[N, exits, K]"
    dimensions = 2 if exits is None else 3
    if logits.ndim != dimensions or logits.dtype.kind != "f" or logits.dtype.itemsize > 8:
        listed = "lists no exits" if exits is None else f"lists {len(exits)} exits"
        raise CascadeError(
            f"{file}: {logits.dtype} of shape {list(logits.shape)}, expected float16, "
            f"float32 or float64 logits of shape {shape}, as {EXITS} {listed} of {model}"
        )
    if exits is not None and logits.shape[1] != len(exits):
        raise CascadeError(
            f"{file}: {logits.shape[1]} exits of {model}, but {EXITS} lists {len(exits)}"
        )
    if len(logits) != size:
        raise CascadeError(
            f"{file}: {len(logits)} rows for model {model}, expected {size} (labels.npy)"
        )
    if logits.shape[-1] == 1:
        raise CascadeError(
            f"{file}: one column for model {model}; a binary model with one logit z per example "
            "is recorded as two columns: np.stack([np.zeros(len(z)), z], axis=1)"
        )
    if file.name.endswith(PROBABILITIES):
        return _log_probabilities(logits, file)
    if len(logits) and are_probabilities(logits):
        raise CascadeError(
            f"{file}: probabilities of {model} (every row is >= 0 and sums to 1), expected "
            f"logits; rename the file to {model}{PROBABILITIES}, which is read as log p"
        )
    return _without_infinities(logits, file)


def _chunks(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """The rows of ``array``, some millions of elements at a time, each with its first row."""
    step = max(1, CHUNK // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), step):
        yield start, np.asarray(array[start : start + step])


def are_probabilities(rows: NDArray[Any]) -> bool:
    """Whether every row [..., K] is >= 0 and sums to 1, as far as its precision goes."""
    first = np.asarray(rows[:64], dtype=np.float64)  # decides nearly always
    if not _distributions(first, rows.dtype).all():
        return False
    return all(_distributions(part, rows.dtype).all() for _, part in _chunks(rows))


def _distributions(rows: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """bool [N]: which rows [N, ..., K] are distributions over K classes."""
    tolerance = 1e-2 if dtype.itemsize == 2 else 1e-3
    with np.errstate(invalid="ignore"):
        good = (rows >= 0).all(axis=-1)
        good &= np.abs(rows.sum(axis=-1, dtype=np.float64) - 1) <= tolerance
    return np.asarray(good.reshape(len(rows), -1).all(axis=1), dtype=np.bool_)


def _log_probabilities(rows: NDArray[Any], file: Path) -> NDArray[np.float64]:
    logs = np.empty(rows.shape)
    for start, part in _chunks(rows):
        good = _distributions(part, rows.dtype)
        if not good.all():
            row = start + int(np.argmin(good))
            raise CascadeError(
                f"{file}: row {row} is no distribution over the classes; expected numbers >= 0 "
                "that sum to 1"
            )
        with np.errstate(divide="ignore"):
            logs[start : start + len(part)] = np.log(part.astype(np.float64))
    return _without_infinities(logs, file)


def _without_infinities(logits: NDArray[Any], file: Path) -> NDArray[Any]:
    """The same with -inf, a choice that does not exist, as a finite logit with probability 0.

    NaN and +inf are left for the scan of the scores, which names their row.

    Raises:
        CascadeError: if a row is -inf throughout.
    """
    pattern = {2: (np.uint16, 0xFC00), 4: (np.uint32, 0xFF800000), 8: (np.uint64, 0xFFF << 52)}
    bits, infinite = pattern[logits.dtype.itemsize]
    native = logits.dtype.isnative
    # comparing bits is several times faster than comparing float16
    if not any(
        (part.view(bits) == infinite).any() if native else np.isneginf(part).any()
        for _, part in _chunks(logits)
    ):
        return logits
    filled = np.array(logits, dtype=np.float64)
    absent = np.isneginf(filled)
    if absent.all(axis=-1).any():
        row = int(np.argmax(absent.all(axis=-1).reshape(len(filled), -1).any(axis=1)))
        raise CascadeError(f"{file}: row {row} is -inf throughout; expected a choice that exists")
    highest = filled.max(axis=-1, keepdims=True)
    return np.where(absent, highest - NEVER, filled)


def _answers(file: Path, model: str, size: int) -> tuple[RecordedAnswers, Ids | None]:
    found = load_members(
        file, {"prediction": "iuf"}, {"confidence": "fiu", "ids": "iuU"}, size, model
    )
    prediction = _predictions(found["prediction"], file, model)
    confidence = found.get("confidence")
    if confidence is not None:
        confidence = confidence.astype(np.float64)
        bad = ~np.isfinite(confidence) & (prediction != ABSENT)
        if bad.any():
            row = int(np.argmax(bad))
            raise CascadeError(
                f"{file}: row {row} of model {model} has prediction {int(prediction[row])} and "
                f"confidence {float(confidence[row])!r}; expected a finite number"
            )
    ids = found.get("ids")
    return RecordedAnswers(prediction, confidence), (
        None if ids is None else as_ids(ids, f"{file}: ids")
    )


def _predictions(given: NDArray[Any], file: Path, model: str) -> NDArray[np.int64]:
    """int64 [N]: predictions of 0 or more, or :data:`ABSENT`, also for NaN among floats."""
    whole = given
    if given.dtype.kind == "f":
        whole = np.where(np.isnan(given), ABSENT, given)
        fine = np.isfinite(whole) & (whole == np.round(whole)) & (np.abs(whole) < 2**53)
        whole = np.where(fine, whole, ABSENT - 1)
    prediction = whole.astype(np.int64)
    bad = prediction < ABSENT
    if bad.any():
        row = int(np.argmax(bad))
        raise CascadeError(
            f"{file}: row {row} of model {model} has prediction {given[row].item()!r}; expected "
            f"an integer of 0 or more, or {ABSENT} where the model gave no answer"
        )
    return prediction


def _order(given: Ids, ids: Ids | None, file: Path, ids_file: Path) -> tuple[NDArray[Any], int]:
    """Of each example in ``ids``, its row in ``given``; and how many rows of it are left over.

    Raises:
        CascadeError: if there are no ids to align to, an id comes twice, or one is missing.
    """
    if ids is None:
        raise CascadeError(
            f"{ids_file}: missing; {file.name} gives the example of each row, so that "
            "ids.npy must give that of each label"
        )
    if given.dtype.kind != ids.dtype.kind:  # 17 and "17" are the same id
        given, ids = given.astype(np.str_), ids.astype(np.str_)
    for path, values in ((file, given), (ids_file, ids)):
        unique, counts = np.unique(values, return_counts=True)
        if len(unique) != len(values):
            twice = unique[int(np.argmax(counts > 1))]
            raise CascadeError(f"{path}: id {twice} more than once; expected each once")
    sorting = np.argsort(given, kind="stable")
    place = np.minimum(np.searchsorted(given[sorting], ids), max(len(given) - 1, 0))
    missing = given[sorting][place] != ids if len(given) else np.ones(len(ids), dtype=bool)
    if missing.any():
        raise CascadeError(
            f"{file}: {int(missing.sum())} of {len(ids)} examples of ids.npy are missing, the "
            f"first with id {ids[int(np.argmax(missing))]}"
        )
    return sorting[place], len(given) - len(ids)


def _taken(output: Recorded, order: NDArray[Any]) -> Recorded:
    """The rows ``order`` of ``output``; the array itself where they are all of it, in order."""
    if isinstance(output, RecordedAnswers):
        confidence = None if output.confidence is None else output.confidence[order]
        return replace(output, prediction=output.prediction[order], confidence=confidence)
    whole = len(order) == len(output) and bool((order == np.arange(len(order))).all())
    return output if whole else output[order]
