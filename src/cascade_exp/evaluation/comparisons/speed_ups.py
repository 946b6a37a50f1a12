"""Methods at equal speed-up: cascades, early-exit networks and single models, over one recording.

The comparison of CascadeBERT (Li et al. 2021, Table 2 and Figs. 2, 3 and 5). A method is a cascade
of complete models, the exits of one network, or complete models each alone
(``speed_ups.members``); all stages of a method share one threshold, which is swept exactly on the
selection split. The speed-up of a setting is the cost of the full model over its mean cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cascade_exp.cascade.bootstrap import intervals
from cascade_exp.cascade.reliability import dis
from cascade_exp.cascade.speed_up import Neighbours, closest, expected_gain
from cascade_exp.cascade.stages import Floats, Ints
from cascade_exp.cascade.sweep import Sweep, settings_at, sweep_shared
from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.evaluation.kinds.base import own_method
from cascade_exp.evaluation.kinds.registry import kind_of
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.evaluation.pools import OneSplit, open_pools
from cascade_exp.evaluation.pricing import with_column
from cascade_exp.jobs.job import Job
from cascade_exp.recordings.exits import exit_name
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.results.speed_ups_schema import (
    AddedRow,
    EmittedRow,
    InversionRow,
    SpeedUpAnalyses,
    SpeedUpCurve,
    SpeedUpRow,
)
from cascade_exp.schema.evaluating import (
    FULL,
    CommonConfig,
    ExitsCascade,
    Named,
    SpeedUpMember,
    StagesCascade,
)

COMPLETE = "complete models"


@dataclass(frozen=True)
class Depth:
    """Layers of a complete model or an exit, and the group that figures show it in.

    ``group``: the network of an exit; of a complete model the method that runs it alone (BERT-kL
    apart from models pre-trained at that depth), else ``COMPLETE``.
    """

    layers: int
    group: str


@dataclass(frozen=True)
class Setting:
    """The stages of a method and their shared threshold; None for a single model."""

    members: tuple[int, ...]
    threshold: float | None

    @property
    def thresholds(self) -> list[float]:
        """One for every stage but the last."""
        return [] if self.threshold is None else [self.threshold] * (len(self.members) - 1)


@dataclass(frozen=True)
class SweptMember:
    """A method with all its settings, and what they do on the selection split.

    Attributes:
        static: whether its models run alone, without a threshold.
        full_cost: cost of the full model, which is a speed-up of 1.
        speed_ups, scores: float64 [V], one per setting.
    """

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

    def row(self, target: float, setting: Setting) -> SpeedUpRow:
        """What ``setting`` does on both splits."""
        splits = self.measuring.splits
        measured = {}
        for one in (splits.selection, splits.report):
            outcome = self.measuring.outcome(one, setting.members, setting.thresholds)
            measured[one.name] = (self.full_cost / float(outcome.cost.mean()), one.score(outcome))
        seed, resamples = splits.settings.seed, splits.settings.bootstrap.resamples
        selection, report = measured[splits.selection.name], measured[splits.report.name]
        low, high = intervals(outcome, splits.report.objective, seed, resamples).score
        return SpeedUpRow(
            method=self.name,
            target=target,
            stages=[splits.selection.pool.names[m] for m in setting.members],
            threshold=setting.threshold,
            selection_speed_up=selection[0],
            selection_score=selection[1],
            report_speed_up=report[0],
            report_score=report[1],
            report_score_low=low,
            report_score_high=high,
        )

    def curve(self) -> SpeedUpCurve:
        """All settings on the report split, in order of growing speed-up."""
        report = self.measuring.splits.report
        points = []
        thresholds: dict[tuple[int, ...], list[float | None]] = {}
        for setting in self.settings:
            thresholds.setdefault(setting.members, []).append(setting.threshold)
        for members, own in thresholds.items():
            table = self.measuring.table(report, members)
            if len(members) == 1:
                up, score = self.full_cost / float(table.cost[0]), report.score(table.run([]))
                points.append((up, score))
                continue
            sweep = sweep_shared(table, self.measuring.compare)
            ups, scores = _speed_ups_and_scores(sweep, report, self.full_cost)
            confidence = np.stack([stage.confidence for stage in table.stages[:-1]])
            at = settings_at(
                sweep, confidence, np.array(own, dtype=np.float64), self.measuring.compare
            )
            points += list(zip(ups[at].tolist(), scores[at].tolist(), strict=True))
        points = sorted(set(points))
        return SpeedUpCurve(
            self.name, self.static, [up for up, _ in points], [score for _, score in points]
        )

    def emitted(
        self, target: float, setting: Setting, depths: dict[str, Depth], complete: SweptMember
    ) -> list[EmittedRow]:
        """Accuracy of each exit, and of complete models of as many layers, on what leaves there."""
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
                    method=self.name,
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


def check_speed_ups(settings: CommonConfig) -> None:
    """Refuse keys that do not go with ``speed_ups``.

    Raises:
        CascadeError: if the cost has no speed-up, or a further split is the selection split.
    """
    if settings.speed_ups.members and settings.cost.name == "edge_cloud":
        raise CascadeError(
            "cost=edge_cloud with speed_ups: a speed-up is a ratio of what models cost, wherever "
            "they run; expected cost=layers, table, seconds or dollars"
        )
    chosen_on = settings.splits.selection
    if chosen_on in (settings.speed_ups.also or ()) and not settings.threshold.same_split:
        raise CascadeError(
            f"speed_ups.also: settings are chosen on '{chosen_on}', so its numbers are no result; "
            "expected other splits (threshold.same_split=true reports them all the same)"
        )


def report_speed_ups(job: Job, found: SpeedUpAnalyses) -> None:
    """Write, log and print the comparison below ``results/``."""
    from cascade_exp.report.results.speed_ups import print_speed_ups, write_speed_ups

    folder = job.folder / "results"
    write_speed_ups(found, folder)
    if job.loggers.wandb is not None:
        from cascade_exp.report.tracking.board import log_speed_ups

        log_speed_ups(job.loggers.wandb, found)
    print_speed_ups(found, job.settings, folder, job.console)


def compare_speed_ups(
    recordings: Recordings, settings: CommonConfig, further: Sequence[str] = ()
) -> SpeedUpAnalyses:
    """Sweep every method of ``settings.speed_ups`` and choose its setting at each speed-up.

    Args:
        further: the splits that ``speed_ups.also=null`` stands for.

    Raises:
        CascadeError: if the recordings do not fit a method, which is named.
    """
    check_speed_ups(settings)
    settings = with_column(settings, recordings)
    full, members = _full_model(recordings, settings), settings.speed_ups.members
    swept = _sweep_all(full, recordings, settings)
    chosen = _chosen(swept, settings)
    depths = _depths(recordings, members)
    also = settings.speed_ups.also
    return SpeedUpAnalyses(
        full=full,
        rows=_rows(swept, chosen),
        curves=[swept[name].curve() for name in members],
        emitted=[
            row
            for (name, target), setting in chosen.items()
            if name in members and members[name].network is not None
            for row in swept[name].emitted(target, setting, depths, swept[FULL])
        ],
        inversions=_inversions(recordings, settings, depths),
        elsewhere={
            split: _rows_on(split, full, recordings, settings)
            for split in (further if also is None else also)
        },
        added=list(_added_models(swept, members, chosen)),
    )


def _full_model(recordings: Recordings, settings: CommonConfig) -> str:
    """The model whose cost is a speed-up of 1: ``speed_ups.full``, else the most expensive."""
    complete = recordings.complete()
    costs = complete.costs(settings.cost.column).tolist()
    known = dict(zip(complete.names, costs, strict=True))
    full = settings.speed_ups.full or max(known, key=lambda name: known[name])
    if full not in known:
        raise CascadeError(
            f"speed_ups.full={full}: no recorded complete model{did_you_mean(full, known)}; they "
            f"are {', '.join(known)}"
        )
    return full


def _sweep_all(full: str, recordings: Recordings, settings: CommonConfig) -> dict[str, SweptMember]:
    """Every method by its name, the full model first, which is called ``FULL``."""
    alone = SpeedUpMember(models=[full])
    opened = open_member(alone, recordings, settings)
    one = opened.splits.selection
    full_cost = float(one.pool.cost[list(opened.members(one, [full]))].sum())
    swept = {FULL: sweep_member(FULL, alone, opened, full_cost)}
    for name, member in settings.speed_ups.members.items():
        try:
            measuring = open_member(member, recordings, settings)
            swept[name] = sweep_member(name, member, measuring, full_cost)
        except CascadeError as error:
            raise CascadeError(f"speed_ups.members.{name}: {error}") from None
    return swept


def _chosen(
    swept: dict[str, SweptMember], settings: CommonConfig
) -> dict[tuple[str, float], Setting]:
    """The setting of every method at every wanted speed-up, that of the full model first."""
    chosen = {(FULL, 1.0): swept[FULL].at(1.0)}
    for name in settings.speed_ups.members:
        chosen |= {(name, float(at)): swept[name].at(at) for at in settings.speed_ups.at}
    return chosen


def _rows(
    swept: dict[str, SweptMember], chosen: dict[tuple[str, float], Setting]
) -> list[SpeedUpRow]:
    return [swept[name].row(target, setting) for (name, target), setting in chosen.items()]


def _rows_on(
    split: str, full: str, recordings: Recordings, settings: CommonConfig
) -> list[SpeedUpRow]:
    """The same settings of the same methods, evaluated on another split."""
    there = replace(settings, splits=replace(settings.splits, report=split))
    swept = _sweep_all(full, recordings, there)
    return _rows(swept, _chosen(swept, there))


def _depths(recordings: Recordings, members: dict[str, SpeedUpMember]) -> dict[str, Depth]:
    """By complete model and by exit, where the recordings know how many layers it has."""
    group = {model: name for name, member in members.items() for model in member.models or ()}
    known = {
        row.name: Depth(int(row.costs["layers"]), group.get(row.name, COMPLETE))
        for row in recordings.models
        if row.name not in recordings.exits and "layers" in row.costs
    }
    for network, rows in recordings.exits.items():
        known |= {
            exit_name(network, row.exit): Depth(int(row.costs["layers"]), network)
            for row in rows
            if "layers" in row.costs
        }
    return known


def _inversions(
    recordings: Recordings, settings: CommonConfig, depths: dict[str, Depth]
) -> list[InversionRow]:
    """DIS of every complete model and every exit whose layers are known."""
    kinds = [Named("search"), *(ExitsCascade("exits", network=it) for it in recordings.exits)]
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


def _added_models(
    swept: dict[str, SweptMember],
    members: dict[str, SpeedUpMember],
    chosen: dict[tuple[str, float], Setting],
) -> Iterator[AddedRow]:
    """The gain of an inner stage, wherever one cascade is another with one more inner stage."""
    for name, member in members.items():
        for without, other in members.items():
            at = _inner_stage(member.stages or [], other.stages or [])
            if at is None:
                continue
            for (method, target), setting in chosen.items():
                if method == name:
                    yield _added_model(
                        swept[name], setting, swept[without], chosen[without, target], at, target
                    )


def _inner_stage(stages: list[str], fewer: list[str]) -> int | None:
    """Place of the one inner stage that ``stages`` has and ``fewer`` lacks; None if not so."""
    places = range(1, len(stages) - 1)
    return next((i for i in places if [*stages[:i], *stages[i + 1 :]] == fewer), None)


def _added_model(
    longer: SweptMember,
    setting: Setting,
    shorter: SweptMember,
    less: Setting,
    at: int,
    target: float,
) -> AddedRow:
    """The gain of stage ``at`` of ``longer``, which ``shorter`` lacks (Eq. 13, and measured)."""
    report = longer.measuring.splits.report
    outcome = longer.measuring.outcome(report, setting.members, setting.thresholds)
    exits = np.bincount(outcome.exit_stage, minlength=len(setting.members))
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
    without = shorter.measuring.outcome(
        shorter.measuring.splits.report, less.members, less.thresholds
    )
    measured = _accuracy(outcome.prediction, models.labels) - _accuracy(
        without.prediction, models.labels
    )
    added = report.pool.names[setting.members[at]]
    return AddedRow(longer.name, shorter.name, added, target, expected, measured)


def _accuracy(prediction: Ints, labels: Ints) -> float:
    """Share of right answers: the quantity of Eq. 13, whatever the objective is."""
    return float((prediction == labels).mean())


def open_member(member: SpeedUpMember, recordings: Recordings, settings: CommonConfig) -> Measuring:
    """Both splits as the stages of ``member``, which share one threshold."""
    kind: Named
    if member.network is not None:
        kind = ExitsCascade("exits", network=member.network)
    else:
        kind = StagesCascade("stages", stages=member.stages or member.models)
    own = replace(
        settings,
        cascade=kind,
        metric=Named(member.metric),
        ensemble=Named(member.ensemble),
        threshold=replace(settings.threshold, shared=True),
    )
    kind_of(own).check(own_method(own))
    return Measuring(open_pools(recordings, own, halve=False))


def sweep_member(
    name: str, member: SpeedUpMember, measuring: Measuring, full_cost: float
) -> SweptMember:
    """``member`` at every threshold of the selection split; ``full_cost`` is a speed-up of 1."""
    splits = measuring.splits
    one = splits.selection
    (members,) = splits.kind.candidates(one.pool).cascades[:1]
    alone = member.models is not None
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
        ups, points = _speed_ups_and_scores(sweep, one, full_cost)
        speed_ups.append(ups)
        scores.append(points)
    return SweptMember(
        name, alone, measuring, full_cost, found, np.concatenate(speed_ups), np.concatenate(scores)
    )


def _speed_ups_and_scores(sweep: Sweep, one: OneSplit, full_cost: float) -> tuple[Floats, Floats]:
    """Speed-up and score of every setting, each float64 [V]."""
    scores = np.asarray(one.objective.score(sweep.totals, one.pool.size), dtype=np.float64)
    return full_cost / (sweep.total_cost / one.pool.size), scores
