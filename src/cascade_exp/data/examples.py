"""What a data set is here: examples with stable ids, and the labelled sets a source comes with.

The one representation between the loaders and the data modules. Cutting it into splits lives in
``splitting``; turning inputs into tensors in ``images`` and ``text``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cascade_exp.errors import CascadeError

Ints = NDArray[np.int64]
Text = tuple[str, str | None]
Kind = Literal["image", "text", "choice"]


@dataclass(frozen=True)
class Choice:
    """A multiple-choice question: the context, and the endings to choose from."""

    context: str
    endings: tuple[str, ...]


Inputs = NDArray[np.uint8] | Sequence[Path] | Sequence[Text] | Sequence[Choice]


@dataclass(frozen=True, eq=False)
class Examples:
    """N labelled examples.

    Attributes:
        ids: int64 [N], unique over the whole source; recordings are sorted by them.
        labels: int64 [N], indices into the source's classes.
        inputs: uint8 [N, H, W, C] images, or N image files, or N (text, second text or None), or N
            :class:`Choice`, all of as many endings as there are classes.

    Raises:
        ValueError: if the three differ in length.
    """

    ids: Ints
    labels: Ints
    inputs: Inputs

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.labels) == len(self.inputs):
            raise ValueError(
                f"{len(self.ids)} ids, {len(self.labels)} labels, {len(self.inputs)} inputs"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Ints) -> Examples:
        """The examples at these positions (int64 [M]), in this order."""
        inputs: Inputs
        if isinstance(self.inputs, np.ndarray):
            inputs = self.inputs[indices]
        else:
            inputs = [self.inputs[i] for i in indices]  # type: ignore[assignment]
        return Examples(ids=self.ids[indices], labels=self.labels[indices], inputs=inputs)


@dataclass(frozen=True, eq=False)
class Source:
    """A labelled data set as its publisher cut it.

    Attributes:
        name: what reports call it.
        kind: what the inputs are.
        classes: the K class names; a label is an index into them.
        train: what models may be fitted on.
        test: the labelled official test or dev set, None where there is none.
        selection: a selection split of the source's own, None where there is none.
        further: other labelled test sets by name, to report on as they are.
        notes: what was noticed while reading, one line each, for the user.
        vocabulary: every word that the texts can hold, where that is known; else None.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]
    train: Examples
    test: Examples | None = None
    selection: Examples | None = None
    further: Mapping[str, Examples] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] | None = None


def source_of(
    name: str,
    kind: Kind,
    classes: Sequence[str],
    train: tuple[Ints, Inputs],
    test: tuple[Ints, Inputs] | None = None,
    selection: tuple[Ints, Inputs] | None = None,
    further: Mapping[str, tuple[Ints, Inputs]] | None = None,
    notes: Sequence[str] = (),
) -> Source:
    """A :class:`Source` from (labels, inputs) of its sets, with ids given out in order.

    An id is the position in train, then n_train + the position in test, then n_train + n_test + the
    position in the own selection split, and so on through the further sets.

    Raises:
        CascadeError: if train is empty, or there are fewer than two classes.
    """
    if len(train[0]) == 0:
        raise CascadeError(f"data {name}: no training examples; expected at least one")
    if len(classes) < 2:
        raise CascadeError(
            f"data {name}: one class only ({', '.join(classes)}); expected at least two"
        )
    first = 0
    sets: list[Examples | None] = []
    others = further or {}
    for pair in (train, test, selection, *others.values()):
        if pair is None:
            sets.append(None)
            continue
        labels, inputs = pair
        ids = np.arange(first, first + len(labels), dtype=np.int64)
        sets.append(Examples(ids=ids, labels=np.asarray(labels, dtype=np.int64), inputs=inputs))
        first += len(labels)
    own_train = sets[0]
    assert own_train is not None
    named = {name: it for name, it in zip(others, sets[3:], strict=True) if it is not None}
    return Source(
        name, kind, tuple(classes), own_train, sets[1], sets[2], named, notes=tuple(notes)
    )


def fingerprint(examples: Examples) -> str:
    """Hex sha256 of ids, labels and inputs; the bytes of image files count, not their names.

    Raises:
        CascadeError: if an image file cannot be read.
    """
    digest = hashlib.sha256()

    def feed(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)

    feed(np.ascontiguousarray(examples.ids, dtype="<i8").tobytes())
    feed(np.ascontiguousarray(examples.labels, dtype="<i8").tobytes())
    if isinstance(examples.inputs, np.ndarray):
        feed(repr(examples.inputs.shape).encode())
        feed(np.ascontiguousarray(examples.inputs).tobytes())
        return digest.hexdigest()
    for item in examples.inputs:
        if isinstance(item, Path):
            try:
                feed(item.read_bytes())
            except OSError as error:
                raise CascadeError(f"{item}: cannot be read: {error.strerror}") from error
        elif isinstance(item, Choice):
            feed(b"choice" + item.context.encode("utf-8", "surrogatepass"))
            for ending in item.endings:
                feed(b"ending" + ending.encode("utf-8", "surrogatepass"))
        else:
            text, pair = item
            feed(b"text" + text.encode("utf-8", "surrogatepass"))
            feed(b"none" if pair is None else b"pair" + pair.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def as_texts(examples: Examples) -> tuple[Examples, int]:
    """Questions as pairs of texts, one per ending, and how many endings each has; texts as given.

    Example i's endings are the pairs (context, ending) at positions C i to C i + C - 1, with those
    positions as their ids.
    """
    questions = [item for item in examples.inputs if isinstance(item, Choice)]
    if not questions:
        return examples, 1
    endings = len(questions[0].endings)
    pairs: list[Text] = [(q.context, ending) for q in questions for ending in q.endings]
    flat = Examples(
        ids=np.arange(len(pairs), dtype=np.int64),
        labels=np.repeat(examples.labels, endings),
        inputs=pairs,
    )
    return flat, endings
