"""A cascade that a job has chosen, by a rule or as a method at a speed-up, to be run on new logits.

Its exits are those of the evaluation: the same pool, confidences and thresholds. Where the logits
come from is the caller's.
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
from cascade_exp.cascade.objective import make_objective
from cascade_exp.cascade.pools.base import StagePool, table_of
from cascade_exp.cascade.pools.exits import PATIENCE, ExitPool
from cascade_exp.cascade.pools.learned import LEARNED
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.rows import Logits
from cascade_exp.cascade.stages import Compare, Outcome
from cascade_exp.errors import CascadeError, choice
from cascade_exp.models.complete import RECORD
from cascade_exp.recordings.exits import network_of
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.results.files import read_results
from cascade_exp.report.results.operating_point import (
    OPERATING_POINT,
    DeployedModel,
    read_operating_point,
)
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups import SPEED_UPS
from cascade_exp.report.results.speed_ups_schema import SpeedUpRow
from cascade_exp.schema.evaluating import SpeedUpMember
from cascade_exp.tables import read_dataclasses


@dataclass(frozen=True)
class ChosenCascade:
    """One cascade with its thresholds.

    Attributes:
        stages: models or exits ``net@3``, in running order.
        thresholds: one for every stage but the last.
        temperatures: by stage, what divides its logits; 1 where absent.
        weights: by model, in running order, the folder it was saved to.
    """

    stages: list[str]
    thresholds: list[float]
    compare: Compare
    metric: Confidence
    ensemble: str
    temperatures: Mapping[str, float]
    weights: Mapping[str, Path]

    def run(self, logits: Mapping[str, Logits]) -> Outcome:
        """Where every example leaves, and with which answer; costs are of no unit here.

        Args:
            logits: by model, [N, K], or [N, exits, K] of a network with exits.
        """
        outputs = {stage: _output(stage, logits[network_of(stage)]) for stage in self.stages}
        patient = self.metric.name == PATIENCE
        models = LogitsPool.build(
            outputs,
            {stage: float(place) for place, stage in enumerate(self.stages, start=1)},
            np.zeros(len(outputs[self.stages[0]]), dtype=np.int64),  # labels: only scores need them
            metric=make_metric("max_softmax") if patient else self.metric,
            objective=make_objective("accuracy"),
            ensemble=self.ensemble,
            temperatures=self.temperatures,
        )
        pool: StagePool = ExitPool(models, patient=True) if patient else models
        return table_of(pool, tuple(range(len(self.stages)))).run(self.thresholds, self.compare)


def chosen_by_rule(run: Path, rule: str | None) -> ChosenCascade:
    """The operating point of ``rule``; None: the one of ``operating_point.json``.

    Raises:
        CascadeError: if ``run`` is no evaluated job, the rule is unknown or could not be met, or
            its cascade cannot be run on new examples (tiers, learned confidences, foreign models).
    """
    results, config = _evaluated(run)
    if rule is None:
        return _deployed(run, results)
    points = results.operating_points
    named = choice(rule, points, "rule")
    point = points[named]
    if not point.feasible:
        raise CascadeError(f"rule={named}: could not be met: {point.reason}")
    tiers = config["cascade"]["name"] == "tiers"
    _check_runnable(run, str(results.settings["metric"]), point.stages, tiers=tiers)
    return ChosenCascade(
        stages=point.stages,
        thresholds=point.thresholds,
        compare=cast(Compare, results.settings["compare"]),
        metric=make_metric(**config["metric"]),
        ensemble=str(results.settings["ensemble"]),
        temperatures={name: results.temperatures.get(name, 1.0) for name in point.stages},
        weights=_weights(run, results, point.stages),
    )


def _deployed(run: Path, results: Results) -> ChosenCascade:
    """The cascade of ``operating_point.json``, which alone says all of it."""
    point = read_operating_point(run / "results")
    if point["rule"] is None:
        points = results.operating_points
        reasons = "; ".join(f"{name}: {point.reason}" for name, point in points.items())
        raise CascadeError(f"run={run}: no rule of this job could be met ({reasons})")
    _check_runnable(run, point["metric"], point["stages"], tiers=point["combine"] is not None)
    return ChosenCascade(
        stages=point["stages"],
        thresholds=point["thresholds"],
        compare=point["compare"],
        metric=make_metric(point["metric"], **point["metric_settings"]),
        ensemble=point["ensemble"],
        temperatures=point["temperatures"],
        weights=_deployed_weights(run, point["models"]),
    )


def _deployed_weights(run: Path, models: Mapping[str, DeployedModel | None]) -> dict[str, Path]:
    found = {}
    for name, model in models.items():
        if model is None:
            raise CascadeError(
                f"run={run}: the weights of {name} are not known, as {OPERATING_POINT} does not "
                "name them; expected models that train.py has trained, no foreign recordings"
            )
        found[name] = run / model["weights"]
    return found


def _check_runnable(run: Path, metric: str, stages: list[str], *, tiers: bool) -> None:
    if metric == LEARNED:
        raise CascadeError(
            f"{run / 'results' / OPERATING_POINT}: metric={LEARNED} is scored by the "
            "regressions in there, which are not run on new examples; evaluate with another metric"
        )
    if tiers:
        raise CascadeError(
            f"run={run}: cascade=tiers: {'>'.join(stages)} has tiers of models; expected "
            "single models or the exits of one network"
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
    return ChosenCascade(
        stages=row.stages,
        # one threshold for all stages but the last; that of a model alone is an empty cell
        thresholds=[] if row.threshold is None else [row.threshold] * (len(row.stages) - 1),
        compare=cast(Compare, results.settings["compare"]),
        metric=make_metric(its.metric),
        ensemble=its.ensemble,
        temperatures=_fitted(results, run, row.stages),
        weights=_weights(run, results, row.stages),
    )


def _evaluated(run: Path) -> tuple[Results, dict[str, Any]]:
    """The results of a job, and its resolved configuration."""
    for needed in ("results/summary.json", "config.yaml"):
        if not (run / needed).is_file():
            raise CascadeError(
                f"run={run}: no {needed} in it; expected the folder of an evaluation"
            )
    config: Any = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"), resolve=True)
    return read_results(run / "results"), config


def _output(stage: str, logits: Logits) -> Logits:
    _, at, exit = stage.partition("@")
    return logits[:, int(exit) - 1] if at else logits  # the project's networks exit at every layer


def _models(stages: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(map(network_of, stages)))


def _recordings(run: Path, results: Results) -> Path:
    own = run / "recordings"
    return own if own.is_dir() else Path(str(results.settings["recordings"]))


def _selection(results: Results) -> str:
    splits = cast(dict[str, str], results.settings["splits"])
    return splits["selection"]


def _fitted(results: Results, run: Path, stages: list[str]) -> dict[str, float]:
    """The temperatures of a method, fitted as its sweep fits them; no file keeps these."""
    calibration = str(results.settings["calibration"])
    if calibration == "none":
        return {}
    folder = _recordings(run, results)
    split = open_recordings(folder, include=_models(stages)).split(_selection(results))
    fitted = {}
    for stage in stages:
        recorded = split.outputs[network_of(stage)]
        assert isinstance(recorded, np.ndarray)  # the sweep has refused answers
        fitted[stage] = CALIBRATORS[calibration](_output(stage, recorded), split.labels, stage)
    return fitted


def _weights(run: Path, results: Results, stages: list[str]) -> dict[str, Path]:
    """By model, where it was saved: in the job itself, or where its recording says."""
    recordings = _recordings(run, results)
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
            raise CascadeError(
                f"run={run}: the weights of {model} are not known, as {beside} does not name them; "
                "expected models that train.py has trained, no foreign recordings"
            ) from None
    return found
