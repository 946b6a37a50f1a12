"""The contract of a stage that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.pools.logits import Answers
from cascade_exp.cascade.rows import Logits
from cascade_exp.cascade.stages import Ints
from cascade_exp.runtime.chunk import Chunk

Output = Logits | Answers


def taken(output: Output, rows: NDArray[np.bool_]) -> Output:
    """The outputs of those rows where ``rows`` is True."""
    if isinstance(output, Answers):
        return Answers(output.prediction[rows], output.confidence[rows], output.scored)
    return output[rows]


@dataclass(frozen=True)
class Outputs:
    """What a stage gave for some rows of a chunk.

    Attributes:
        rows: int64 [m], the rows that it has outputs of, in the order asked for.
        of: by model, its logits [m, K], or the answers of a black box or of a vote.
        calls: by model, on how many inputs it ran.
        failed: by row, why the stage has no output of it.
    """

    rows: Ints
    of: Mapping[str, Output]
    calls: Mapping[str, int]
    failed: Mapping[int, str] = field(default_factory=dict)


def finite(name: str, rows: Ints, logits: NDArray[np.float32]) -> Outputs:
    """The ``logits`` [m, K] of the model ``name``; rows that hold NaN or infinities have failed."""
    good = np.isfinite(logits).all(axis=1)
    failed = {int(row): f"{name}: its logits are not finite" for row in rows[~good]}
    return Outputs(rows[good], {name: logits[good]}, {name: len(rows)}, failed)


@runtime_checkable
class RunningStage(Protocol):
    """One stage.

    Attributes:
        name: as results call it.
        classes: the names of its classes; empty where it knows none.
        falls_back: whether an input that the stage fails on is answered by the stage before it;
            else it is set aside.
    """

    name: str
    classes: tuple[str, ...]
    falls_back: bool

    def run(self, chunk: Chunk, rows: Ints) -> Outputs:
        """Run on the inputs ``rows`` (int64 [m], growing) of ``chunk``, and on no others."""
        ...
