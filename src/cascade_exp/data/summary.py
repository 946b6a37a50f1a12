"""What a user should know about the data before anything is trained: classes, counts, doubts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cascade_exp.data.examples import Choice, Examples, Ints, Source
from cascade_exp.data.splitting import SPLITS, Splits
from cascade_exp.errors import CascadeError

FEW = 5
SHOWN = 20
ENDS = 4096


@dataclass(frozen=True)
class Summary:
    """The classes of a data set with their examples by split, and what looks wrong.

    Attributes:
        counts: int64 [K, splits], examples of each class in each split.
        splits: their names; ``classes``: the K names.
        warnings: one line each.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    counts: Ints
    warnings: tuple[str, ...]

    def table(self) -> list[str]:
        """The counts as lines of text; of more than 20 classes the 10 largest and 10 smallest."""
        order = np.arange(len(self.classes))
        if len(order) > SHOWN:
            order = np.argsort(-self.counts.sum(axis=1), kind="stable")
            order = np.concatenate([order[: SHOWN // 2], order[-SHOWN // 2 :]])
        rows = [["class", *self.splits]]
        rows += [[_short(self.classes[i]), *(f"{n:,}" for n in self.counts[i])] for i in order]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            f"  {row[0]:<{widths[0]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in rows
        ]
        if len(self.classes) > SHOWN:
            lines.insert(1 + SHOWN // 2, f"  … {len(self.classes) - SHOWN:,} classes between")
        return lines


def summarise(source: Source, splits: Splits) -> Summary:
    """Count the classes by split and look for what makes results worthless.

    Warnings name: what the source noticed while reading, classes without an example in a split,
    splits without a common class, classes with fewer than 5 training examples, inputs that two
    splits share (texts up to case and blanks, images byte by byte), inputs with several labels.

    Raises:
        CascadeError: if an image file cannot be read.
    """
    names = (*SPLITS, *splits.further)
    size = len(source.classes)
    counts = np.stack(
        [np.bincount(splits.named(name).labels, minlength=size) for name in names], axis=1
    ).astype(np.int64)
    warnings = [
        *source.notes,
        *_missing(source.classes, names, counts),
        *_few(source.classes, counts),
        *_shared(splits),
    ]
    return Summary(source.classes, names, counts, tuple(warnings))


def _missing(classes: Sequence[str], names: Sequence[str], counts: Ints) -> list[str]:
    """Classes that a split has no example of, by the splits that lack them."""
    lacking: dict[tuple[str, ...], list[str]] = {}
    for name, row in zip(classes, counts, strict=True):
        absent = tuple(split for split, n in zip(names, row, strict=True) if n == 0)
        if absent:
            lacking.setdefault(absent, []).append(name)
    lines = [
        f"{_named(found)} no example in {' and '.join(absent)}" for absent, found in lacking.items()
    ]
    for one, other in combinations(range(len(names)), 2):
        if not np.any((counts[:, one] > 0) & (counts[:, other] > 0)):
            lines.append(f"{names[one]} and {names[other]} have no class in common")
    return lines


def _few(classes: Sequence[str], counts: Ints) -> list[str]:
    """Classes with fewer than :data:`FEW` training examples, though with some."""
    train = counts[:, 0] + counts[:, 1]
    few = np.flatnonzero((train > 0) & (train < FEW)).tolist()
    if not few:
        return []
    return [
        f"{_named([classes[i] for i in few])} fewer than {FEW} training examples, too few to learn "
        f"({', '.join(str(train[i]) for i in few[:SHOWN])})"
    ]


def _shared(splits: Splits) -> list[str]:
    """Inputs that two splits share, and inputs that carry several labels."""
    parts = {name: splits.named(name) for name in (*SPLITS, *splits.further)}
    digests = _digests(list(parts.values()))
    keys = dict(zip(parts, digests, strict=True))
    fitted = set(keys["train"].tolist()) | set(keys["validation"].tolist())
    kind = "texts" if not isinstance(splits.train.inputs, np.ndarray) else "images"
    if len(splits.train) and isinstance(splits.train.inputs[0], Path):
        kind = "images"
    lines = []
    for name in ("selection", "report", *splits.further):
        lines += _overlap(name, keys[name], "train", fitted, kind)
    for name in ("report", *splits.further):
        lines += _overlap(name, keys[name], "selection", set(keys["selection"].tolist()), kind)
    several = _several_labels(np.concatenate(digests), [part.labels for part in parts.values()])
    if several:
        lines.append(f"{several:,} {kind} are there more than once with different labels")
    return lines


def _overlap(
    name: str, keys: NDArray[np.bytes_], other: str, known: set[bytes], kind: str
) -> list[str]:
    shared = sum(key in known for key in keys.tolist() if key)
    if not shared:
        return []
    says = "new ones" if other == "train" else "examples that chose no threshold"
    return [
        f"{shared:,} of {len(keys):,} {kind} of {name} are in {other}, too: results on them say "
        f"little about {says}"
    ]


def _several_labels(keys: NDArray[np.bytes_], labels: Sequence[Ints]) -> int:
    """How many different inputs occur with more than one label."""
    pairs = {(key, int(y)) for key, y in zip(keys, np.concatenate(labels), strict=True) if key}
    return sum(count > 1 for count in Counter(key for key, _ in pairs).values())


def _digests(parts: Sequence[Examples]) -> list[NDArray[np.bytes_]]:
    """16 bytes per input that are equal for equal inputs, per part.

    Of image files, only those are opened whose size in bytes another one has; the digest of any
    other is empty, as it equals none.
    """
    sizes: Counter[int] = Counter()
    for part in parts:
        sizes.update(item.stat().st_size for item in part.inputs if isinstance(item, Path))
    return [np.array([_digest(item, sizes) for item in part.inputs], "S16") for part in parts]


def _digest(item: object, sizes: Counter[int]) -> bytes:
    if isinstance(item, np.ndarray):
        return _hash([np.ascontiguousarray(item).tobytes()])
    if isinstance(item, Path):
        return _hash([_ends(item)]) if sizes[item.stat().st_size] > 1 else b""
    texts = (item.context, *item.endings) if isinstance(item, Choice) else item
    assert isinstance(texts, tuple)
    return _hash(
        b"" if text is None else " ".join(text.split()).casefold().encode("utf-8", "surrogatepass")
        for text in texts
    )


def _ends(path: Path) -> bytes:
    """The first and last 4 KB of a file and its size."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            first = file.read(ENDS)
            file.seek(max(size - ENDS, 0))
            return first + file.read(ENDS) + str(size).encode()
    except OSError as error:
        raise CascadeError(f"{path}: cannot be read: {error.strerror}") from error


def _hash(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest().encode()


def _named(classes: Sequence[str]) -> str:
    """Subject and verb: class a has, classes a, b have."""
    shown = ", ".join(f"'{_short(name)}'" for name in classes[:SHOWN])
    more = f" and {len(classes) - SHOWN:,} more" if len(classes) > SHOWN else ""
    return f"class {shown} has" if len(classes) == 1 else f"classes {shown}{more} have"


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"
