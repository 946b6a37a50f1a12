"""``latency.csv``: what examples wait at operating points, links simulated (``cost=edge_cloud``).

The report split; seeded by the job's seed. Costs themselves, which the search minimises, are means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.links import Links, communication_saved, latency_of
from cascade_exp.cascade.pools.base import table_of
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.evaluation.pricing import cascade_links, places_of, tier_links
from cascade_exp.report.results.schema import OperatingPoint
from cascade_exp.report.results.tiers_schema import LatencyRow


def latencies(measuring: Measuring, points: Mapping[str, OperatingPoint]) -> list[LatencyRow]:
    """One row per feasible operating point; then the last stage alone, to which all examples go.

    Where models have places, that is the best model of the farthest place by the selection split.
    Empty where costs know of no links.
    """
    settings, one = measuring.splits.settings, measuring.splits.report
    accounting = cast(Accounting, settings.cost.accounting)
    feasible = {rule: point for rule, point in points.items() if point.feasible}
    cloud = _cloud(measuring)
    rows: list[LatencyRow] = []
    for rule, point in feasible.items():
        links = cascade_links(settings.cost, point.stages)
        if links is None:
            return []
        own_split = measuring.of(rule).splits.report
        table = measuring.of(rule).table(own_split, measuring.members(own_split, point.stages))
        outcome = table.run(point.thresholds, measuring.compare)
        # a stage's cost holds its link: without it, the models' own time is left
        own = table.cost - links.stage_costs(accounting)
        waited = np.cumsum(own) if accounting == "cumulative" else own
        all_to = cloud or _All(point.stages[-1], float(own[-1]), links)
        rng = np.random.default_rng(settings.seed)
        found = latency_of(waited[outcome.exit_stage], links.draw(outcome.exit_stage, rng))
        saved = communication_saved(outcome.exit_rates.tolist(), links, all_to.mean)
        rows.append(LatencyRow(rule, list(point.stages), **vars(found), communication_saved=saved))
        if rule == list(feasible)[-1]:
            there = np.full(one.pool.size, len(all_to.links.delays) - 1)
            rng = np.random.default_rng(settings.seed)
            alone = np.full(one.pool.size, all_to.compute)
            found = latency_of(alone, all_to.links.draw(there, rng))
            rows.append(
                LatencyRow(
                    "all to the last", [all_to.stage], **vars(found), communication_saved=1.0
                )
            )
    return rows


@dataclass(frozen=True)
class _All:
    """The stage that all examples may be sent to, over the last of ``links``, and its seconds."""

    stage: str
    compute: float
    links: Links

    @property
    def mean(self) -> float:
        """Mean seconds of the link."""
        return float(self.links.mean[-1])


def _cloud(measuring: Measuring) -> _All | None:
    """The best single model of the farthest place, the cheapest of equals; None without places."""
    cost = measuring.splits.settings.cost
    places = places_of(cost)
    links = None if places is None else tier_links(cost, len(places.models))
    if places is None or links is None:
        return None
    selection, last = measuring.splits.selection, len(places.models) - 1
    models = selection.models
    there = [m for m, name in enumerate(models.names) if places.of(name) == last]
    best = max(
        there,
        key=lambda m: (selection.score(table_of(models, (m,)).run([])), -models.cost[m]),
    )
    mean = float(links.mean[-1])
    return _All(models.names[best], float(models.cost[best]) - mean, links)
