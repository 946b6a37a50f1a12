"""The search over the cascades that a job looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.search.engine import SearchResult, search
from cascade_exp.cascade.search.shards import search_shards
from cascade_exp.cascade.stages import Compare
from cascade_exp.evaluation.kinds.base import CascadeKind
from cascade_exp.evaluation.pools import OneSplit
from cascade_exp.evaluation.workers import run_shards
from cascade_exp.schema.evaluating import CommonConfig


@dataclass(frozen=True)
class Searching:
    """The search as the settings ask for it, over the cascades of one kind."""

    settings: CommonConfig
    kind: CascadeKind
    progress: Callable[[int, int], None] | None = None

    def front(self, one: OneSplit, worst_case_cost: float | None = None) -> SearchResult:
        """The front of all these cascades at every threshold on one split.

        Raises:
            CascadeError: if the settings name a cascade that the split cannot run.
        """
        candidates = self.kind.candidates(one.stages)
        asked = self.settings.search
        find = search
        if asked.workers > 1:
            run = partial(run_shards, workers=asked.workers, backend=asked.backend)
            find = partial(search_shards, run=run, workers=asked.workers)
        found = find(
            one.pool,
            one.objective,
            cascades=candidates.cascades,
            accounting=cast(Accounting, self.settings.cost.accounting),
            compare=cast(Compare, self.settings.threshold.compare),
            shared=self.kind.shared(),
            worst_case_cost=worst_case_cost,
            progress=self.progress,
            gap=asked.gap,
        )
        if not candidates.left_out:
            return found
        return replace(found, exact=False, note=f"{found.note}; {candidates.left_out}")
