"""What a cascade that has run gives back: an answer, confidence, exit and cost for every input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cascade_exp.cascade.stages import Floats, Ints

NOTHING = -1
"""Answer and exit of an input that was set aside."""


@dataclass(frozen=True)
class StageRun:
    """What one stage of the cascade did.

    Attributes:
        name: the stage.
        examples: how many inputs reached it.
        answered: how many left there.
        calls: by model, how many inputs it ran on; of a tier that stops voting early, fewer than
            ``examples``.
        seconds: that it ran, reading inputs included.
    """

    name: str
    examples: int
    answered: int
    calls: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class Prediction:
    """The answers to N inputs, in their order.

    Attributes:
        answer: int64 [N], the class answered; -1 where the input was set aside.
        confidence: float64 [N], of that answer at the stage that gave it; NaN where set aside. Of a
            vote that stopped early it is the share of votes that the answer has at least.
        exit: int64 [N], the stage (from 0) that answered; -1 where set aside.
        cost: float64 [N], as the evaluation counts it; 0 where set aside.
        reason: by input, why it was set aside; None where it was answered.
        note: by input, what else there is to say, as that a stage failed and the one before it
            answered; None where nothing.
        classes: the names of the classes; empty where no model knows them.
        stages: the names of the stages.
        runs: what each stage did.
    """

    answer: Ints
    confidence: Floats
    exit: Ints
    cost: Floats
    reason: tuple[str | None, ...]
    note: tuple[str | None, ...]
    classes: tuple[str, ...]
    stages: tuple[str, ...]
    runs: tuple[StageRun, ...]

    def __len__(self) -> int:
        """Number of inputs N."""
        return len(self.answer)

    @property
    def name(self) -> tuple[str | None, ...]:
        """By input, the class answered by name, or by number without one; None: set aside."""
        return tuple(
            None
            if answer == NOTHING
            else self.classes[answer]
            if answer < len(self.classes)
            else str(answer)
            for answer in self.answer.tolist()
        )

    @property
    def exit_name(self) -> tuple[str | None, ...]:
        """By input, the name of the stage that answered; None where set aside."""
        return tuple(None if at == NOTHING else self.stages[at] for at in self.exit.tolist())

    @property
    def exit_rates(self) -> Floats:
        """float64 [n], the share of the answered inputs that each stage answered."""
        answered = self.exit[self.exit != NOTHING]
        return np.bincount(answered, minlength=len(self.stages)) / max(len(answered), 1)


def joined(parts: list[Prediction]) -> Prediction:
    """The predictions of one cascade on one list of inputs after another, as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return Prediction(
        answer=np.concatenate([part.answer for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        exit=np.concatenate([part.exit for part in parts]),
        cost=np.concatenate([part.cost for part in parts]),
        reason=tuple(reason for part in parts for reason in part.reason),
        note=tuple(note for part in parts for note in part.note),
        classes=first.classes,
        stages=first.stages,
        runs=tuple(_together(list(runs)) for runs in zip(*(p.runs for p in parts), strict=True)),
    )


def _together(runs: list[StageRun]) -> StageRun:
    return StageRun(
        name=runs[0].name,
        examples=sum(run.examples for run in runs),
        answered=sum(run.answered for run in runs),
        calls={model: sum(run.calls[model] for run in runs) for model in runs[0].calls},
        seconds=sum(run.seconds for run in runs),
    )
