"""A Python function as a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from cascade_exp.cascade.pools.logits import Answers
from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.errors import CascadeError, choice, one_line
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.stages.base import Output, Outputs, RunningStage

OnError = Literal["raise", "previous"]


class FunctionStage(RunningStage):
    """``function(inputs)`` on lists of at most ``batch_size`` raw inputs.

    Args:
        name: as the cascade calls the stage.
        function: gives logits float [m, K] of the m inputs, or the pair (answers, confidences): m
            classes, by number or by a name out of ``classes``, and m finite numbers.
        classes: the names of the classes, where it knows them.
        on_error: what an exception of the function does: ``raise`` it as one line, or have its
            inputs answered by the stage before (at the first stage: set aside).
    """

    def __init__(
        self,
        name: str,
        function: Callable[[list[Any]], Any],
        classes: Sequence[str] = (),
        on_error: OnError = "raise",
    ) -> None:
        choice(on_error, ("raise", "previous"), f"{name}: on_error")
        self.name = name
        self.classes = tuple(classes)
        self.falls_back = on_error == "previous"
        self.function = function

    def run(self, chunk: Chunk, rows: Ints) -> Outputs:
        """The function's outputs of ``rows``.

        Raises:
            CascadeError: if it raises (``on_error=raise``), or gives something else than it may.
        """
        parts: list[Output] = []
        done: list[Ints] = []
        failed: dict[int, str] = {}
        for first in range(0, len(rows), chunk.batch_size):
            batch = rows[first : first + chunk.batch_size]
            items = [chunk.items[row] for row in batch.tolist()]
            try:
                given = self.function(items)
            except Exception as error:  # a function may fail in any way
                reason = f"{self.name}: {one_line(error)}"
                if not self.falls_back:
                    raise CascadeError(reason) from error
                failed |= dict.fromkeys(batch.tolist(), reason)
                continue
            parts.append(output_of(self.name, given, len(items), self.classes))
            done.append(batch)
        kept = np.concatenate([rows[:0], *done])
        return Outputs(
            kept, {self.name: together(self.name, parts)}, {self.name: len(rows)}, failed
        )


def output_of(name: str, given: object, size: int, classes: Sequence[str]) -> Output:
    """What a stage ``name`` gave for ``size`` inputs, checked: logits [size, K], or answers.

    Raises:
        CascadeError: if it is neither, is of another size, names an unknown class or is not finite.
    """
    expected = f"expected logits [{size}, K] or ({size} answers, {size} confidences)"
    if isinstance(given, tuple) and len(given) == 2:
        answers, confidences = ([*part] for part in given)
        if len(answers) != size or len(confidences) != size:
            raise CascadeError(
                f"{name}: {len(answers)} answers and {len(confidences)} confidences, {expected}"
            )
        numbers = np.array([number_of(name, answer, classes) for answer in answers], dtype=np.int64)
        return Answers(numbers, _finite(name, confidences, expected))
    try:
        logits = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise CascadeError(f"{name}: gave {type(given).__name__}, {expected}") from None
    if logits.ndim != 2 or len(logits) != size or not logits.shape[1]:
        raise CascadeError(f"{name}: gave an array {list(logits.shape)}, {expected}")
    return _finite(name, logits, expected)


def number_of(name: str, answer: object, classes: Sequence[str]) -> int:
    """The number of the class that ``answer`` is, or names.

    Raises:
        CascadeError: if there is no such class.
    """
    if isinstance(answer, str):
        return list(classes).index(choice(answer, classes, f"{name}: answer"))
    if isinstance(answer, int | np.integer) and not isinstance(answer, bool):
        number = int(answer)
        if number >= 0 and (not classes or number < len(classes)):
            return number
    known = f"0..{len(classes) - 1}" if classes else "a number of 0 or more"
    raise CascadeError(f"{name}: answer {answer!r}, expected a class: {known}")


def together(name: str, parts: Sequence[Output]) -> Output:
    """The outputs of one batch after another as one.

    Raises:
        CascadeError: if some are logits and some answers, or their K differ.
    """
    if not parts:
        return Answers(np.zeros(0, dtype=np.int64), np.zeros(0))
    answers = [part for part in parts if isinstance(part, Answers)]
    logits = [part for part in parts if not isinstance(part, Answers)]
    if (answers and logits) or len({part.shape[1] for part in logits}) > 1:
        raise CascadeError(f"{name}: its outputs differ in kind or number of classes")
    if logits:
        return np.concatenate(logits)
    return Answers(
        np.concatenate([part.prediction for part in answers]),
        np.concatenate([part.confidence for part in answers]),
        all(part.scored for part in answers),
    )


def _finite(name: str, given: Any, expected: str) -> Floats:
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise CascadeError(f"{name}: a confidence is no number, {expected}") from None
    if not np.isfinite(numbers).all():
        raise CascadeError(f"{name}: NaN or an infinity, {expected}")
    return numbers
