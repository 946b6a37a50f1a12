"""The keys of ``evaluate.py``: one dataclass per kind of option, and all of them together.

Every dataclass checks its own values when it is made (``__post_init__``). A default is stated once:
here, or in the option's file under ``conf/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

from cascade_exp.errors import CascadeError, choice
from cascade_exp.schema.ranges import above_zero, at_least, share_below_one

# OmegaConf reads these annotations at run time and knows Optional[X], not X | None.
# ruff: noqa: UP045

EACH = "each"
"""Metadata of a dictionary whose values are all of one dataclass, which ``checks`` reads them into.

OmegaConf's own ``dict[str, Method]`` refuses ``+methods.a.metric=entropy`` on the command line.
"""


@dataclass
class Named:
    """An option without settings of its own: an ensemble, a calibration, most metrics."""

    name: str


@dataclass(kw_only=True)
class TopK(Named):
    """An option that looks at the k best classes: ``topk_accuracy``."""

    k: int

    def __post_init__(self) -> None:
        at_least(1, k=self.k)


@dataclass(kw_only=True)
class LearnedMetric(Named):
    """A confidence learned from the metric ``base``, cross-fitted in ``folds`` parts."""

    base: str
    folds: int = 5

    def __post_init__(self) -> None:
        if self.base == self.name:
            raise CascadeError(f"base={self.base}: expected a confidence that is not learned")
        at_least(2, folds=self.folds)


@dataclass(kw_only=True)
class F1(Named):
    """F1 of class 1 (``binary``) or averaged over all classes (``macro``)."""

    average: str

    def __post_init__(self) -> None:
        choice(self.average, ("binary", "macro"), "average")


@dataclass(kw_only=True)
class Cost(Named):
    """A column of models.csv, and how the stages of a cascade and the models of a tier add up.

    Attributes:
        column: of models.csv; ``auto``: ``macs`` where the recordings have it, else the only one.
        accounting: ``cumulative``: every stage that ran is paid; ``exit_tier``: the last one only.
        parallel: a tier costs the ``sum`` of its models, or the most expensive one (``max``).
    """

    column: str
    accounting: str = "cumulative"
    parallel: str = "sum"

    def __post_init__(self) -> None:
        choice(self.accounting, ("cumulative", "exit_tier"), "accounting")
        choice(self.parallel, ("sum", "max"), "parallel")


@dataclass(kw_only=True)
class DollarsCost(Cost):
    """Dollars of the GPU that each model runs on; per example, or the hourly rate itself."""

    gpu: Any
    prices: Optional[str]
    basis: str

    def __post_init__(self) -> None:
        super().__post_init__()
        choice(self.basis, ("per_example", "rate"), "basis")


@dataclass(kw_only=True)
class EdgeCloudCost(Cost):
    """Seconds of the models that ran, and of the link to the tier that answered.

    ``places``: models by place, nearest first, for a search, which must know where each one runs.
    """

    places: Any
    delays: Any
    payload: float
    bandwidth: Any
    distribution: str
    spread: float

    def __post_init__(self) -> None:
        super().__post_init__()
        choice(self.distribution, ("constant", "exponential", "lognormal"), "distribution")


@dataclass(kw_only=True)
class StagesCascade(Named):
    """One given cascade, in the order written."""

    stages: Any


@dataclass(kw_only=True)
class ExitsCascade(Named):
    """The exits of one recorded network, in order."""

    network: str


@dataclass(kw_only=True)
class TiersCascade(Named):
    """Tiers of models by name, in the order written, and how a tier answers.

    Without ``tiers``, how many models a tier of the search has, and how many cascades it looks at.
    """

    tiers: Any = None
    combine: str = "vote"
    sizes: Any
    budget: int

    def __post_init__(self) -> None:
        at_least(1, budget=self.budget)


@dataclass(kw_only=True)
class Search(Named):
    """How far the search looks: the longest cascade, the gap that may be left open; and where."""

    max_stages: int
    gap: float
    workers: int
    backend: str

    def __post_init__(self) -> None:
        at_least(1, max_stages=self.max_stages, workers=self.workers)
        share_below_one(gap=self.gap)
        choice(self.backend, ("loky", "ray"), "backend")


@dataclass(kw_only=True)
class Threshold(Named):
    """How operating points are chosen on the selection split; see ``conf/threshold/``."""

    rules: Any
    reference: str
    tolerance: float
    target_cost: Optional[float]
    target_cost_share: Optional[float]
    target_accuracy: Optional[float]
    fixed: Any
    epsilon: float
    delta: float
    worst_case_cost: Optional[float]
    shared: Optional[bool]
    compare: str
    same_split: bool
    local: int
    drop_idle: bool

    def __post_init__(self) -> None:
        choice(self.compare, ("ge", "gt"), "compare")
        at_least(0, local=self.local)
        share = self.target_cost_share
        if share is None:
            return
        above_zero(target_cost_share=share)
        if self.target_cost is not None:
            raise CascadeError(
                f"target_cost_share={share}: threshold.target_cost is given too; expected one of "
                "the two"
            )
        if "target_cost" not in self.rule_names:
            raise CascadeError(
                f"target_cost_share={share}: read by the rule target_cost; give "
                "threshold.rules=[target_cost]"
            )

    @property
    def goals(self) -> dict[str, object]:
        """The goals of the rules by their keys; a share of a cost sets ``target_cost``."""
        share = self.target_cost_share
        return vars(self) if share is None else {**vars(self), "target_cost": share}

    @property
    def rule_names(self) -> list[str]:
        """``rules`` as a list, in the order given."""
        rules = self.rules if isinstance(self.rules, list) else [self.rules]
        return [str(rule) for rule in rules]


@dataclass
class Splits:
    """Which recorded splits play the two roles."""

    selection: str
    report: str


@dataclass
class Pool:
    """Names or globs that narrow the pool of recorded models."""

    include: Any
    exclude: Any


@dataclass
class Method:
    """One of the methods to compare (``comparisons.methods``); ``k`` is for ``topk_sum`` alone."""

    metric: str
    ensemble: str = "none"
    calibration: str = "none"
    k: Optional[int] = None

    def __post_init__(self) -> None:
        if self.metric == "recorded" and self.calibration != "none":
            raise CascadeError(
                f"metric=recorded with calibration={self.calibration}: recorded answers have no "
                "logits to scale, expected calibration=none"
            )
        if self.metric != "topk_sum" and self.k is not None:
            raise CascadeError(f"k={self.k}: only metric=topk_sum takes k")
        if self.metric == "topk_sum" and (self.k is None or self.k < 1):
            raise CascadeError(f"k={self.k}: metric=topk_sum needs k, a whole number above 0")


if TYPE_CHECKING:
    Methods = dict[str, Method]
else:
    Methods = dict[str, Any]


FULL = "full"
"""What the model that speed-ups are relative to is called among the rows of ``speed_ups.csv``."""


@dataclass
class SpeedUpMember:
    """A method to compare at equal speed-up: a cascade, a network's exits, or models alone."""

    stages: Optional[list[str]] = None
    network: Optional[str] = None
    models: Optional[list[str]] = None
    metric: str = "max_softmax"
    ensemble: str = "none"

    def __post_init__(self) -> None:
        kinds = {"stages": self.stages, "network": self.network, "models": self.models}
        given = [key for key, value in kinds.items() if value is not None]
        if len(given) != 1:
            raise CascadeError(
                "expected one of stages (a cascade), network (its exits) and models (each "
                f"alone), found {' and '.join(given) or 'none'}"
            )
        if self.models is not None and not self.models:
            raise CascadeError(f"models={self.models}: expected a list of models")
        if self.stages is not None and len(self.stages) < 2:
            raise CascadeError(
                f"stages={self.stages}: expected two models or more; models={self.stages} runs it "
                "alone"
            )


