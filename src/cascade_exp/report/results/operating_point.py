"""``operating_point.json``: all that a deployment needs to run the chosen cascade.

``docs/schemas/operating_point.schema.json`` is the layout as a JSON schema.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NotRequired,  # pydantic reads no other before Python 3.12
    TypeVar,
    cast,
)

from typing_extensions import TypedDict

from cascade_exp.recordings.exits import network_of
from cascade_exp.recordings.names import models_of
from cascade_exp.report.results.files import check_object, read_object
from cascade_exp.report.results.schema import Interval, Measured, Results, Threshold
from cascade_exp.schema.evaluating import CommonConfig, TiersCascade

if TYPE_CHECKING:
    from pydantic import TypeAdapter

OPERATING_POINT = "operating_point.json"
VERSION: Final = 3

_T = TypeVar("_T")


def _documented(kind: type[_T]) -> type[_T]:
    """Has pydantic describe the keys of ``kind`` in its JSON schema by the docstrings below them.

    Does what ``pydantic.with_config`` does, without importing pydantic when this module is.
    """
    kind.__pydantic_config__ = {"use_attribute_docstrings": True}  # type: ignore[attr-defined]
    return kind


@_documented
class Expected(TypedDict):
    """What the cascade does on one split, per example; costs in the unit of ``cost``."""

    split: str
    """The name of the split."""
    examples: int
    """The number of its examples."""
    cost: float
    """Mean cost per example."""
    cost_interval: Interval | None
    """95 % bootstrap interval of ``cost``; null on the split that the cascade was chosen on."""
    score: float
    """The objective, as a fraction (0 to 1)."""
    score_interval: Interval | None
    """95 % bootstrap interval of ``score``; null on the split that the cascade was chosen on."""
    exit_rates: list[float]
    """The share of examples that each stage answers, in the order of ``stages``."""


class ExpectedOnBoth(TypedDict):
    """What to expect: ``selection`` is optimistic, as the cascade was chosen there."""

    selection: Expected
    report: Expected


class ChosenOn(TypedDict):
    """The split that the thresholds were chosen on, and the recordings folder it belongs to."""

    split: str
    recordings: str


@_documented
class DeployedModel(TypedDict):
    """A model that ``train.py`` has trained."""

    weights: str
    """Its folder: ``model.json``, weights, and the tokenizer of a text model."""
    input: NotRequired[dict[str, Any]]
    """What it is fed: the transform of images, or the maximum length of texts."""
    classes: NotRequired[list[str]]
    """The names of the labels, in the order of the logits."""


@_documented
class Deployment(TypedDict):
    """``operating_point.json``: the cascade that the first feasible rule has chosen.

    A path inside the job's folder is relative to that folder, so that a job can be moved; others
    are absolute. Infinite thresholds are written "inf" (no example leaves here) and "-inf" (all
    do).
    """

    schema_version: Literal[3]
    rule: str
    """The selection rule that chose it."""
    stages: list[str]
    """What runs, in order: models, exits ``net@3``, or tiers ``a+b``."""
    thresholds: list[Threshold]
    """One for every stage but the last."""
    compare: Literal["ge", "gt"]
    """An example leaves a stage at confidence >= threshold (``ge``) or > threshold (``gt``)."""
    metric: str
    """The confidence that thresholds are compared with."""
    metric_settings: dict[str, Any]
    """Settings of the metric, such as the k of ``topk_sum``."""
    ensemble: str
    """How the outputs of the stages that have run are combined."""
    combine: str | None
    """How the models of a tier are combined; null without tiers."""
    temperatures: dict[str, float]
    """By model or exit, what divides its logits; 1 where not calibrated."""
    learned: dict[str, dict[str, Any]] | None
    """With ``metric=learned``, by stage, the regression that scores it."""
    objective: str
    """What ``score`` is."""
    cost: str
    """The column of ``models.csv`` that costs are in."""
    stage_costs: list[float]
    """The cost of running each stage on one example."""
    accounting: str
    """Whether an example pays for all stages that have run, or for the last of them."""
    chosen_on: ChosenOn
    expected: ExpectedOnBoth
    models: dict[str, DeployedModel | None]
    """Every model that runs, in the pool's order, in which means add them up; null where the
    recordings do not say where its weights are."""


class NothingChosen(TypedDict):
    """``operating_point.json`` where no rule could be met; ``summary.json`` has the reasons."""

    schema_version: Literal[3]
    rule: None
    stages: list[str]


def deployment(
    results: Results, recordings: Path, settings: CommonConfig, job: Path
) -> Deployment | NothingChosen:
    """The chosen operating point with the models it runs, as plain data.

    Models of foreign recordings have no weights; of the project's own, the path of the weights, the
    input transform, the tokenizer and the label names are taken from beside the recording.

    Args:
        job: the job's folder, which paths inside of it are relative to.
    """
    if results.chosen is None:
        return {"schema_version": VERSION, "rule": None, "stages": []}
    point = results.operating_points[results.chosen]
    models = [name for stage in point.stages for name in models_of(stage)]
    order = [model.name for model in results.single_models]
    split = str(settings.splits.selection)
    assert point.selection is not None and point.report is not None
    fitted = results.temperatures if point.temperatures is None else point.temperatures
    return {
        "schema_version": VERSION,
        "rule": point.rule,
        "stages": point.stages,
        "thresholds": point.thresholds,
        "compare": cast("Literal['ge', 'gt']", settings.threshold.compare),
        "metric": settings.metric.name,
        "metric_settings": {k: v for k, v in vars(settings.metric).items() if k != "name"},
        "ensemble": settings.ensemble.name,
        "combine": settings.cascade.combine if isinstance(settings.cascade, TiersCascade) else None,
        "temperatures": {name: fitted.get(name, 1.0) for name in models},
        "learned": (results.learned if point.learned is None else point.learned) or None,
        "objective": settings.objective.name,
        "cost": settings.cost.column,
        "stage_costs": point.stage_costs,
        "accounting": settings.cost.accounting,
        "chosen_on": {"split": split, "recordings": _path(recordings, job)},
        "expected": {
            "selection": expected_of("selection", point.selection, results),
            "report": expected_of("report", point.report, results),
        },
        "models": {
            name: _model(recordings / split / f"{name}.json", job)
            for name in dict.fromkeys(network_of(name) for name in sorted(models, key=order.index))
        },
    }


def read_operating_point(folder: Path) -> Deployment | NothingChosen:
    """Read ``operating_point.json`` of a job's results ``folder``, checked field by field.

    Raises:
        CascadeError: it is missing, truncated, of another version, lacks a key, or holds a value of
            another type; the message names the file and the key.
    """
    path = folder / OPERATING_POINT
    found = read_object(path, VERSION)
    if "rule" in found and found["rule"] is None:
        return check_object(found, _adapters()[1], path)
    return check_object(found, _adapters()[0], path)


@cache
def operating_point_adapter() -> TypeAdapter[Deployment | NothingChosen]:
    """Both layouts of ``operating_point.json``, for its JSON schema."""
    from pydantic import TypeAdapter

    return TypeAdapter(Deployment | NothingChosen)


@cache
def _adapters() -> tuple[TypeAdapter[Deployment], TypeAdapter[NothingChosen]]:
    from pydantic import TypeAdapter

    return TypeAdapter(Deployment), TypeAdapter(NothingChosen)


def expected_of(
    role: Literal["selection", "report"], found: Measured, results: Results
) -> Expected:
    """What the operating point ``found`` does on a split of the job of ``results``."""
    names: Any = results.settings["splits"]
    sizes: Any = results.settings["sizes"]
    return {
        "split": names[role],
        "examples": sizes[role],
        "cost": found.cost,
        "cost_interval": found.cost_interval,
        "score": found.score,
        "score_interval": found.score_interval,
        "exit_rates": found.exit_rates,
    }


def _path(path: Path, job: Path) -> str:
    """``path`` relative to ``job`` where it lies inside, else absolute."""
    path, job = path.resolve(), job.resolve()
    return path.relative_to(job).as_posix() if path.is_relative_to(job) else str(path)


def _model(beside: Path, job: Path) -> DeployedModel | None:
    try:
        about = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    model = about.get("model") if isinstance(about, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("weights"), str):
        return None
    return cast(DeployedModel, model | {"weights": _path(Path(model["weights"]), job)})
