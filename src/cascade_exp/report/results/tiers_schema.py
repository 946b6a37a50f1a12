"""What is reported of a cascade of tiers beside the rest: rows of ``tiers.csv`` and its analyses.

All of it on the report split; examples, not shares, where a field says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TierRow:
    """One tier of the chosen cascade (Kolawole et al. 2024, Table 2).

    Attributes:
        tier: its name in the configuration; stage: its models, ``a+b+c``; models: how many.
        threshold: an example leaves iff the confidence reaches it; None at the last tier.
        examples, share: that left here.
        cost: of running this tier on one example.
        cumulative_cost, exit_tier_cost: what those that left here add to the mean cost of all
            examples, in either accounting; over all tiers they sum up to it.
        wrong_agreements: of those that left here, wrongly answered ones (examples).
        wrong_at_last_too: of these, those that the last tier answers wrongly, too.
    """

    tier: str
    stage: str
    models: int
    threshold: float | None
    examples: int
    share: float
    cost: float
    cumulative_cost: float
    exit_tier_cost: float
    wrong_agreements: int
    wrong_at_last_too: int


@dataclass(frozen=True)
class AtThreshold:
    """The cascade with one threshold for all of its tiers (Fig. 7), run in two ways (Fig. 8).

    Attributes:
        threshold: +inf defers every example to the last tier; condition: the same in words.
        examples, wrong, wrong_at_last_too: per tier, as of :class:`TierRow`.
        score: of the whole cascade.
        sequential_cost, parallel_cost: mean cost where the models of a tier run one after another
            (their sum), and at the same time (their largest).
    """

    threshold: float
    condition: str
    examples: list[int]
    wrong: list[int]
    wrong_at_last_too: list[int]
    score: float
    sequential_cost: float
    parallel_cost: float


@dataclass(frozen=True)
class WrongAgreement:
    """The first ``models`` models of the first tier where ``votes`` of them agree (Table 3).

    Attributes:
        agreed: examples on which at least so many agree; wrong: of these, on a wrong class;
            wrong_at_last_too: of these, those that the last tier answers wrongly, too.
    """

    stage: str
    models: int
    votes: int
    agreed: int
    wrong: int
    wrong_at_last_too: int


@dataclass(frozen=True)
class TierAnalyses:
    """All of it.

    ``stages`` are the tiers; ``conditions`` say, of all but the last, when an example leaves there;
    ``agreements`` is empty where tiers do not vote.
    """

    stages: list[str]
    conditions: list[str]
    rows: list[TierRow]
    thresholds: list[AtThreshold]
    agreements: list[WrongAgreement]


@dataclass(frozen=True)
class LatencyRow:
    """What examples wait at one operating point, in seconds (``cost=edge_cloud``).

    Attributes:
        mean, p50, p95, p99: latency, of models and link together.
        link: the mean part on links.
        communication_saved: mean link time if all went to the last tier, over the cascade's.
    """

    rule: str
    stages: list[str]
    mean: float
    p50: float
    p95: float
    p99: float
    link: float
    communication_saved: float


@dataclass(frozen=True)
class BaselinePoint:
    """One setting of one of the compared methods: chosen on selection, evaluated on report.

    Attributes:
        method: ``tiers``, ``confidence`` (the best single model of each tier, thresholds swept) or
            ``single``.
        selection_cost, selection_score: on the selection split; cost, score: on the report split.
        score_interval, cost_interval: 95 %, of the compared points only.
        compared: whether this is the point that the table of costs is of.
    """

    method: str
    stages: list[str]
    thresholds: list[float]
    selection_cost: float
    selection_score: float
    cost: float
    score: float
    compared: bool = False
    score_interval: tuple[float, float] | None = None
    cost_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class TierCost:
    """One tier of a compared point in one kind of cost (Kolawole et al. 2024, Table 2).

    ``cumulative`` and ``exit_tier`` are what it adds to the mean cost in either accounting.
    """

    method: str
    stage: str
    share: float
    unit: str
    cost: float
    cumulative: float
    exit_tier: float


@dataclass(frozen=True)
class TierBaselines:
    """Tiers beside what they replace: every point, and the costs of the compared ones."""

    points: list[BaselinePoint]
    costs: list[TierCost]
