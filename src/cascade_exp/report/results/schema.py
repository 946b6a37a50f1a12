"""The typed results of one evaluation: the contract behind ``summary.json`` and everything shown.

Reading and writing lives in ``results.files``. A change that an old reader would misread raises
``SCHEMA_VERSION``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic reads no other before Python 3.12
)

from typing_extensions import TypedDict

SCHEMA_VERSION = 1

Interval = tuple[float, float]


class MayBeInfinite:
    """Marks a float that is "inf" or "-inf" in JSON where it is infinite; pydantic calls this."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [handler(core), {"enum": ["inf", "-inf"]}]}


Threshold = Annotated[float, MayBeInfinite()]


@dataclass(frozen=True)
class Measured:
    """One operating point on one split.

    ``improvement`` is baseline cost / cascade cost at this score, None above the best single model.
    The 95 % bootstrap intervals are given on the report split only.
    """

    cost: float
    score: float
    exit_rates: list[float]
    improvement: float | None
    score_interval: Interval | None = None
    cost_interval: Interval | None = None


@dataclass(frozen=True)
class Difference:
    """An operating point minus the reference, on the same examples of the report split.

    Attributes:
        reference: what ``threshold.reference`` names; ``best`` is chosen on the selection split.
        score, cost: the point's minus the reference's; cost per example.
        score_interval, cost_interval: 95 % paired bootstrap intervals (``cascade.bootstrap``).
    """

    reference: str
    score: float
    score_interval: Interval
    cost: float
    cost_interval: Interval


@dataclass(frozen=True)
class OperatingPoint:
    """The setting that one selection rule chose on the selection split, or why it chose none.

    ``stage_costs`` is the cost of running each stage; ``conditions`` say, by stage but the last,
    when an example leaves it, in the words of the kind of cascade. ``difference`` is None in
    results written before it was recorded. ``idle`` are stages that answer almost nobody and bring
    nothing that the selection split shows (``evaluation.idle``), ``dropped`` those that were left
    out for that. ``temperatures`` and ``learned`` (as in :class:`Results`) are what this point was
    searched and measured with; None in results written before they were recorded.
    """

    rule: str
    feasible: bool
    reason: str | None = None
    stages: list[str] = field(default_factory=list)
    thresholds: list[Threshold] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    stage_costs: list[float] = field(default_factory=list)
    worst_case_cost: float | None = None
    selection: Measured | None = None
    report: Measured | None = None
    difference: Difference | None = None
    idle: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    temperatures: dict[str, float] | None = None
    learned: dict[str, dict[str, Any]] | None = None


@dataclass(frozen=True)
class SingleModel:
    """One model of the pool alone, on both splits; cost is its cost per example."""

    name: str
    selection: Measured
    report: Measured


@dataclass(frozen=True)
class FrontRow:
    """One row of ``frontier.csv``: a non-dominated setting of the selection split."""

    stages: list[str]
    thresholds: list[float]
    exit_rates: list[float]
    cost: float
    worst_case_cost: float
    score: float
    improvement: float | None
    report_cost: float
    report_score: float

    def __post_init__(self) -> None:
        if not len(self.thresholds) + 1 == len(self.exit_rates) == len(self.stages):
            raise ValueError(
                f"{len(self.stages)} stages with {len(self.thresholds)} thresholds and "
                f"{len(self.exit_rates)} exit rates"
            )


@dataclass(frozen=True)
class ReliabilityRow:
    """One row of ``reliability.csv``: how well a confidence separates right from wrong answers.

    ``dis``, ``ece`` and ``auroc`` (docs/definitions.md#reliability) are None where not defined.
    """

    model: str
    split: str
    score: float
    dis: float | None
    ece: float | None
    auroc: float | None


@dataclass(frozen=True)
class Setting:
    """A cascade and its thresholds, one fewer than its stages."""

    stages: list[str]
    thresholds: list[Threshold]


@dataclass(frozen=True)
class FrontFigures:
    """Headline figures of one split's Pareto front against that split's single-model baseline.

    The settings of the largest improvement and of the top score are chosen on the selection split;
    the figures of the report split are what these same settings do there.

    Attributes:
        average_improvement: mean factor over ``accuracy_range``; None where the range is empty.
        accuracy_range: from the cheapest single model's score to the best one's.
        max_improvement: factor of the setting whose factor is largest on selection; None without
            such a setting, or where it scores above this split's single models.
        max_improvement_score: the score of that setting.
        top_score: score of the setting that scores best on selection; ``top_gain``: that minus the
            best single model's.
        max_improvement_setting, top_setting: those settings, the same on both splits; None in
            results written before they were recorded.
    """

    average_improvement: float | None
    accuracy_range: Interval
    max_improvement: float | None
    max_improvement_score: float | None
    top_score: float
    top_gain: float
    max_improvement_setting: Setting | None = None
    top_setting: Setting | None = None