if TYPE_CHECKING:
    SpeedUpMembers = dict[str, SpeedUpMember]
else:
    SpeedUpMembers = dict[str, Any]


@dataclass
class SpeedUps:
    """Methods by name, and the speed-ups that they are compared at.

    Attributes:
        full: the model whose cost is a speed-up of 1; null: the most expensive one.
        also: further splits that the chosen settings are evaluated on; null: the further sets that
            the data of a training job come with (MNLI's mismatched dev set).
    """

    members: SpeedUpMembers = field(default_factory=dict, metadata={EACH: SpeedUpMember})
    at: list[float] = field(default_factory=lambda: [2.0, 3.0, 4.0])
    full: Optional[str] = None
    also: Optional[list[str]] = None

    def __post_init__(self) -> None:
        if not self.at or not all(speed_up >= 1 for speed_up in self.at):
            raise CascadeError(f"at={self.at}: expected a list of numbers from 1 on")
        if FULL in self.members:
            raise CascadeError(
                f"members.{FULL}: the model of speed_ups.full has this name; choose another one"
            )


@dataclass
class RecordedAnswers:
    """How black boxes' answers are read; ``absent`` (``defer`` or ``wrong``) is of missing ones.

    An absent answer is wrong in any case; ``defer`` also gives it the lowest confidence.
    """

    absent: str

    def __post_init__(self) -> None:
        choice(self.absent, ("defer", "wrong"), "absent")


@dataclass
class Bootstrap:
    """Resamples behind each 95 % interval."""

    resamples: int

    def __post_init__(self) -> None:
        at_least(1, resamples=self.resamples)


@dataclass
class Paths:
    """Where jobs write, and where what they share is kept."""

    output_dir: str
    cache_dir: str


