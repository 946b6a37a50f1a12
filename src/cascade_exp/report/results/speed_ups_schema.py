"""What a comparison of cascades with early-exit networks found: its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from cascade_exp.report.results.schema import Interval


@dataclass(frozen=True)
class SpeedUpRow:
    """One method at one wanted speed-up (CascadeBERT, Table 2): a row of ``speed_ups.csv``.

    Attributes:
        target: the wanted speed-up; 1 for the full model.
        stages: what runs, in order.
        threshold: the one shared by all stages but the last; None for a single model.
        selection_speed_up: the one that came closest on the selection split; the rest is what that
            setting does there and on the report split.
        report_score_low: lower end of the 95 % bootstrap interval of ``report_score``;
            ``report_score_high`` is its upper end.
    """

    method: str
    target: float
    stages: list[str]
    threshold: float | None
    selection_speed_up: float
    selection_score: float
    report_speed_up: float
    report_score: float
    report_score_low: float
    report_score_high: float

    def __post_init__(self) -> None:
        for name in ("selection_speed_up", "selection_score", "report_speed_up", "report_score"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name}={getattr(self, name)}: expected a finite number")

    @property
    def report_interval(self) -> Interval:
        """The 95 % bootstrap interval of the report split's score."""
        return self.report_score_low, self.report_score_high


@dataclass(frozen=True)
class SpeedUpCurve:
    """Every setting of one method, its thresholds swept on selection, on the report split.

    ``speed_up`` and ``score`` have one entry per setting.
    """

    method: str
    static: bool
    speed_up: list[float]
    score: list[float]


@dataclass(frozen=True)
class EmittedRow:
    """Accuracy on what a network emits at one exit (CascadeBERT, Fig. 2), on the report split.

    Attributes:
        group: the network, or what complete models are compared as (:class:`InversionRow`).
        model: the exit itself, or a complete model of as many layers.
    """

    method: str
    target: float
    layers: int
    examples: int
    group: str
    model: str
    accuracy: float


@dataclass(frozen=True)
class InversionRow:
    """DIS by max softmax of one exit or complete model (Fig. 3), on the report split.

    ``group``: the network, the method that runs the model alone, or ``complete models``;
    ``dis`` is None where it is not defined.
    """

    group: str
    model: str
    layers: int
    dis: float | None


@dataclass(frozen=True)
class AddedRow:
    """What one more model in a cascade gains at a wanted speed-up (Eq. 13; Fig. 5).

    Attributes:
        method: the longer cascade; ``without``: the one that lacks ``added``.
        expected: accuracy by Eq. 13, from exits and accuracies on the report split.
        measured: difference of the two cascades' accuracies there.
    """

    method: str
    without: str
    added: str
    target: float
    expected: float
    measured: float


@dataclass(frozen=True)
class SpeedUpAnalyses:
    """All that the comparison found.

    Attributes:
        full: the model whose cost is a speed-up of 1.
        elsewhere: by further split, ``rows`` with that as the report split.
    """

    full: str
    rows: list[SpeedUpRow]
    curves: list[SpeedUpCurve]
    emitted: list[EmittedRow]
    inversions: list[InversionRow]
    added: list[AddedRow]
    elsewhere: dict[str, list[SpeedUpRow]] = field(default_factory=dict)

    def tables(self, report: str) -> dict[str, SpeedUpAnalyses]:
        """By split, that of the report first, the comparison as evaluated there."""
        others = {split: replace(self, rows=rows) for split, rows in self.elsewhere.items()}
        return {report: self, **others}
