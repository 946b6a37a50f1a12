"""Cascades and early-exit networks at the same speed-ups, over one recordings folder.

After Li et al. 2021 (CascadeBERT), Table 2 and Figs. 2, 3 and 5. A rival is a cascade of complete
models, the exits of a network, or complete models alone; each is swept by one shared threshold, by
the same engine. The sweep of one is in ``rivals_swept``; how the comparison is written and drawn,
in ``report.rivals``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cascade_exp.cascade.reliability import dis
from cascade_exp.cascade.speed_up import Neighbours, expected_gain
from cascade_exp.cascade.stages import Ints
from cascade_exp.errors import CascadeError, choice, did_you_mean
from cascade_exp.evaluation.comparisons.speed_ups_swept import (
    Depth,
    Setting,
    SweptRival,
    open_rival,
    sweep_rival,
)
from cascade_exp.evaluation.pools import open_pools
from cascade_exp.jobs.job import Job
from cascade_exp.recordings.exits import exit_name
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups_schema import (
    AddedRow,
    InversionRow,
    RivalAnalyses,
    RivalRow,
)
from cascade_exp.schema.evaluating import (
    EvaluateConfig,
    ExitsCascade,
    Named,
    Rival,
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
    chosen_on = settings.splits.selection
    if chosen_on in (settings.rivals.also or ()) and not settings.threshold.same_split:
        raise CascadeError(
            f"rivals.also: speed-ups are chosen on '{chosen_on}', so it is no result; "
            "expected other splits (threshold.same_split=true does it all the same)"
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
    from cascade_exp.report.figures.speed_ups import draw_rivals
    from cascade_exp.report.results.speed_ups import print_rivals, write_rivals

    folder = job.folder / "results"
    write_rivals(found, folder)
    plots = draw_rivals(results, found, folder) if job.settings.plots else []
    if job.loggers.wandb is not None:
        from cascade_exp.report.tracking.board import log_rivals

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
    opened = open_rival(alone, recordings, settings)
    one = opened.splits.selection
    full_cost = float(one.pool.cost[list(opened.members(one, [full]))].sum())
    found = {FULL: sweep_rival(FULL, alone, opened, full_cost)}
    for name, rival in rivals.items():
        try:
            found[name] = sweep_rival(
                name, rival, open_rival(rival, recordings, settings), full_cost
            )
        except CascadeError as error:
            raise CascadeError(f"rivals.members.{name}: {error}") from None
    targets = [float(target) for target in settings.rivals.speed_ups]
    chosen = {(FULL, 1.0): found[FULL].at(1.0)}
    chosen |= {(n, t): found[n].at(t) for n in rivals for t in targets}
    depths = _depths(recordings, rivals)
    return RivalAnalyses(
        full=full,
        rows=[found[name].row(target, it) for (name, target), it in chosen.items()],
        curves=[found[name].curve() for name in rivals],
        emitted=[
            row
            for name, rival in rivals.items()
            if rival.network is not None
            for target in targets
            for row in found[name].emitted(target, chosen[name, target], depths, found[FULL])
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
                found[name], found[other], rival, shorter, chosen[name, target], target
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


def _depths(recordings: Recordings, rivals: dict[str, Rival]) -> dict[str, Depth]:
    """By complete model and by exit, where the recordings say how many layers it has."""
    group = {model: name for name, rival in rivals.items() for model in rival.models or ()}
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
    recordings: Recordings, settings: EvaluateConfig, depths: dict[str, Depth]
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
    longer: SweptRival,
    shorter: SweptRival,
    stages: Rival,
    fewer: Rival,
    setting: Setting,
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
