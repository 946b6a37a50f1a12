"""The chosen cascade really run over the report split: ``executed.json``.

What was measured stands beside what the evaluation predicted from recordings, and the seconds of
the cascade beside three yardsticks: the last stage alone, all stages on every example (answers are
masked afterwards, as published cascade code does), and the ideal, in which every stage takes as
long per example as it does on all of them: Σ_i (share that reaches stage i) × (seconds of stage i).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cascade_exp.atomic import write_text

EXECUTED = "executed.json"


@dataclass(frozen=True)
class ExecutedStage:
    """One stage on the timed examples.

    Attributes:
        stage: its name.
        reached: the share of the examples that reached it.
        answered: the share that left there.
        seconds: per example that reached it, in the cascade; None where none did.
        seconds_on_all: per example, where it ran on all of them.
    """

    stage: str
    reached: float
    answered: float
    seconds: float | None
    seconds_on_all: float


@dataclass(frozen=True)
class Executed:
    """One execution of an operating point.

    Attributes:
        rule: the rule that chose it. stages: of the cascade.
        examples: of the report split, all run; aside: of them, inputs that could not be read.
        score, cost, exit_rates: as run; the score is None where the objective needs ranks of
            classes, which a running cascade does not give.
        predicted_score, predicted_cost, predicted_exit_rates: of the evaluation, from recordings.
        differing: examples that left elsewhere, or were answered otherwise, than predicted, by
            the rounding of other batches; None where predictions by example are not kept.
        timed: examples that the seconds were measured on, the first of the split.
        batch_size: the most inputs a network was given at once. repeats: rounds; medians count.
        device: what it ran on. threads: of torch on the CPU.
        seconds: per example, of the cascade. seconds_last: of the last stage alone. seconds_all:
            of all stages on every example. seconds_ideal: of the ideal.
        timings: by stage.
    """

    rule: str
    stages: list[str]
    examples: int
    aside: int
    score: float | None
    cost: float
    exit_rates: list[float]
    predicted_score: float
    predicted_cost: float
    predicted_exit_rates: list[float]
    differing: int | None
    timed: int
    batch_size: int
    repeats: int
    device: str
    threads: int
    seconds: float
    seconds_last: float
    seconds_all: float
    seconds_ideal: float
    timings: list[ExecutedStage]


def write_executed(found: Executed | None, folder: Path) -> None:
    """Write the file into ``folder``, a job's ``results/``; with nothing, remove an earlier one."""
    path = folder / EXECUTED
    if found is None:
        path.unlink(missing_ok=True)
        return
    write_text(path, json.dumps(asdict(found), indent=2, allow_nan=False) + "\n")


def executed_numbers(found: Executed | None) -> dict[str, float]:
    """The numbers that jobs are compared by: ``executed/…``; of nothing, none."""
    if found is None:
        return {}
    numbers = {
        "executed/score": found.score,
        "executed/cost": found.cost,
        "executed/seconds": found.seconds,
        "executed/seconds_last": found.seconds_last,
        "executed/seconds_all": found.seconds_all,
        "executed/seconds_ideal": found.seconds_ideal,
    }
    return {name: value for name, value in numbers.items() if value is not None}
