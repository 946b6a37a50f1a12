"""``latency.csv``: what examples wait at operating points, links simulated (``cost=edge_cloud``).

The report split; seeded by the job's seed. Costs themselves, which the search minimises, are means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.links import communication_saved, latency_of
from cascade_exp.jobs.measuring import Measuring
from cascade_exp.jobs.pricing import tier_links
from cascade_exp.report.schema import OperatingPoint
from cascade_exp.report.tiers_schema import LatencyRow


def latencies(measuring: Measuring, points: Mapping[str, OperatingPoint]) -> list[LatencyRow]:
    """One row per feasible operating point; then the last stage alone, to which all examples go.

    Empty where costs know of no links.
    """
    settings, one = measuring.splits.settings, measuring.splits.report
    feasible = {rule: point for rule, point in points.items() if point.feasible}
    rows: list[LatencyRow] = []
    for rule, point in feasible.items():
        stages = len(point.stages)
        links = tier_links(settings.cost, stages)
        if links is None:
            return []
        members = [one.pool.names.index(name) for name in point.stages]
        table = measuring.table(one, members)
        outcome = table.run(point.thresholds, measuring.compare)
        # a stage's cost holds its link: without it, the models' own time is left
        own = table.cost - links.stage_costs(cast(Accounting, settings.cost.accounting))
        waited = np.cumsum(own) if settings.cost.accounting == "cumulative" else own
        rng = np.random.default_rng(settings.seed)
        found = latency_of(waited[outcome.exit_stage], links.draw(outcome.exit_stage, rng))
        saved = communication_saved(outcome.exit_rates.tolist(), links)
        rows.append(LatencyRow(rule, list(point.stages), **vars(found), communication_saved=saved))
        if rule == list(feasible)[-1]:
            everything = np.full(one.pool.size, stages - 1)
            rng = np.random.default_rng(settings.seed)
            found = latency_of(np.full(one.pool.size, own[-1]), links.draw(everything, rng))
            alone = [point.stages[-1]]
            rows.append(
                LatencyRow("all to the last", alone, **vars(found), communication_saved=1.0)
            )
    return rows
