"""The keys of ``evaluate.py``: one dataclass per kind of option, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

from omegaconf import MISSING

from cascade_exp.errors import CascadeError
from cascade_exp.models.members import read_keys

# OmegaConf reads these annotations at run time and knows Optional[X], not X | None.
# ruff: noqa: UP045


@dataclass
class Named:
    """An option without settings of its own: an ensemble, a calibration, most metrics."""

    name: str = MISSING


@dataclass
class TopK(Named):
    """An option that looks at the k best classes: ``topk_sum``, ``topk_accuracy``."""

    k: int = MISSING


@dataclass
class LearnedMetric(Named):
    """A confidence learned from the plain one (``base``), cross-fitted in ``folds`` parts."""

    base: str = MISSING
    folds: int = 5


@dataclass
class F1(Named):
    """F1 of class 1 (``binary``) or averaged over all classes (``macro``)."""

    average: str = "binary"


@dataclass
class Cost(Named):
    """A column of models.csv, and how the stages of a cascade and the models of a tier add up.

    ``column`` auto: ``macs`` where the recordings have it, else their only column.
    """

    column: str = MISSING
    accounting: str = "cumulative"
    parallel: str = "sum"


@dataclass
class DollarsCost(Cost):
    """Dollars of the GPU that each model runs on; per example, or the hourly rate itself."""

    gpu: Any = None
    prices: Optional[str] = None
    basis: str = "per_example"


@dataclass
class EdgeCloudCost(Cost):
    """Seconds of the models that ran, and of the link to the tier that answered.

    ``places``: models by place, nearest first, for a search, which must know where each one runs.
    """

    places: Any = None
    delays: Any = None
    payload: float = 0.0
    bandwidth: Any = None
    distribution: str = "constant"
    spread: float = 0.5


@dataclass
class StagesCascade(Named):
    """One given cascade, in the order written."""

    stages: Any = MISSING


@dataclass
class ExitsCascade(Named):
    """The exits of one recorded network, in order."""

    network: str = MISSING


@dataclass
class TiersCascade(Named):
    """Tiers of models by name, in the order written, and how a tier answers.

    Without ``tiers``, how many models a tier of the search has, and how many cascades it looks at.
    """

    tiers: Any = None
    combine: str = "vote"
    sizes: Any = MISSING
    budget: int = MISSING


@dataclass
class Search(Named):
    """How far the search looks: the longest cascade, the gap that may be left open; and where."""

    max_stages: int = 2
    gap: float = 0.0
    workers: int = 1
    backend: str = "loky"


@dataclass
class Threshold(Named):
    """How operating points are chosen on the selection split.

    ``target_cost``: the largest mean cost of the rule of this name, in the unit of the costs;
    ``target_cost_share``: the same as a share of what the model that ``reference`` names costs.
    """

    rules: Any = MISSING
    reference: str = "best"
    tolerance: float = 0.0
    target_cost: Optional[float] = None
    target_cost_share: Optional[float] = None
    target_accuracy: Optional[float] = None
    fixed: Any = None
    epsilon: float = 0.01
    delta: float = 0.1
    worst_case_cost: Optional[float] = None
    shared: Optional[bool] = None  # null: true for the exits of one network, else false
    compare: str = "ge"
    same_split: bool = False
    local: int = 0


@dataclass
class Splits:
    """Which recorded splits play the two roles."""

    selection: str = "selection"
    report: str = "report"


@dataclass
class Pool:
    """Names or globs that narrow the pool of recorded models."""

    include: Any = None
    exclude: Any = None


@dataclass
class Method:
    """One of the methods to compare (``jobs.methods``); ``k`` is for ``topk_sum`` alone."""

    metric: str = MISSING
    ensemble: str = "none"
    calibration: str = "none"
    k: Optional[int] = None


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


if TYPE_CHECKING:
    SpeedUpMembers = dict[str, SpeedUpMember]
else:  # Hydra cannot add `+speed_ups.members.mine={…}` to a dictionary of dataclasses
    SpeedUpMembers = dict[str, Any]


@dataclass
class SpeedUps:
    """Methods by name, and the speed-ups that they are compared at.

    Attributes:
        full: the model whose cost is a speed-up of 1; null: the most expensive one.
        also: further splits that the chosen settings are evaluated on; null: the further sets that
            the data of a training job come with (MNLI's mismatched dev set).

    Raises:
        CascadeError: if a speed-up is below 1, or a member is not exactly one kind of method.
    """

    members: SpeedUpMembers = field(default_factory=dict)
    at: list[float] = field(default_factory=lambda: [2.0, 3.0, 4.0])
    full: Optional[str] = None
    also: Optional[list[str]] = None

    def __post_init__(self) -> None:
        if not self.at or not all(speed_up >= 1 for speed_up in self.at):
            raise CascadeError(f"speed_ups.at={self.at}: expected a list of numbers from 1 on")
        self.members = {str(name): _member(str(name), it) for name, it in self.members.items()}


def _member(name: str, given: SpeedUpMember | Mapping[str, Any]) -> SpeedUpMember:
    where = f"speed_ups.members.{name}"
    if isinstance(given, SpeedUpMember):
        member = given
    elif isinstance(given, Mapping):
        member = read_keys(f"{where}.", given, SpeedUpMember)
    else:
        raise CascadeError(f"{where}={given}: expected a method, as {{network: deebert}}")
    _check_member(where, name, member)
    return member


def _check_member(where: str, name: str, member: SpeedUpMember) -> None:
    if name == FULL:
        raise CascadeError(
            f"{where}: the model of speed_ups.full has this name; choose another one"
        )
    kinds = {"stages": member.stages, "network": member.network, "models": member.models}
    given = [key for key, value in kinds.items() if value is not None]
    if len(given) != 1:
        raise CascadeError(
            f"{where}: expected one of stages (a cascade), network (its exits) and models (each "
            f"alone), found {' and '.join(given) or 'none'}"
        )
    if member.models is not None and not member.models:
        raise CascadeError(f"{where}.models={member.models}: expected a list of models")
    if member.stages is not None and len(member.stages) < 2:
        raise CascadeError(
            f"{where}.stages={member.stages}: expected two models or more; "
            f"models={member.stages} runs it alone"
        )


@dataclass
class RecordedAnswers:
    """How black boxes' answers are read; ``absent`` (``defer`` or ``wrong``) is of missing ones.

    An absent answer is wrong in any case; ``defer`` also gives it the lowest confidence.
    """

    absent: str = "defer"


@dataclass
class Bootstrap:
    """Resamples behind each 95 % interval."""

    resamples: int = 2000


@dataclass
class Paths:
    """Where jobs write, and where what they share is kept."""

    output_dir: str = "outputs"
    cache_dir: str = ".cache"


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


@dataclass
class EvaluateConfig:
    """All keys of ``evaluate.py``."""

    recordings: Optional[str] = None
    run: Optional[str] = None
    compare: Optional[str] = None
    splits: Splits = field(default_factory=Splits)
    pool: Pool = field(default_factory=Pool)
    answers: RecordedAnswers = field(default_factory=RecordedAnswers)
    metric: Named = MISSING
    ensemble: Named = MISSING
    calibration: Named = MISSING
    objective: Named = MISSING
    cascade: Named = MISSING
    search: Search = MISSING
    cost: Cost = MISSING
    baseline: str = "hull"
    threshold: Threshold = MISSING
    methods: dict[str, Any] = field(default_factory=dict)
    speed_ups: SpeedUps = field(default_factory=SpeedUps)
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    analyses: bool = True
    plots: bool = True
    published: Optional[str] = None
    optimize: Optional[str] = None
    logger: dict[str, Any] = field(default_factory=dict)
    paths: Paths = MISSING
    seed: int = 0
