"""Cascades and early-exit networks at the same speed-ups, over one recordings folder.

After Li et al. 2021 (CascadeBERT), Table 2 and Figs. 2, 3 and 5. A rival is a cascade of complete
models, the exits of a network, or complete models alone; each is swept by one shared threshold, by
the same engine. How the comparison is written and drawn lives in ``report.rivals``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cascade_exp.cascade.bootstrap import intervals
from cascade_exp.cascade.reliability import dis
from cascade_exp.cascade.speed_up import Neighbours, closest, expected_gain
from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.cascade.sweep import Sweep, settings_at, sweep_shared
from cascade_exp.errors import CascadeError, choice, did_you_mean
from cascade_exp.jobs.all_kinds import kind_of
from cascade_exp.jobs.job import Job
from cascade_exp.jobs.kinds import own_method
from cascade_exp.jobs.measuring import Measuring
from cascade_exp.jobs.pools import OneSplit, open_pools
from cascade_exp.recordings.exits import exit_name
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.rivals_schema import (
    AddedRow,
    EmittedRow,
    InversionRow,
    RivalAnalyses,
    RivalCurve,
    RivalRow,
)
from cascade_exp.report.schema import Results
from cascade_exp.schema.evaluating import (
    EvaluateConfig,
    ExitsCascade,
    Named,
    Rival,
    StagesCascade,
)

COMPLETE = "complete models"
FULL = "full"
"""What the model is called that speed-ups are over, among the rivals of ``rivals.csv``."""


def check_rivals(settings: EvaluateConfig) -> dict[str, Rival]:
    """The rivals by name.

    Raises:
        CascadeError: naming the rival whose keys make no sense, or a cost that has no speed-up.
    """
    if settings.rivals.members and settings.cost.name == "edge_cloud":
        raise CascadeError(
            "cost=edge_cloud with rivals: a speed-up is in what models cost, not in where they "
            "run; expected cost=layers, table, seconds or dollars"
        )
    targets = settings.rivals.speed_ups
    if not targets or not all(isinstance(t, int | float) and t >= 1 for t in targets):
        raise CascadeError(f"rivals.speed_ups={targets}: expected a list of numbers from 1 on")
    return {str(n): _check(f"rivals.members.{n}", it) for n, it in settings.rivals.members.items()}


def _check(where: str, given: Any) -> Rival:
    if not isinstance(given, dict):
        raise CascadeError(f"{where}={given}: expected a rival, as {{network: deebert}}")
    if where == f"rivals.members.{FULL}":
        raise CascadeError(f"{where}: the model of rivals.full is called so; take another name")
    for key in given:
        choice(str(key), Rival.__dataclass_fields__, where)
    rival = Rival(**given)
    said = [key for key in ("stages", "network", "models") if getattr(rival, key) is not None]
    if len(said) != 1:
        raise CascadeError(
            f"{where}: expected one of stages (a cascade), network (its exits) and models (each "
            f"alone), found {' and '.join(said) or 'none'}"
        )
    for key in ("stages", "models"):
        names = getattr(rival, key)
        if names is not None and not (isinstance(names, list) and names):
            raise CascadeError(f"{where}.{key}={names}: expected a list of models")
    if rival.stages is not None and len(rival.stages) < 2:
        raise CascadeError(
            f"{where}.stages={rival.stages}: expected two models or more; models={rival.stages} "
            "runs it alone"
        )
    return rival


def tell_rivals(job: Job, results: Results, found: RivalAnalyses) -> None:
    """Write, draw, log and print the comparison below ``results/``."""
    from cascade_exp.report.rivals import print_rivals, write_rivals
    from cascade_exp.report.rivals_plots import draw_rivals

    folder = job.folder / "results"
    write_rivals(found, folder)
    plots = draw_rivals(results, found, folder) if job.settings.plots else []
    if job.loggers.wandb is not None:
        from cascade_exp.report.board import log_rivals

        log_rivals(job.loggers.wandb, found, plots)
    print_rivals(found, job.settings, folder, job.console)


def analyse_rivals(recordings: Recordings, settings: EvaluateConfig) -> RivalAnalyses:
    """Sweep every rival of ``settings`` and choose its setting at each wanted speed-up.

    Raises:
        CascadeError: if the recordings do not fit a rival, which is named.
    """
    rivals = check_rivals(settings)
    costs = dict(
        zip(
            recordings.complete().names,
            recordings.complete().costs(settings.cost.column).tolist(),
            strict=True,
        )
    )
    full = settings.rivals.full or max(costs, key=lambda name: costs[name])
    if full not in costs:
        raise CascadeError(
            f"rivals.full={full}: no recorded complete model{did_you_mean(full, costs)}; they are "
            f"{', '.join(costs)}"
        )
    alone = Rival(models=[full])
    opened = _opened(alone, recordings, settings)
    one = opened.splits.selection
    full_cost = float(one.pool.cost[list(opened.members(one, [full]))].sum())
    swept = {FULL: _swept(FULL, alone, opened, full_cost)}
    for name, rival in rivals.items():
        try:
            swept[name] = _swept(name, rival, _opened(rival, recordings, settings), full_cost)
        except CascadeError as error:
            raise CascadeError(f"rivals.members.{name}: {error}") from None
    targets = [float(target) for target in settings.rivals.speed_ups]
    chosen = {(FULL, 1.0): swept[FULL].at(1.0)}
    chosen |= {(n, t): swept[n].at(t) for n in rivals for t in targets}
    depths = _depths(recordings, rivals)
    return RivalAnalyses(
        full=full,
        rows=[swept[name].row(target, it) for (name, target), it in chosen.items()],
        curves=[swept[name].curve() for name in rivals],
        emitted=[
            row
            for name, rival in rivals.items()
            if rival.network is not None
            for target in targets
            for row in swept[name].emitted(target, chosen[name, target], depths, swept[FULL])
        ],
        inversions=_inversions(recordings, settings, depths),
        elsewhere={
            split: _told_on(split, recordings, settings) for split in settings.rivals.also or ()
        },
        added=[
            row
            for name, rival in rivals.items()
            for other, shorter in rivals.items()
            for target in targets
            for row in _added(
                swept[name], swept[other], rival, shorter, chosen[name, target], target
            )
        ],
    )


def _told_on(split: str, recordings: Recordings, settings: EvaluateConfig) -> list[RivalRow]:
    """The same settings of the same rivals, told on another split."""
    there = replace(
        settings,
        splits=replace(settings.splits, report=split),
        rivals=replace(settings.rivals, also=[]),
    )
    return analyse_rivals(recordings, there).rows


@dataclass(frozen=True)
class _Depth:
    """Layers of a complete model or an exit, and what it is drawn with.

    ``group``: the network; of a complete model the rival of models alone that it is in (BERT-kL
    apart from models pre-trained at that depth), else ``COMPLETE``.
    """

    layers: int
    group: str


@dataclass(frozen=True)
class _Setting:
    """A cascade of a rival and its shared threshold; None for a single model."""

    members: tuple[int, ...]
    threshold: float | None

    @property
    def thresholds(self) -> list[float]:
        """One for every stage but the last."""
        return [] if self.threshold is None else [self.threshold] * (len(self.members) - 1)


@dataclass(frozen=True)
class _Swept:
    """A rival with all its settings, by what they do on the selection split."""

    name: str
    static: bool
    measuring: Measuring
    full_cost: float
    settings: list[_Setting]
    speed_ups: Floats
    scores: Floats

    def at(self, target: float) -> _Setting:
        """The setting whose speed-up on the selection split comes closest to ``target``."""
        return self.settings[closest(self.speed_ups, self.scores, target)]

    def row(self, target: float, setting: _Setting) -> RivalRow:
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
        self, target: float, setting: _Setting, depths: dict[str, _Depth], complete: _Swept
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


def _opened(rival: Rival, recordings: Recordings, settings: EvaluateConfig) -> Measuring:
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


def _swept(name: str, rival: Rival, measuring: Measuring, full_cost: float) -> _Swept:
    splits = measuring.splits
    one = splits.selection
    (members,) = splits.kind.candidates(one.pool).cascades[:1]
    alone = rival.models is not None
    found: list[_Setting] = []
    speed_ups, scores = [], []
    for cascade in [(m,) for m in members] if alone else [members]:
        table = measuring.table(one, cascade)
        if len(cascade) == 1:
            found.append(_Setting(cascade, None))
            speed_ups.append(np.array([full_cost / float(table.cost[0])]))
            scores.append(np.array([one.score(table.run([]))]))
            continue
        sweep = sweep_shared(table, measuring.compare)
        found += [_Setting(cascade, threshold) for threshold in sweep.thresholds.tolist()]
        ups, points = _told(sweep, one, full_cost)
        speed_ups.append(ups)
        scores.append(points)
    return _Swept(
        name, alone, measuring, full_cost, found, np.concatenate(speed_ups), np.concatenate(scores)
    )


def _told(sweep: Sweep, one: OneSplit, full_cost: float) -> tuple[Floats, Floats]:
    """Speed-up and score of every setting, each float64 [V]."""
    scores = np.asarray(one.objective.score(sweep.totals, one.pool.size), dtype=np.float64)
    return full_cost / (sweep.total_cost / one.pool.size), scores


def _depths(recordings: Recordings, rivals: dict[str, Rival]) -> dict[str, _Depth]:
    """By complete model and by exit, where the recordings say how many layers it has."""
    group = {model: name for name, rival in rivals.items() for model in rival.models or ()}
    known = {
        row.name: _Depth(int(row.costs["layers"]), group.get(row.name, COMPLETE))
        for row in recordings.models
        if row.name not in recordings.exits and "layers" in row.costs
    }
    for network, rows in recordings.exits.items():
        known |= {
            exit_name(network, row.exit): _Depth(int(row.costs["layers"]), network)
            for row in rows
            if "layers" in row.costs
        }
    return known


def _inversions(
    recordings: Recordings, settings: EvaluateConfig, depths: dict[str, _Depth]
) -> list[InversionRow]:
    """DIS of every complete model and every exit whose layers are known."""
    kinds = [Named("search"), *(ExitsCascade("exits", it) for it in recordings.exits)]
    rows = []
    for kind in kinds:
        own = replace(settings, cascade=kind, metric=Named("max_softmax"), ensemble=Named("none"))
        pool = open_pools(recordings, own, halve=False).report.models
        for m, name in enumerate(pool.names):
            if name in depths:
                stage = pool.stage((m,))
                value = dis(stage.confidence, stage.prediction == pool.labels)
                rows.append(InversionRow(depths[name].group, name, depths[name].layers, value))
    return rows


def _added(
    longer: _Swept,
    shorter: _Swept,
    stages: Rival,
    fewer: Rival,
    setting: _Setting,
    target: float,
) -> list[AddedRow]:
    """The gain of the one inner stage that ``longer`` has and ``shorter`` lacks, if so they are."""
    names, other = stages.stages or [], fewer.stages or []
    inner = [i for i in range(1, len(names) - 1) if [*names[:i], *names[i + 1 :]] == other]
    if not inner:
        return []
    at, report = inner[0], longer.measuring.splits.report
    outcome = longer.measuring.outcome(report, setting.members, setting.thresholds)
    exits = np.bincount(outcome.exit_stage, minlength=len(names))
    models, costs = report.models, report.pool.cost
    accuracy = [_accuracy(models.stage((m,)).prediction, models.labels) for m in setting.members]
    expected = expected_gain(
        Neighbours(
            accuracy_before=accuracy[at - 1],
            accuracy_added=accuracy[at],
            accuracy_after=accuracy[at + 1],
            exits_added=int(exits[at]),
            exits_after=int(exits[at + 1]),
            cost_added=float(costs[setting.members[at]]),
            cost_after=float(costs[setting.members[at + 1]]),
        ),
        len(outcome.cost),
    )
    less = shorter.at(target)
    without = shorter.measuring.outcome(
        shorter.measuring.splits.report, less.members, less.thresholds
    )
    measured = _accuracy(outcome.prediction, models.labels) - _accuracy(
        without.prediction, models.labels
    )
    return [AddedRow(longer.name, shorter.name, names[at], target, expected, measured)]


def _accuracy(prediction: Ints, labels: Ints) -> float:
    """What Eq. 13 is of, whatever the objective."""
    return float((prediction == labels).mean())