@dataclass(frozen=True)
class SweepCurve:
    """Every threshold of the chosen cascade's first stage on both splits.

    The later ones are held, or move with it where all stages share one threshold.
    """

    thresholds: list[float]
    cost: dict[str, list[float]]
    score: dict[str, list[float]]


def no_conditions(row: FrontRow) -> list[str]:
    """What results that were read from files say of a row's thresholds: nothing."""
    return []


@dataclass(frozen=True)
class Results:
    """All that one evaluation found.

    Attributes:
        settings: the choices made by name: metric, confidence (name and label of what thresholds
            are compared with), ensemble, calibration, objective, cost (name, column and unit),
            accounting, baseline, compare, splits and their sizes, exact.
        operating_points: by rule, in the order the rules were given; ``chosen`` is the first
            feasible one's rule.
        baseline: by split, the knots (score, cost) of the single-model baseline.
        learned: with ``metric=learned``, by stage of the chosen cascade, the deferral
            model (``cascade.deferral``) that scores it; else empty.
        environment: versions, git revision, machine, seeds.
        warnings: what is probably wrong with the recordings (``evaluation.findings``).
        conditions: a row's thresholds in words, by stage but the last; asked for the few rows that
            are shown.
    """

    settings: dict[str, object]
    single_models: list[SingleModel]
    frontier: list[FrontRow]
    operating_points: dict[str, OperatingPoint]
    chosen: str | None
    figures: dict[str, FrontFigures]
    baseline: dict[str, list[tuple[float, float]]]
    reliability: list[ReliabilityRow]
    temperatures: dict[str, float]
    learned: dict[str, dict[str, object]]
    sweep_curve: SweepCurve | None
    environment: dict[str, object]
    warnings: list[str] = field(default_factory=list)
    conditions: Callable[[FrontRow], list[str]] = field(default=no_conditions, compare=False)


# ---------------------------------------------------------------- the layout of ``summary.json``


class CostUnit(TypedDict):
    """The cost that was counted: the option's name, the column it reads, and its unit."""

    name: str
    column: str
    unit: str


class SplitNames(TypedDict):
    """Which split plays which role: thresholds are chosen on ``selection``."""

    selection: str
    report: str


class SplitSizes(TypedDict):
    """Examples per role."""

    selection: int
    report: int


class AverageImprovement(TypedDict):
    """Mean improvement factor over ``accuracy_range`` (fractions); null where that is empty."""

    factor: float | None
    accuracy_range: Interval


class MaxImprovement(TypedDict):
    """Factor and score of the setting whose improvement factor is largest on selection."""

    factor: float | None
    score: float | None
    setting: NotRequired[Setting | None]


class TopScore(TypedDict):
    """Score of the setting that scores best on selection, and that minus the best single model's
    (fractions)."""

    score: float
    gain: float
    setting: NotRequired[Setting | None]


class Summary(TypedDict):
    """``summary.json``: the settings of an evaluation, and what it found.

    Costs are per example in ``cost.unit``, scores are fractions (0 to 1), and infinite thresholds
    are written "inf" (no example leaves here) and "-inf" (all do). Settings of an option, such as
    ``metric_k``, are further keys.
    """

    __pydantic_config__ = {"extra": "allow"}  # type: ignore[misc]  # noqa: RUF012

    schema_version: Literal[1]
    metric: str
    ensemble: str
    calibration: str
    objective: str
    cost: CostUnit
    accounting: str
    cascade: NotRequired[dict[str, Any]]
    baseline: str
    compare: str
    shared: NotRequired[bool]
    recordings: NotRequired[str]
    splits: SplitNames
    sizes: SplitSizes
    shared_examples: NotRequired[int]
    exact: bool
    search_note: NotRequired[str | None]
    cascades: NotRequired[int]
    chosen: str | None
    average_improvement: dict[str, AverageImprovement]
    max_improvement: dict[str, MaxImprovement]
    top_score: dict[str, TopScore]
    operating_points: dict[str, OperatingPoint]
    single_models: list[SingleModel]
    baseline_knots: dict[str, list[Interval]]
    temperatures: dict[str, float]
    learned: dict[str, dict[str, Any]]
    environment: dict[str, Any]
    warnings: NotRequired[list[str]]
