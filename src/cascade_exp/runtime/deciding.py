"""From the outputs of the stages that have run to an answer, its confidence and whether it leaves.

The one place that decides, by the very code of the offline engine (``cascade.pools``): a pool of
the stages that have run, over the inputs that reached them, and the last stage out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade_exp.cascade.ensembling import MEANS, comparison
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.pools.exits import PATIENCE, run_lengths
from cascade_exp.cascade.pools.logits import Answers, LogitsPool
from cascade_exp.cascade.pools.tiers import VOTE, TierPool
from cascade_exp.cascade.stages import Ints, Stage
from cascade_exp.recordings.names import models_of
from cascade_exp.runtime.chosen import ChosenCascade
from cascade_exp.runtime.stages.base import Output, taken

Mask = NDArray[np.bool_]

ACCURACY = make_objective("accuracy")
"""Pools want an objective; what it counts is not read here."""


class Deciding:
    """The decisions of one cascade on one chunk of inputs, stage after stage.

    Rows are those that are still there: :meth:`keep` says which stay.
    """

    def __init__(self, chosen: ChosenCascade) -> None:
        self.chosen = chosen
        self._outputs: list[dict[str, Output]] = []
        self._combined: Stage | None = None
        self._answers: list[Ints] = []

    def decide(self, outputs: Mapping[str, Output]) -> tuple[Stage, Mask]:
        """Answer and confidence once one more stage has run, and which of the rows leave there.

        Args:
            outputs: by model of the stage, its outputs of the rows.
        """
        at = len(self._answers)
        self._outputs.append(dict(outputs))
        stage = self._stage(at)
        self._answers.append(stage.prediction)
        if self.chosen.metric.name == PATIENCE:
            runs = run_lengths(np.stack(self._answers))
            stage = replace(stage, confidence=runs[-1])
        if at in self.chosen.learned:
            scores = self.chosen.learned[at].score(stage.confidence, stage.prediction)
            stage = replace(stage, confidence=scores + 0.0)
        if at == len(self.chosen.stages) - 1:
            if any(isinstance(it, Answers) and not it.scored for it in outputs.values()):
                stage = replace(stage, confidence=np.full(len(stage.prediction), np.nan))
            return stage, np.ones(len(stage.prediction), dtype=bool)
        threshold = self.chosen.thresholds[at]
        if self.chosen.compare == "gt":
            return stage, stage.confidence > threshold
        return stage, stage.confidence >= threshold

    def keep(self, rows: Mask) -> None:
        """Forget the rows where ``rows`` is False."""
        self._outputs = [
            {name: taken(output, rows) for name, output in outputs.items()}
            for outputs in self._outputs
        ]
        self._answers = [answers[rows] for answers in self._answers]
        if self._combined is not None:
            held = self._combined
            self._combined = Stage(
                held.confidence[rows], held.prediction[rows], held.statistics[rows]
            )

    def _stage(self, at: int) -> Stage:
        """The stage's answer and original confidence."""
        chosen = self.chosen
        if chosen.combine == VOTE:
            (answers,) = self._outputs[at].values()  # the tier has voted
            assert isinstance(answers, Answers)
            nothing = np.zeros((len(answers.prediction), 1), dtype=np.int64)
            return Stage(answers.confidence, answers.prediction, nothing)
        if chosen.ensemble in MEANS:
            return self._of(range(at + 1), chosen.ensemble)
        own = self._of([at], "none")
        self._outputs[at] = {}
        if chosen.ensemble == "comparison":
            own = own if self._combined is None else comparison(self._combined, own)
            self._combined = own
        return own

    def _of(self, stages: Sequence[int], ensemble: str) -> Stage:
        """The stage that answers once ``stages`` have run, by the offline engine."""
        chosen = self.chosen
        outputs = {name: it for at in stages for name, it in self._outputs[at].items()}
        models = models_pool(chosen, outputs, ensemble if chosen.combine is None else "none")
        tiers = [[models.names.index(m) for m in models_of(chosen.stages[at])] for at in stages]
        pool: StagePool = models
        if chosen.combine is None:
            return pool.stage(tuple(member for (member,) in tiers))
        pool = TierPool.build(
            models, tiers, metric=chosen.base, combine=chosen.combine, ensemble=ensemble
        )
        return pool.stage(tuple(range(len(tiers))))


def models_pool(
    chosen: ChosenCascade, outputs: Mapping[str, Output], ensemble: str = "none"
) -> LogitsPool:
    """The models (or exits) of ``outputs`` as the offline engine's pool, on these inputs."""
    return LogitsPool.build(
        outputs,
        {name: float(chosen.order.index(name)) for name in outputs},
        np.zeros(len(_rows(next(iter(outputs.values())))), dtype=np.int64),  # only scores read them
        metric=chosen.base,
        objective=ACCURACY,
        ensemble=ensemble,
        temperatures=chosen.temperatures,
    )


def alone(chosen: ChosenCascade, name: str, output: Output) -> Stage:
    """The answer and original confidence of one model by itself."""
    return models_pool(chosen, {name: output}).stage((0,))


def _rows(output: Output) -> NDArray[Any]:
    return output.prediction if isinstance(output, Answers) else output
