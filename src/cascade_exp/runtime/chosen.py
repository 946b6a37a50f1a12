"""A cascade that a job has chosen, by a rule or as a method at a speed-up: what runs, and when it
is left. Deciding by it is ``deciding``; running it, ``cascade``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from omegaconf import OmegaConf

from cascade_exp.cascade.calibration import CALIBRATORS
from cascade_exp.cascade.confidence import Confidence, make_metric
from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.pools.exits import PATIENCE
from cascade_exp.cascade.pools.learned import LEARNED, DeferralModel
from cascade_exp.cascade.pools.tiers import VOTE
from cascade_exp.cascade.rows import Logits
from cascade_exp.cascade.stages import Compare
from cascade_exp.errors import CascadeError, choice
from cascade_exp.models.complete import RECORD
from cascade_exp.recordings.exits import exit_of, network_of
from cascade_exp.recordings.folder import Recordings, open_recordings
from cascade_exp.recordings.names import models_of
from cascade_exp.report.results.files import read_results
from cascade_exp.report.results.operating_point import (
    OPERATING_POINT,
    Deployment,
    read_operating_point,
)
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups import SPEED_UPS
from cascade_exp.report.results.speed_ups_schema import SpeedUpRow
from cascade_exp.runtime.bundle import is_bundle, read_bundle
from cascade_exp.schema.evaluating import SpeedUpMember
from cascade_exp.tables import read_dataclasses

SUMMARY_FILE = "results/summary.json"


@dataclass(frozen=True)
class ChosenCascade:
    """One cascade with its thresholds, and all that deciding needs.

    Attributes:
        place: where it was read, for errors.
        stages: models, exits ``net@3`` or tiers ``a+b``, in running order.
        thresholds: one for every stage but the last.
        compare: an input leaves at confidence >= threshold (``ge``) or > threshold (``gt``).
        metric: what thresholds are compared with.
        base: what the outputs of models are scored with: ``metric`` itself where it is a function
            of them or recorded, else the confidence under it.
        ensemble: how the outputs of stages that have run are combined.
        combine: how the models of a tier are combined; None without tiers.
        temperatures: by model or exit, what divides its logits; 1 where absent.
        learned: with ``metric=learned``, by stage (from 0), the regression that scores it.
        stage_costs: the cost of running each stage, in the unit of ``cost``.
        cost: the column that costs are in.
        accounting: whether an input pays for all stages that have run, or for the last of them.
        order: the models, or exits, in the order in which the evaluation adds them up.
        weights: by model, the folder it was saved to; no entry where nothing says it.
        exit_rates: what is expected: the share that left at each stage on the report split.
    """

    place: Path
    stages: list[str]
    thresholds: list[float]
    compare: Compare
    metric: Confidence
    base: Confidence
    ensemble: str
    combine: str | None
    temperatures: Mapping[str, float]
    learned: Mapping[int, DeferralModel]
    stage_costs: list[float]
    cost: str
    accounting: Accounting
    order: list[str]
    weights: Mapping[str, Path]
    exit_rates: tuple[float, ...] = ()

    def models_of(self, stage: int) -> list[str]:
        """The models, or the exit, that run as the stage of that number."""
        return models_of(self.stages[stage])


def chosen_at(
    place: Path, *, rule: str | None = None, rival: str | None = None, at: float | None = None
) -> ChosenCascade:
    """The cascade that ``place`` holds: an evaluated job, an ``operating_point.json``, a bundle.

    Args:
        rule: of a job, the rule whose operating point is meant; None: that of
            ``operating_point.json``.
        rival, at: of a job, the method and speed-up of the row of ``speed_ups.csv`` that is meant.

    Raises:
        CascadeError: if there is none, or the arguments name two.
    """
    if rival is None and at is not None:
        raise CascadeError(f"at={at:g}: of which method? Give rival=NAME")
    if rival is not None and rule is not None:
        raise CascadeError(f"rule={rule} and rival={rival} both name a cascade; give one of them")
    if rival is not None:
        return chosen_at_speed_up(place, rival, at)
    if (place / SUMMARY_FILE).is_file():
        return chosen_by_rule(place, rule)
    if is_bundle(place):
        return _bundled(place, rule)
    file = place / OPERATING_POINT if place.is_dir() else place
    if not file.is_file():
        raise CascadeError(
            f"{place}: no cascade here; expected the folder of an evaluated job (with "
            f"{SUMMARY_FILE}), its {OPERATING_POINT}, or a bundle"
        )
    root = file.parent.parent if file.parent.name == "results" else file.parent
    point = read_operating_point(file.parent)
    if point["rule"] is None:
        raise CascadeError(f"{file}: no rule could be met, so no cascade was chosen")
    if rule not in (None, point["rule"]):
        raise CascadeError(
            f"rule={rule}: {file} holds that of {point['rule']} alone; give the folder of the job"
        )
    return chosen_of(point, root, file)


def _bundled(place: Path, rule: str | None) -> ChosenCascade:
    point, _ = read_bundle(place)
    if rule not in (None, point["rule"]):
        raise CascadeError(
            f"rule={rule}: the bundle {place} holds that of {point['rule']} alone; bundle the "
            f"other one: python -m cascade_exp.bundle run=JOB rule={rule}"
        )
    return chosen_of(point, place, place)


def chosen_by_rule(run: Path, rule: str | None) -> ChosenCascade:
    """The operating point of ``rule``; None: the one of ``operating_point.json``.

    Raises:
        CascadeError: if ``run`` is no evaluated job, or the rule is unknown or could not be met.
    """
    results, config = _evaluated(run)
    if rule is None:
        return _deployed(run, results)
    points = results.operating_points
    named = choice(rule, points, "rule")
    point = points[named]
    if not point.feasible:
        raise CascadeError(f"rule={named}: could not be met: {point.reason}")
    metric, settings = str(results.settings["metric"]), config["metric"]
    own = {key: value for key, value in settings.items() if key not in ("name", "base", "folds")}
    assert point.report is not None
    fitted = results.temperatures if point.temperatures is None else point.temperatures
    regressions = results.learned if point.learned is None else point.learned
    return ChosenCascade(
        place=run,
        stages=point.stages,
        thresholds=point.thresholds,
        compare=cast(Compare, results.settings["compare"]),
        metric=make_metric(metric, **own),
        base=_base(metric, settings, own),
        ensemble=str(results.settings["ensemble"]),
        combine=_combine(config),
        temperatures={name: fitted.get(name, 1.0) for name in _members(point.stages)},
        learned=_regressions(point.stages, regressions, metric, run),
        stage_costs=point.stage_costs,
        cost=_cost(results)[0],
        accounting=_cost(results)[1],
        order=_order(point.stages, [model.name for model in results.single_models]),
        weights=_weights(run, results, point.stages),
        exit_rates=tuple(point.report.exit_rates),
    )


def _deployed(run: Path, results: Results) -> ChosenCascade:
    """The cascade of ``operating_point.json``, which alone says all of it."""
    point = read_operating_point(run / "results")
    if point["rule"] is None:
        points = results.operating_points
        reasons = "; ".join(f"{name}: {point.reason}" for name, point in points.items())
        raise CascadeError(f"run={run}: no rule of this job could be met ({reasons})")
    return chosen_of(point, run, run)


def chosen_of(point: Deployment, root: Path, place: Path) -> ChosenCascade:
    """The cascade that ``operating_point.json`` describes.

    Args:
        root: what its relative paths are relative to. place: where it was read, for errors.
    """
    metric, settings = point["metric"], point["metric_settings"]
    own = {key: value for key, value in settings.items() if key not in ("base", "folds")}
    models = {name: model for name, model in point["models"].items() if model is not None}
    return ChosenCascade(
        place=place,
        stages=point["stages"],
        thresholds=point["thresholds"],
        compare=point["compare"],
        metric=make_metric(metric, **own),
        base=_base(metric, settings, own),
        ensemble=point["ensemble"],
        combine=point["combine"],
        temperatures=point["temperatures"],
        learned=_regressions(point["stages"], point["learned"] or {}, metric, place),
        stage_costs=point["stage_costs"],
        cost=point["cost"],
        accounting=cast(Accounting, point["accounting"]),
        order=_order(point["stages"], list(point["models"])),
        weights={name: root / model["weights"] for name, model in models.items()},
        exit_rates=tuple(point["expected"]["report"]["exit_rates"]),
    )


def chosen_at_speed_up(run: Path, rival: str, at: float | None) -> ChosenCascade:
    """The row of ``speed_ups.csv``, with the metric and ensemble that the job's config gives it.

    Raises:
        CascadeError: if ``run`` is no evaluated job or has compared no such method at ``at``,
            or its models are foreign.
    """
    results, config = _evaluated(run)
    path = run / "results" / SPEED_UPS
    if not path.is_file():
        raise CascadeError(
            f"rival={rival}: no {path}; expected a job that compares methods at "
            "equal speed-up (experiment=speed_ups)"
        )
    rows = read_dataclasses(path, SpeedUpRow)
    name = choice(rival, dict.fromkeys(row.method for row in rows), "rival")
    targets = {row.target: row for row in rows if row.method == name}
    if at not in targets:
        there = ", ".join(f"{target:g}" for target in targets)
        raise CascadeError(f"at={at}: expected one that {path} has of {name}: {there}")
    row = targets[at]
    members = {str(key): member for key, member in config["speed_ups"]["members"].items()}
    its = SpeedUpMember(**members.get(name, {"models": row.stages}))  # the full model runs alone
    recordings = open_recordings(recordings_of(run, results), include=_models(row.stages))
    column, accounting = _cost(results)
    return ChosenCascade(
        place=run,
        stages=row.stages,
        # one threshold for all stages but the last; that of a model alone is an empty cell
        thresholds=[] if row.threshold is None else [row.threshold] * (len(row.stages) - 1),
        compare=cast(Compare, results.settings["compare"]),
        metric=make_metric(its.metric),
        base=_base(its.metric, {}, {}),
        ensemble=its.ensemble,
        combine=None,
        temperatures=_fitted(results, recordings, row.stages),
        learned={},
        stage_costs=_stage_costs(results, recordings, row.stages),
        cost=column,
        accounting=accounting,
        order=_order(row.stages, [model.name for model in results.single_models]),
        weights=_weights(run, results, row.stages),
    )


def _base(metric: str, settings: Mapping[str, Any], own: Mapping[str, Any]) -> Confidence:
    """What the outputs of models are scored with under ``metric``."""
    if metric == LEARNED:
        return make_metric(str(settings["base"]))
    return make_metric("max_softmax") if metric in (PATIENCE, VOTE) else make_metric(metric, **own)


def _combine(config: Mapping[str, Any]) -> str | None:
    cascade = config["cascade"]
    return str(cascade["combine"]) if cascade["name"] == "tiers" else None


def _cost(results: Results) -> tuple[str, Accounting]:
    unit = cast(dict[str, str], results.settings["cost"])
    return unit["column"], cast(Accounting, results.settings["accounting"])


def _members(stages: Iterable[str]) -> list[str]:
    """The models, or exits, that ``stages`` run."""
    return list(dict.fromkeys(name for stage in stages for name in models_of(stage)))


def _order(stages: list[str], pool: list[str]) -> list[str]:
    """``_members(stages)`` in the order of the pool; exits in that of the network."""
    members = _members(stages)
    return sorted(members, key=lambda name: pool.index(name) if name in pool else -1)


def _regressions(
    stages: list[str], learned: Mapping[str, Mapping[str, Any]], metric: str, place: Path
) -> dict[int, DeferralModel]:
    """By stage, the regression that ``learned`` has of it.

    Raises:
        CascadeError: if one is missing for a stage but the last.
    """
    if metric != LEARNED:
        return {}
    for stage in stages[:-1]:
        if stage not in learned:
            raise CascadeError(
                f"{place}: metric={LEARNED}: no regression of {stage} is recorded; evaluate again"
            )
    return {
        number: DeferralModel(
            center=float(it["center"]),
            scale=float(it["scale"]),
            slope=float(it["slope"]),
            offset=float(it["offset"]),
            classes=np.asarray(it["classes"], dtype=np.int64),
            offsets=np.asarray(it["offsets"], dtype=np.float64),
        )
        for number, stage in enumerate(stages)
        if (it := learned.get(stage)) is not None
    }


def _stage_costs(results: Results, recordings: Recordings, stages: list[str]) -> list[float]:
    """The cost of running each of ``stages``: of a model alone, of an exit since the one before."""
    column, _ = _cost(results)
    alone = {model.name: model.selection.cost for model in results.single_models}
    costs, so_far = [], 0.0
    for stage in stages:
        network, exit = network_of(stage), exit_of(stage)
        if not exit:
            if stage not in alone:  # a job of one network's exits compares other models too
                pool = recordings.complete()
                alone |= dict(zip(pool.names, pool.costs(column).tolist(), strict=True))
            costs.append(alone[stage])
            continue
        numbers = [row.exit for row in recordings.exits[network]]
        total = recordings.exit_costs(network, column).tolist()[numbers.index(exit)]
        costs.append(total - so_far)
        so_far = total
    return costs


def _evaluated(run: Path) -> tuple[Results, dict[str, Any]]:
    """The results of a job, and its resolved configuration."""
    for needed in (SUMMARY_FILE, "config.yaml"):
        if not (run / needed).is_file():
            raise CascadeError(
                f"run={run}: no {needed} in it; expected the folder of an evaluation"
            )
    config: Any = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"), resolve=True)
    return read_results(run / "results"), config


def _output(stage: str, logits: Logits) -> Logits:
    exit = exit_of(stage)
    return logits[:, exit - 1] if exit else logits  # the project's networks exit at every layer


def _models(stages: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(map(network_of, _members(stages))))


def recordings_of(run: Path, results: Results) -> Path:
    """The recordings that an evaluated job read: its own, or those that its settings name."""
    own = run / "recordings"
    return own if own.is_dir() else Path(str(results.settings["recordings"]))


def _selection(results: Results) -> str:
    splits = cast(dict[str, str], results.settings["splits"])
    return splits["selection"]


def _fitted(results: Results, recordings: Recordings, stages: list[str]) -> dict[str, float]:
    """The temperatures of a method, fitted as its sweep fits them; no file keeps these."""
    calibration = str(results.settings["calibration"])
    if calibration == "none":
        return {}
    split = recordings.split(_selection(results))
    fitted = {}
    for stage in stages:
        recorded = split.outputs[network_of(stage)]
        assert isinstance(recorded, np.ndarray)  # the sweep has refused answers
        fitted[stage] = CALIBRATORS[calibration](_output(stage, recorded), split.labels, stage)
    return fitted


def _weights(run: Path, results: Results, stages: list[str]) -> dict[str, Path]:
    """By model, where it was saved: in the job itself, or where its recording says."""
    recordings = recordings_of(run, results)
    found = {}
    for model in _models(stages):
        own = run / "models" / model
        if (own / RECORD).is_file():  # before what was said, as the job may have been moved
            found[model] = own
            continue
        beside = recordings / _selection(results) / f"{model}.json"
        try:
            found[model] = Path(json.loads(beside.read_text(encoding="utf-8"))["model"]["weights"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # foreign recordings name none
    return found