@dataclass
class WandbLogger:
    """Arguments of ``wandb.init``; mode null: online when a key is configured, else offline."""

    project: str = "cascade-exp"
    entity: Optional[str] = None
    group: Optional[str] = None
    name: Optional[str] = None
    tags: Any = None
    notes: Optional[str] = None
    mode: Optional[str] = None


@dataclass
class CsvLogger:
    """Training curves as ``metrics.csv`` below ``<job>/<folder>/``."""

    folder: str = "csv"


@dataclass
class TensorBoardLogger:
    """Training curves and headline numbers as event files below ``<job>/<folder>/``."""

    folder: str = "tensorboard"


@dataclass
class MlflowLogger:
    """One MLflow run per job; ``tracking_uri`` null: ``<job>/mlflow.db``."""

    experiment: str = "cascade-exp"
    run_name: Optional[str] = None
    tracking_uri: Optional[str] = None


LOGGERS = (WandbLogger, CsvLogger, TensorBoardLogger, MlflowLogger)


FORMATS = ("png", "pdf", "svg")


def plot_formats(given: object) -> list[str]:
    """The formats that ``plots`` asks pictures in; empty where none are drawn.

    >>> plot_formats(True), plot_formats(False), plot_formats({"format": ["pdf", "png"]})
    (['png'], [], ['pdf', 'png'])

    Raises:
        CascadeError: if it is neither true nor false nor has formats out of :data:`FORMATS`.
    """
    if isinstance(given, bool):
        return [FORMATS[0]] if given else []
    if isinstance(given, list):  # read before
        return given
    asked = given.get("format") if isinstance(given, Mapping) and set(given) == {"format"} else None
    formats = asked if isinstance(asked, list) else [asked]
    if asked is None or not formats:
        raise CascadeError(
            f"plots={given}: expected true, false, or plots.format={'|'.join(FORMATS)}"
        )
    return list(dict.fromkeys(choice(str(one), FORMATS, "plots.format") for one in formats))


@dataclass
class Execution:
    """How ``execute=true`` runs the chosen cascade.

    Attributes:
        batch_size: the most inputs a network is given at once.
        timed: the first so many examples are timed; null: all.
        repeats: rounds of timing, of which the median counts.
        devices: how many devices share the run over the whole split.
    """

    batch_size: int
    timed: Optional[int]
    repeats: int
    devices: int

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size, repeats=self.repeats, devices=self.devices)
        if self.timed is not None:
            at_least(1, timed=self.timed)


@dataclass(kw_only=True)
class CommonConfig:
    """The keys that both commands have; ``conf/common.yaml`` says what each one is."""

    run: Optional[str]
    splits: Splits
    pool: Pool
    answers: RecordedAnswers
    metric: Named
    ensemble: Named
    calibration: Named
    objective: Named
    cascade: Named
    search: Search
    cost: Cost
    baseline: str
    threshold: Threshold
    methods: Methods = field(default_factory=dict, metadata={EACH: Method})
    speed_ups: SpeedUps = field(default_factory=SpeedUps)
    bootstrap: Bootstrap
    analyses: bool
    plots: Any
    published: Optional[str]
    execute: bool
    execution: Execution
    optimize: Optional[str]
    logger: dict[str, Any] = field(default_factory=dict)
    paths: Paths
    seed: int

    def __post_init__(self) -> None:
        from cascade_exp.cascade.selection import check_rule

        choice(self.baseline, ("hull", "adjacent"), "baseline")
        self.plots = plot_formats(self.plots)
        for rule in self.threshold.rule_names:
            check_rule(rule, self.threshold.goals)
        same = self.splits.selection == self.splits.report
        if same and not self.threshold.same_split:
            raise CascadeError(
                f"splits.selection and splits.report are both '{self.splits.report}'; selecting "
                "and reporting on the same examples gives optimistic results "
                "(threshold.same_split=true does it all the same, and the report says so)"
            )
        metrics = [self.metric.name, *(method.metric for method in self.methods.values())]
        if "fixed" in self.threshold.rule_names and "learned" in metrics:
            raise CascadeError(
                "threshold.rules names fixed with metric=learned: a learned confidence is fitted "
                "anew by every job, so that no threshold can be given for it"
            )
        for name in self.methods:
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise CascadeError(
                    f"methods.{name}: {name!r} cannot name a method, as its results are put into "
                    "a folder of that name; expected letters, digits, _ . and -"
                )
        for name, logger in self.logger.items():
            if not isinstance(logger, LOGGERS):
                raise CascadeError(
                    f"logger.{name}={logger}: expected the settings of a logger; logger={name} or "
                    "logger=[wandb,csv] chooses loggers, logger.<name>.<key>=… sets them"
                )


@dataclass(kw_only=True)
class EvaluateConfig(CommonConfig):
    """All keys of ``evaluate.py``."""

    recordings: Optional[str]
    compare: Optional[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.recordings is not None and self.run is not None:
            raise CascadeError("recordings and run both name recordings; give one of them")
