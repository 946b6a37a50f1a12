"""One rival swept by the threshold that its stages share, and what its settings do (``rivals``).

The stages are those of a cascade of complete models, the exits of a network, or complete models
each alone; what is compared with what lives in ``rivals``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cascade_exp.cascade.bootstrap import intervals
from cascade_exp.cascade.speed_up import closest
from cascade_exp.cascade.stages import Floats
from cascade_exp.cascade.sweep import Sweep, settings_at, sweep_shared
from cascade_exp.evaluation.kinds.base import own_method
from cascade_exp.evaluation.kinds.registry import kind_of
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.evaluation.pools import OneSplit, open_pools
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.results.speed_ups_schema import EmittedRow, RivalCurve, RivalRow
from cascade_exp.schema.evaluating import (
    EvaluateConfig,
    ExitsCascade,
    Named,
    Rival,
    StagesCascade,
)


@dataclass(frozen=True)
class Depth:
    """Layers of a complete model or an exit, and what it is drawn with.

    ``group``: the network; of a complete model the rival of models alone that it is in (BERT-kL
    apart from models pre-trained at that depth), else ``COMPLETE``.
    """

    layers: int
    group: str


@dataclass(frozen=True)
class Setting:
    """A cascade of a rival and its shared threshold; None for a single model."""

    members: tuple[int, ...]
    threshold: float | None

    @property
    def thresholds(self) -> list[float]:
        """One for every stage but the last."""
        return [] if self.threshold is None else [self.threshold] * (len(self.members) - 1)


@dataclass(frozen=True)
class SweptRival:
    """A rival with all its settings, by what they do on the selection split."""

    name: str
    static: bool
    measuring: Measuring
    full_cost: float
    settings: list[Setting]
    speed_ups: Floats
    scores: Floats

    def at(self, target: float) -> Setting:
        """The setting whose speed-up on the selection split comes closest to ``target``."""
        return self.settings[closest(self.speed_ups, self.scores, target)]

    def row(self, target: float, setting: Setting) -> RivalRow:
        """What ``setting`` does on both splits."""
        splits = self.measuring.splits
        told = {}
        for one in (splits.selection, splits.report):
            outcome = self.measuring.outcome(one, setting.members, setting.thresholds)
            told[one.name] = (self.full_cost / float(outcome.cost.mean()), one.score(outcome))
        seed, resamples = splits.settings.seed, splits.settings.bootstrap.resamples
        return RivalRow(
            rival=self.name,
            target=target,
            stages=[splits.selection.pool.names[m] for m in setting.members],
            threshold=setting.threshold,
            selection_speed_up=told[splits.selection.name][0],
            selection_score=told[splits.selection.name][1],
            report_speed_up=told[splits.report.name][0],
            report_score=told[splits.report.name][1],
            report_interval=intervals(outcome, splits.report.objective, seed, resamples).score,
        )

    def curve(self) -> RivalCurve:
        """All settings on the report split, in order of growing speed-up."""
        report = self.measuring.splits.report
        points = []
        for members in dict.fromkeys(setting.members for setting in self.settings):
            table = self.measuring.table(report, members)
            if len(members) == 1:
                up, score = self.full_cost / float(table.cost[0]), report.score(table.run([]))
                points.append((up, score))
                continue
            sweep = sweep_shared(table, self.measuring.compare)
            ups, scores = _told(sweep, report, self.full_cost)
            own = np.array([s.threshold for s in self.settings if s.members == members])
            confidence = np.stack([stage.confidence for stage in table.stages[:-1]])
            at = settings_at(sweep, confidence, own, self.measuring.compare)
            points += list(zip(ups[at].tolist(), scores[at].tolist(), strict=True))
        points = sorted(set(points))
        return RivalCurve(
            self.name, self.static, [up for up, _ in points], [score for _, score in points]
        )

    def emitted(
        self, target: float, setting: Setting, depths: dict[str, Depth], complete: SweptRival
    ) -> list[EmittedRow]:
        """Accuracy of exits, and of complete models of as many layers, on what leaves at each."""
        report, models = self.measuring.splits.report, complete.measuring.splits.report.models
        outcome = self.measuring.outcome(report, setting.members, setting.thresholds)
        rows = []
        for stage, member in enumerate(setting.members):
            name = report.pool.names[member]
            here = outcome.exit_stage == stage
            if not here.any() or name not in depths:
                continue
            layers = depths[name].layers
            right = {name: outcome.prediction == report.models.labels}
            right |= {
                other: models.stage((m,)).prediction == models.labels
                for m, other in enumerate(models.names)
                if other in depths and depths[other].layers == layers
            }
            rows += [
                EmittedRow(
                    rival=self.name,
                    target=target,
                    layers=layers,
                    examples=int(here.sum()),
                    group=depths[model].group,
                    model=model,
                    accuracy=float(it[here].mean()),
                )
                for model, it in right.items()
            ]
        return rows


def open_rival(rival: Rival, recordings: Recordings, settings: EvaluateConfig) -> Measuring:
    """Both splits as the stages of ``rival``, which share one threshold."""
    kind: Named
    if rival.network is not None:
        kind = ExitsCascade("exits", rival.network)
    else:
        kind = StagesCascade("stages", rival.stages or rival.models)
    own = replace(
        settings,
        cascade=kind,
        metric=Named(rival.metric),
        ensemble=Named(rival.ensemble),
        threshold=replace(settings.threshold, shared=True),
    )
    kind_of(own).check(own_method(own))
    return Measuring(open_pools(recordings, own, halve=False))


def sweep_rival(name: str, rival: Rival, measuring: Measuring, full_cost: float) -> SweptRival:
    """``rival`` at every threshold of the selection split; ``full_cost`` is a speed-up of 1."""
    splits = measuring.splits
    one = splits.selection
    (members,) = splits.kind.candidates(one.pool).cascades[:1]
    alone = rival.models is not None
    found: list[Setting] = []
    speed_ups, scores = [], []
    for cascade in [(m,) for m in members] if alone else [members]:
        table = measuring.table(one, cascade)
        if len(cascade) == 1:
            found.append(Setting(cascade, None))
            speed_ups.append(np.array([full_cost / float(table.cost[0])]))
            scores.append(np.array([one.score(table.run([]))]))
            continue
        sweep = sweep_shared(table, measuring.compare)
        found += [Setting(cascade, threshold) for threshold in sweep.thresholds.tolist()]
        ups, points = _told(sweep, one, full_cost)
        speed_ups.append(ups)
        scores.append(points)
    return SweptRival(
        name, alone, measuring, full_cost, found, np.concatenate(speed_ups), np.concatenate(scores)
    )


def _told(sweep: Sweep, one: OneSplit, full_cost: float) -> tuple[Floats, Floats]:
    """Speed-up and score of every setting, each float64 [V]."""
    scores = np.asarray(one.objective.score(sweep.totals, one.pool.size), dtype=np.float64)
    return full_cost / (sweep.total_cost / one.pool.size), scores
