"""Which cascades a job looks at, and the search over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.pool import LogitsPool
from cascade_exp.cascade.search import SearchResult, cascades_of, search
from cascade_exp.cascade.stages import Compare
from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.jobs.pools import OneSplit
from cascade_exp.schema.evaluating import EvaluateConfig, StagesCascade


@dataclass(frozen=True)
class Searching:
    """The search as the settings ask for it."""

    settings: EvaluateConfig
    progress: Callable[[int, int], None] | None = None

    def cascades(self, pool: LogitsPool) -> list[tuple[int, ...]]:
        """Every cascade to look at: the one that was named, or all of up to ``max_stages``.

        Raises:
            CascadeError: if the named cascade is empty, repeats a model or names an unknown one.
        """
        cascade = self.settings.cascade
        if not isinstance(cascade, StagesCascade):
            return cascades_of(pool.cost, self.settings.search.max_stages)
        stages = cascade.stages
        names = [stages] if isinstance(stages, str) else [str(name) for name in stages or []]
        for name in names:
            if name not in pool.names:
                raise CascadeError(
                    f"cascade.stages: no recorded model '{name}'; the pool holds "
                    f"{', '.join(pool.names)}{did_you_mean(name, pool.names)}"
                )
        if not names or len(set(names)) != len(names):
            raise CascadeError(f"cascade.stages={names}: expected one or more different models")
        return [tuple(pool.names.index(name) for name in names)]

    def front(self, one: OneSplit, worst_case_cost: float | None = None) -> SearchResult:
        """The front of all these cascades at every threshold on one split."""
        return search(
            one.pool,
            one.objective,
            cascades=self.cascades(one.pool),
            accounting=cast(Accounting, self.settings.cost.accounting),
            compare=cast(Compare, self.settings.threshold.compare),
            shared=self.settings.threshold.shared,
            worst_case_cost=worst_case_cost,
            progress=self.progress,
            gap=self.settings.search.gap,
        )
