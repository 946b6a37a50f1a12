"""Tables and figures of a cascade of tiers: as in CoE's Table 2, Table 3, Fig. 7 and Fig. 8.

Everything on the report split, of the chosen operating point. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_exp.cascade.costs import exit_costs
from cascade_exp.cascade.pools.tiers import VOTE, TierPool, vote
from cascade_exp.cascade.reliability import wrong_exits
from cascade_exp.cascade.stages import Ints, StageTable
from cascade_exp.evaluation.kinds.tiers import GivenTiers
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.report.results.schema import OperatingPoint
from cascade_exp.report.results.tiers_schema import (
    AtThreshold,
    TierAnalyses,
    TierRow,
    WrongAgreement,
)

SWEPT = 100
"""Thresholds that are listed of a confidence with more values than that."""


def tier_analyses(measuring: Measuring, chosen: OperatingPoint | None) -> TierAnalyses | None:
    """The analyses of the chosen cascade, None where stages are no tiers."""
    pool = measuring.splits.report.stages
    if chosen is None or not isinstance(pool, TierPool):
        return None
    members = measuring.members(measuring.splits.report, chosen.stages)
    table = measuring.table(measuring.splits.report, members)
    return TierAnalyses(
        stages=list(chosen.stages),
        conditions=pool.describe(members, chosen.thresholds, measuring.compare),
        rows=_rows(measuring, pool, members, table, chosen.thresholds),
        thresholds=_thresholds(measuring, pool, members, table),
        agreements=_agreements(pool, members, table) if pool.combine == VOTE else [],
    )


def _rows(
    measuring: Measuring,
    pool: TierPool,
    members: Sequence[int],
    table: StageTable,
    thresholds: Sequence[float],
) -> list[TierRow]:
    outcome = table.run(thresholds, measuring.compare)
    exits = wrong_exits(outcome, table.stages[-1].prediction, pool.models.labels)
    kind = measuring.splits.kind
    named = list(kind.written) if isinstance(kind, GivenTiers) else []
    paid = exit_costs(table.cost, "cumulative")
    rates = outcome.exit_rates
    return [
        TierRow(
            tier=named[i] if named else str(i + 1),
            stage=table.names[i],
            models=len(pool.tiers[m]),
            threshold=thresholds[i] if i < len(thresholds) else None,
            examples=int(exits.left[i]),
            share=float(rates[i]),
            cost=float(table.cost[i]),
            cumulative_cost=float(rates[i] * paid[i]),
            exit_tier_cost=float(rates[i] * exit_costs(table.cost, "exit_tier")[i]),
            wrong_agreements=int(exits.wrong[i]),
            wrong_at_last_too=int(exits.wrong_at_last_too[i]),
        )
        for i, m in enumerate(members)
    ]


def _thresholds(
    measuring: Measuring, pool: TierPool, members: Sequence[int], table: StageTable
) -> list[AtThreshold]:
    """One threshold for all tiers but the last, at every confidence that any of them shows."""
    if len(members) < 2:
        return []
    shown = np.unique(np.concatenate([stage.confidence for stage in table.stages[:-1]]))
    places = np.unique(np.linspace(0, len(shown) - 1, min(len(shown), SWEPT)).round().astype(int))
    ways = {way: pool.cost_of(way)[list(members)] for way in ("sum", "max")}
    found = []
    for threshold in [*shown[places].tolist(), np.inf]:
        outcome = table.run([threshold] * (len(members) - 1), measuring.compare)
        exits = wrong_exits(outcome, table.stages[-1].prediction, pool.models.labels)
        mean = {
            way: float(exit_costs(cost, table.accounting)[outcome.exit_stage].mean())
            for way, cost in ways.items()
        }
        found.append(
            AtThreshold(
                threshold=float(threshold),
                condition=pool.describe_shared(threshold, measuring.compare),
                examples=exits.left.tolist(),
                wrong=exits.wrong.tolist(),
                wrong_at_last_too=exits.wrong_at_last_too.tolist(),
                score=measuring.splits.report.score(outcome),
                sequential_cost=mean["sum"],
                parallel_cost=mean["max"],
            )
        )
    return found


def _agreements(pool: TierPool, members: Sequence[int], table: StageTable) -> list[WrongAgreement]:
    """The first 2, 3, … models of the first tier, and every majority of them."""
    labels, last = pool.models.labels, table.stages[-1].prediction
    tier = pool.tiers[members[0]]
    voters = [pool.models.stage((m,)) for m in tier]
    found = []
    for n in range(2, len(tier) + 1):
        answers: Ints = np.stack([voter.prediction for voter in voters[:n]])
        answer, share = vote(answers, np.stack([voter.confidence for voter in voters[:n]]))
        for votes in range(n // 2 + 1, n + 1):
            agreed = share >= votes / n
            wrong = agreed & (answer != labels)
            found.append(
                WrongAgreement(
                    stage="+".join(pool.models.names[m] for m in tier[:n]),
                    models=n,
                    votes=votes,
                    agreed=int(agreed.sum()),
                    wrong=int(wrong.sum()),
                    wrong_at_last_too=int((wrong & (last != labels)).sum()),
                )
            )
    return found
