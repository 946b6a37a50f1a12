"""All that one evaluation found: what its tables, figures and pages are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cascade_exp.report.results.analyses_schema import Analyses
from cascade_exp.report.results.executed import Executed
from cascade_exp.report.results.per_example import PerExample
from cascade_exp.report.results.schema import Results
from cascade_exp.report.results.speed_ups_schema import SpeedUpAnalyses
from cascade_exp.report.results.tiers_schema import LatencyRow, TierAnalyses, TierBaselines


@dataclass(frozen=True)
class Findings:
    """The results of one evaluation and what stands beside them.

    Attributes:
        analyses: with ``analyses=true``.
        tiers, tier_baselines: with ``cascade=tiers``.
        latencies: with ``cost=edge_cloud``.
        speed_ups: with ``speed_ups.members``.
        per_example: what the first rule's point did to each example; None if it chose nothing.
        methods: with ``methods``, the results of each by name.
        executed: with ``execute=true``, how the chosen cascade really ran.
    """

    results: Results
    analyses: Analyses | None = None
    tiers: TierAnalyses | None = None
    tier_baselines: TierBaselines | None = None
    latencies: Sequence[LatencyRow] = ()
    speed_ups: SpeedUpAnalyses | None = None
    per_example: PerExample | None = None
    methods: Mapping[str, Results] = field(default_factory=dict)
    executed: Executed | None = None
