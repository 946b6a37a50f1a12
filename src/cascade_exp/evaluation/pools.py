"""From a recordings folder to what the engine takes: a pool of stages on each split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from cascade_exp.cascade.calibration import CALIBRATORS, check_calibration
from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.frontier import Baseline, BaselineKind
from cascade_exp.cascade.guaranteed import split_halves
from cascade_exp.cascade.objective import Objective, make_objective
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.pools.learned import Deferral, LearnedPool
from cascade_exp.cascade.pools.logits import Answers, LogitsPool
from cascade_exp.cascade.pools.tiers import VOTE
from cascade_exp.cascade.reliability import ece, ordered_pairs
from cascade_exp.cascade.stages import Ints, Outcome, StageTable
from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.evaluation.kinds.base import CascadeKind
from cascade_exp.evaluation.kinds.registry import kind_of
from cascade_exp.evaluation.learned import deferral_of, unlearned
from cascade_exp.evaluation.pricing import with_column
from cascade_exp.recordings.folder import Recordings, Split
from cascade_exp.recordings.outputs import RecordedAnswers
from cascade_exp.report.results.schema import ReliabilityRow
from cascade_exp.schema.evaluating import CommonConfig, Named


@dataclass(frozen=True)
class OneSplit:
    """A split as the engine sees it.

    Attributes:
        models: the single models, which the baseline, references and reliability are of.
        stages: what the kind of cascade makes of them, with their original confidence; for most
            kinds the models.
        pool: the stages that cascades run: with ``metric=learned`` their learned confidence.
        baseline: this split's own single-model baseline.
    """

    name: str
    models: LogitsPool
    stages: StagePool
    pool: StagePool
    objective: Objective
    baseline: Baseline

    @property
    def scored(self) -> StagePool:
        """The single models with the confidence of the chosen metric, where these are stages."""
        return self.pool if self.stages is self.models else self.models

    def score(self, outcome: Outcome) -> float:
        """The objective's score of ``outcome``."""
        return float(self.objective.score(outcome.statistics.sum(axis=0), self.pool.size))


@dataclass(frozen=True)
class BothSplits:
    """The pools that thresholds are chosen on and reported on, and what was fitted on the first.

    Attributes:
        kind: which cascades, out of which stages.
        halves: positions of the selection split to search on and to test on, for ``guaranteed``;
            None without that rule. Temperatures and learned confidences are then fitted on the
            first half only.
    """

    recordings: Recordings
    settings: CommonConfig
    kind: CascadeKind
    selection: OneSplit
    report: OneSplit
    temperatures: dict[str, float]
    halves: tuple[OneSplit, OneSplit] | None


def open_pools(
    recordings: Recordings,
    settings: CommonConfig,
    halve: bool,
    fitted: Mapping[str, float] | None = None,
) -> BothSplits:
    """Open both splits of ``recordings`` as ``settings`` say.

    Args:
        halve: whether the selection split is halved for the rule ``guaranteed``.
        fitted: temperatures by model, where they are known already.

    Raises:
        CascadeError: if the recordings are damaged or do not fit the settings.
    """
    settings = with_column(settings, recordings)
    objective = make_objective(settings.objective.name, **own_settings(settings.objective))
    kind = kind_of(unlearned(settings))
    selection = kind.read(recordings, settings.splits.selection)
    report = kind.read(recordings, settings.splits.report)
    if selection.classes != report.classes:
        raise CascadeError(
            f"{selection.path} records {selection.classes} classes and {report.path} "
            f"{report.classes}; both splits must be of the same models"
        )
    rows = split_halves(len(selection.labels), settings.seed) if halve else None
    temperatures = _temperatures(selection, settings, None if rows is None else rows[0], fitted)
    costs = kind.costs(recordings)

    def opened(split: Split, rows: Ints | None = None) -> OneSplit:
        return _one_split(kind, split, settings, objective, costs, temperatures, rows)

    splits = BothSplits(
        recordings=recordings,
        settings=settings,
        kind=kind,
        selection=opened(selection),
        report=opened(report),
        temperatures=temperatures,
        halves=None if rows is None else (opened(selection, rows[0]), opened(selection, rows[1])),
    )
    return _with_learned(splits, objective, selection.labels, rows)


def _with_learned(
    splits: BothSplits, objective: Objective, labels: Ints, rows: tuple[Ints, Ints] | None
) -> BothSplits:
    """With ``metric=learned`` the splits' stages with learned confidence; else ``splits``.

    Args:
        labels: int64 [N] of the selection split. rows: its halves, where it is halved; the
            confidence is then learned from the first.
    """
    selection, report, settings = splits.selection, splits.report, splits.settings
    first = None if rows is None else rows[0]
    deferral = deferral_of(settings, selection.stages, objective, labels, first)
    if deferral is None:
        return splits
    fold = deferral.fold_of_rows()
    same = settings.splits.selection == settings.splits.report
    halves = splits.halves
    if halves is not None and rows is not None:
        halves = (
            _learned(halves[0], deferral, fold[rows[0]]),
            _learned(halves[1], deferral, fold[rows[1]]),
        )
    return replace(
        splits,
        selection=_learned(selection, deferral, fold),
        report=_learned(report, deferral, fold if same else np.full(report.pool.size, -1)),
        halves=halves,
    )


