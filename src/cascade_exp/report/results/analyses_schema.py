"""What an evaluation's analyses found, typed: the contract behind ``results/analyses/``.

Everything is evaluated on the report split. Curves of ``cascade.reliability`` and
``cascade.reference_curves`` are held as they are, thinned by whoever builds this. Writing lives in
``report.results.analyses``, drawing in ``report.figures``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cascade_exp.cascade.reference_curves import ConfidentAccuracy, ReferenceCurve
from cascade_exp.cascade.reliability import (
    Agreement,
    ReliabilityCurve,
    RiskCoverage,
    ThresholdCurve,
    WrongExits,
)
from cascade_exp.cascade.stages import Floats
from cascade_exp.report.results.published import PublishedPoint


@dataclass(frozen=True)
class ChosenThreshold:
    """The chosen cascade's threshold on a model's own confidence, and how many are deferred."""

    threshold: float
    below: int


@dataclass(frozen=True)
class ModelCurves:
    """Curves of one model's confidence; its answer is right when it is the label.

    ``chosen`` is None where the chosen cascade has no threshold on this model's own confidence.
    """

    model: str
    reliability: ReliabilityCurve
    threshold: ThresholdCurve
    risk_coverage: RiskCoverage
    most_confident: ConfidentAccuracy
    chosen: ChosenThreshold | None


@dataclass(frozen=True)
class Deferral:
    """The chosen cascade's first threshold swept, between chance and knowing the labels.

    Attributes:
        threshold: float64 [M], the first one; the later ones are held.
        cascade: [M], the sweep itself.
        random: [M], expected of as many examples leaving at each stage, picked by chance.
        ideal: the best of deferral that knows the labels; None where the objective is no mean over
            examples (F1), of which leaving iff right is not the best.
        leave_iff_right: the point (mean cost, score) of it where each example leaves at the first
            stage that is right; None with ``ideal``.
        chosen: (mean cost, score) of the chosen setting.
    """

    threshold: Floats
    cascade: ReferenceCurve
    random: ReferenceCurve
    ideal: ReferenceCurve | None
    leave_iff_right: tuple[float, float] | None
    chosen: tuple[float, float]


@dataclass(frozen=True)
class StagePair:
    """Agreement of two stages of the chosen cascade, on all examples."""

    first: str
    second: str
    agreement: Agreement


@dataclass(frozen=True)
class ClassExits:
    """Where the examples of one class left the chosen cascade: a share per stage.

    ``name`` is None where the recordings know only the class's index.
    """

    label: int
    name: str | None
    examples: int
    exit_rates: list[float]


@dataclass(frozen=True)
class EarlyError:
    """An example that left the chosen cascade before its last stage, wrongly answered.

    Attributes:
        example: its id, or its row in the recording where that has no ids.
        stage: the place (from 0) where it left; confidence: that stage's confidence.
        answer, last_answer: what it left with, and what the last stage answers; -1 for no answer.
    """

    example: int | str
    label: int
    answer: int
    last_answer: int
    stage: int
    confidence: float


@dataclass(frozen=True)
class CascadeAnalyses:
    """What needs two stages: present only where the chosen point is a cascade.

    ``early_errors`` are the most confident ones, by decreasing confidence.
    """

    stages: list[str]
    deferral: Deferral
    agreements: list[StagePair]
    wrong_exits: WrongExits
    exits_by_class: list[ClassExits]
    early_errors: list[EarlyError] = field(default_factory=list)


@dataclass(frozen=True)
class OracleRow:
    """A setting of the Pareto front searched on report itself: not available in practice."""

    stages: list[str]
    thresholds: list[float]
    cost: float
    worst_case_cost: float
    score: float
    improvement: float | None


@dataclass(frozen=True)
class Reoptimised:
    """That Pareto front, its mean improvement over report's default range, and its exactness."""

    rows: list[OracleRow]
    average_improvement: float | None
    exact: bool


@dataclass(frozen=True)
class Analyses:
    """What goes beside one evaluation.

    Attributes:
        cascade: None where no cascade was chosen.
        reoptimised: None where thresholds were chosen on the report split anyway.
        published: the points of the papers that were asked for, on ``dataset``.
    """

    models: list[ModelCurves]
    cascade: CascadeAnalyses | None
    reoptimised: Reoptimised | None
    published: list[PublishedPoint]
