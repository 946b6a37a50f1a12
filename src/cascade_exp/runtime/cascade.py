"""The cascade that runs: raw inputs in, answers out, each input through no more stages than needed.

cascade = Cascade.load("outputs/…/job")
prediction = cascade.predict(["a lovely film", "a dull one"])
prediction.name, prediction.exit_name, prediction.cost
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.costs import exit_costs
from cascade_exp.cascade.ensembling import check_combination
from cascade_exp.cascade.stages import Compare, Ints
from cascade_exp.errors import CascadeError
from cascade_exp.runtime.chosen import ChosenCascade, chosen_at
from cascade_exp.runtime.chunk import Chunk
from cascade_exp.runtime.deciding import Deciding, Mask
from cascade_exp.runtime.prediction import NOTHING, Prediction, StageRun, joined
from cascade_exp.runtime.stages.base import Outputs, RunningStage

if TYPE_CHECKING:
    import torch

    from cascade_exp.runtime.loading import Given

CHUNK_BATCHES = 16
"""Batches that the inputs worked on together fill at the first stage, by default."""


class Cascade:
    """A chosen cascade with the stages that run it; :meth:`load` makes one.

    Args:
        chosen: what runs, and when an input leaves.
        stages: one for each of ``chosen.stages``, in their order.

    Raises:
        CascadeError: if stages name their classes differently.
    """

    def __init__(self, chosen: ChosenCascade, stages: Sequence[RunningStage]) -> None:
        self.chosen = chosen
        self.stages = tuple(stages)
        self.classes = _common_classes(self.stages)
        self._costs = exit_costs(
            np.asarray(chosen.stage_costs, dtype=np.float64), chosen.accounting
        )

    @classmethod
    def load(
        cls,
        place: str | Path,
        *,
        rule: str | None = None,
        rival: str | None = None,
        at: float | None = None,
        device: str | torch.device | None = None,
        stages: Given | None = None,
    ) -> Cascade:
        """The cascade that a job has chosen, ready to run.

        Args:
            place: the folder of an evaluated job, its ``operating_point.json``, or a bundle.
            rule: the selection rule whose operating point runs; None: the one of
                ``operating_point.json``.
            rival: the method of the job's ``speed_ups.csv`` that runs instead, at the speed-up
                ``at``.
            device: where models run; None: a GPU where there is one, else the CPU.
            stages: by model, what runs in its place: a function, a ``Service``, a stage. For models
                whose weights the job does not know, such as services whose answers were recorded.

        Raises:
            CascadeError: if there is no such job, rule or row, the rule could not be met, or a
                model cannot be loaded.
        """
        from cascade_exp.runtime.loading import load_stages

        chosen = chosen_at(Path(place), rule=rule, rival=rival, at=at)
        return cls(chosen, load_stages(chosen, device=device, given=stages or {}))

    @classmethod
    def of(
        cls,
        stages: Given,
        thresholds: Sequence[float],
        *,
        metric: str = "recorded",
        ensemble: str = "none",
        compare: Compare = "ge",
        costs: Sequence[float] | None = None,
        **settings: object,
    ) -> Cascade:
        """A cascade of functions and services that no job has chosen.

        Args:
            stages: by name, in running order. thresholds: one for every stage but the last.
            metric: what thresholds are compared with: ``recorded``, the confidence that stages give
                with their answers, or a metric of their logits with its ``settings``.
            costs: of running each stage; None: 1 each.

        Raises:
            CascadeError: if numbers of stages, thresholds and costs do not fit, or the metric and
                ensemble do not go together.
        """
        from cascade_exp.runtime.loading import load_stages

        names = list(stages)
        own = [1.0] * len(names) if costs is None else [float(cost) for cost in costs]
        if not names or len(thresholds) != len(names) - 1 or len(own) != len(names):
            raise CascadeError(
                f"{len(names)} stages, {len(thresholds)} thresholds and {len(own)} costs: expected "
                "one or more stages, a threshold for each but the last, and a cost for each"
            )
        check_combination(metric, ensemble)
        confidence = make_metric(metric, **settings)
        chosen = ChosenCascade(
            place=Path(">".join(names)),
            stages=names,
            thresholds=[float(threshold) for threshold in thresholds],
            compare=compare,
            metric=confidence,
            base=confidence,
            ensemble=ensemble,
            combine=None,
            temperatures={},
            learned={},
            stage_costs=own,
            cost="cost",
            accounting="cumulative",
            order=names,
            weights={},
        )
        return cls(chosen, load_stages(chosen, device="cpu", given=stages))

    def predict(
        self,
        inputs: Iterable[object],
        *,
        batch_size: int = 32,
        chunk_size: int | None = None,
        progress: Callable[[Ints, int], None] | None = None,
    ) -> Prediction:
        """Answer every input: stage 1 runs on all, each later one on what is deferred to it.

        Args:
            inputs: texts, pairs of texts (tuples), questions (``data.examples.Choice``), paths of
                pictures, PIL images, or arrays uint8 [H, W] or [H, W, 1 or 3].
            batch_size: the most inputs that a network is given at once.
            chunk_size: how many inputs are worked on together; those of them that are deferred
                fill the batches of later stages. None: 16 batches.
            progress: called after every chunk with the exits so far, int64 [stages], and the
                number of inputs set aside.

        Raises:
            CascadeError: for a batch or chunk size below 1, for one text in place of a list.
        """
        if isinstance(inputs, str):
            raise CascadeError("predict: found one text, expected a list of inputs")
        if batch_size < 1 or (chunk_size is not None and chunk_size < 1):
            raise CascadeError(
                f"batch_size={batch_size}, chunk_size={chunk_size}: expected at least 1"
            )
        size = CHUNK_BATCHES * batch_size if chunk_size is None else chunk_size
        parts: list[Prediction] = []
        exits, aside = np.zeros(len(self.stages), dtype=np.int64), 0
        for items in _chunks(inputs, size):
            parts.append(self._chunk(Chunk(items, batch_size)))
            if progress is not None:
                left = parts[-1].exit
                exits += np.bincount(left[left != NOTHING], minlength=len(self.stages))
                aside += int((left == NOTHING).sum())
                progress(exits.copy(), aside)
        return joined(parts) if parts else self._chunk(Chunk([], batch_size))

    def _chunk(self, chunk: Chunk) -> Prediction:
        size = len(chunk.items)
        found = _Found(size)
        deciding = Deciding(self.chosen)
        rows = np.arange(size)
        runs = []
        for number, stage in enumerate(self.stages):
            started = time.perf_counter()
            answered = 0
            calls: Mapping[str, int] = dict.fromkeys(self._models(number), 0)
            reached = len(rows)
            if reached:
                outputs = stage.run(chunk, rows)
                calls = outputs.calls
                self._fail(stage, number, found, chunk, rows, outputs)
                if number and len(outputs.rows) < len(rows):
                    deciding.keep(np.isin(rows, outputs.rows))
                rows = outputs.rows
            if len(rows):
                decided, leaves = deciding.decide(outputs.of)
                found.write(rows, decided.prediction, decided.confidence)
                found.leave(rows[leaves], number)
                answered = int(leaves.sum())
                rows = self._deferred(deciding, rows, ~leaves)
            seconds = time.perf_counter() - started
            runs.append(StageRun(self.chosen.stages[number], reached, answered, calls, seconds))
        return self._prediction(chunk, found, runs)

    def _models(self, number: int) -> Sequence[str]:
        return self.chosen.models_of(number)

    @staticmethod
    def _deferred(deciding: Deciding, rows: Ints, stays: Mask) -> Ints:
        deciding.keep(stays)
        return rows[stays]

    @staticmethod
    def _fail(
        stage: RunningStage, number: int, found: _Found, chunk: Chunk, rows: Ints, outputs: Outputs
    ) -> None:
        """What becomes of the rows that the stage has no output of."""
        for row, reason in outputs.failed.items():
            if stage.falls_back and number:
                found.note[row] = reason
                found.exit[row] = number - 1
            else:
                chunk.reasons[row] = reason

    def _prediction(self, chunk: Chunk, found: _Found, runs: list[StageRun]) -> Prediction:
        aside = found.exit == NOTHING
        return Prediction(
            answer=np.where(aside, NOTHING, found.answer),
            confidence=np.where(aside, np.nan, found.confidence),
            exit=found.exit,
            cost=np.where(aside, 0.0, self._costs[found.exit]),
            reason=tuple(chunk.reasons),
            note=tuple(found.note),
            classes=self.classes,
            stages=tuple(self.chosen.stages),
            runs=tuple(runs),
        )


class _Found:
    """The answers to n inputs so far: an input that is deferred holds its last stage's."""

    def __init__(self, size: int) -> None:
        self.answer = np.full(size, NOTHING, dtype=np.int64)
        self.confidence = np.full(size, np.nan)
        self.exit = np.full(size, NOTHING, dtype=np.int64)
        self.note: list[str | None] = [None] * size

    def write(self, rows: Ints, answer: Ints, confidence: np.ndarray[Any, Any]) -> None:
        self.answer[rows], self.confidence[rows] = answer, confidence

    def leave(self, rows: Ints, stage: int) -> None:
        self.exit[rows] = stage


def _chunks(inputs: Iterable[object], size: int) -> Iterable[list[object]]:
    held: list[object] = []
    for item in inputs:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def _common_classes(stages: Sequence[RunningStage]) -> tuple[str, ...]:
    known = [stage for stage in stages if stage.classes]
    for stage in known[1:]:
        if stage.classes != known[0].classes:
            raise CascadeError(
                f"{stage.name}: answers [{', '.join(stage.classes)}], and {known[0].name} "
                f"[{', '.join(known[0].classes)}]; expected the same classes in the same order"
            )
    return known[0].classes if known else ()