def own_settings(option: Named) -> dict[str, object]:
    """The settings of an option besides its name."""
    return {key: value for key, value in vars(option).items() if key != "name"}


def _learned(one: OneSplit, deferral: Deferral, fold: Ints) -> OneSplit:
    return replace(one, pool=LearnedPool(one.stages, deferral, fold))


def reference_of(one: OneSplit, reference: str) -> StageTable:
    """What ``threshold.reference`` names, as a cascade of one stage: the score to keep.

    ``best``: the single model of the highest score (the cheapest of equals); ``ensemble``: the mean
    of the logits of the whole pool, all of it run (Wisdom of Committees §4.2); else a model's name.

    Raises:
        CascadeError: if there is no such model.
    """
    pool = one.models
    alone = [
        StageTable((name,), (pool.stage((m,)),), pool.cost[m : m + 1])
        for m, name in enumerate(pool.names)
    ]
    if reference == "best":
        return max(alone, key=lambda table: one.score(table.run([])))
    if reference == "ensemble":
        together = replace(pool, metric=make_metric("max_softmax"), ensemble="mean_logits")
        stage = together.stage(tuple(range(len(pool.names))))
        return StageTable(("ensemble",), (stage,), np.array([pool.cost.sum()]))
    if reference not in pool.names:
        raise CascadeError(
            f"threshold.reference={reference}: expected best, ensemble or a model of the pool "
            f"({', '.join(pool.names)}){did_you_mean(reference, pool.names)}"
        )
    return alone[pool.names.index(reference)]


def reliability(role: str, one: OneSplit) -> list[ReliabilityRow]:
    """How well each model's confidence separates right from wrong answers on one split."""
    pool = one.models
    rows = []
    for m, name in enumerate(pool.names):
        stage = one.scored.stage((m,))
        right = stage.prediction == pool.labels
        output = pool.outputs[m]
        scored = not isinstance(output, Answers) or output.scored
        pairs = ordered_pairs(stage.confidence, right)
        rows.append(
            ReliabilityRow(
                model=name,
                split=role,
                score=float(one.objective.score(stage.statistics.sum(axis=0), pool.size)),
                dis=pairs.dis if scored else None,
                ece=ece(pool.probability(m), right) if scored else None,
                auroc=pairs.auroc if scored else None,
            )
        )
    return rows


def _temperatures(
    split: Split, settings: CommonConfig, rows: Ints | None, fitted: Mapping[str, float] | None
) -> dict[str, float]:
    name = settings.calibration.name
    check_calibration(name)
    if name == "none":
        return {}
    if fitted:
        return dict(fitted)
    labels = split.labels if rows is None else split.labels[rows]
    temperatures = {}
    for model, output in split.outputs.items():
        where = split.called(model)
        if isinstance(output, RecordedAnswers):
            raise CascadeError(f"calibration={name} needs logits, but {where} holds answers")
        logits = output if rows is None else output[rows]
        temperatures[model] = CALIBRATORS[name](logits, labels, where)
    return temperatures


def _answers(
    output: RecordedAnswers, settings: CommonConfig, where: str, kept: slice | Ints
) -> Answers:
    """Recorded answers for the engine; under ``metric=vote`` they need no confidence.

    Raises:
        CascadeError: if the metric needs a confidence and none is recorded.
    """
    if output.confidence is not None:
        return Answers(output.prediction[kept], output.confidence[kept])
    metric = settings.metric.name
    if metric != VOTE:
        raise CascadeError(
            f"{where}: no array 'confidence', which metric={metric} needs; answers alone are "
            "enough for metric=vote cascade=tiers"
        )
    prediction = output.prediction[kept]
    return Answers(prediction, np.zeros(len(prediction)), scored=False)


def _one_split(
    kind: CascadeKind,
    split: Split,
    settings: CommonConfig,
    objective: Objective,
    costs: Mapping[str, float],
    temperatures: Mapping[str, float],
    rows: Ints | None,
) -> OneSplit:
    kept = slice(None) if rows is None else rows
    outputs = {
        model: _answers(output, settings, split.called(model), kept)
        if isinstance(output, RecordedAnswers)
        else output[kept]
        for model, output in split.outputs.items()
    }
    metric, ensemble = kind.scoring(split)
    own = own_settings(settings.metric) if metric == settings.metric.name else {}
    models = LogitsPool.build(
        outputs,
        costs,
        split.labels[kept],
        metric=make_metric(metric, **own),
        objective=objective,
        ensemble=ensemble,
        temperatures=temperatures,
        sources={model: split.called(model) for model in outputs},
    )
    singles = [models.stage((m,)).statistics.sum(axis=0) for m in range(len(models.names))]
    scores = [float(objective.score(total, models.size)) for total in singles]
    baseline = Baseline.of(scores, models.cost, cast(BaselineKind, settings.baseline))
    stages = kind.stages(models)
    return OneSplit(split.name, models, stages, stages, objective, baseline)
