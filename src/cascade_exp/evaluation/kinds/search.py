"""``cascade=search``: every cascade of recorded models, and the thresholds of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from cascade_exp.cascade.pools.base import StagePool, pool_below
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.pools.placed import PlacedPool
from cascade_exp.cascade.search.engine import cascades_of
from cascade_exp.evaluation.kinds.base import Candidates, RecordedModels
from cascade_exp.evaluation.kinds.registry import kind
from cascade_exp.evaluation.pricing import tier_links


@kind("search")
class Searched(RecordedModels):
    """``cascade=search``: every cascade of up to ``search.max_stages`` models, by growing cost."""

    @override
    def stages(self, models: LogitsPool) -> StagePool:
        placement = self.placement(models.names, [(m,) for m in range(len(models.names))])
        if placement is None:
            return models
        links = tier_links(self.settings.cost, len(np.unique(placement.place)))
        assert links is not None
        return PlacedPool(models, models.cost - links.mean[placement.place], placement)

    @override
    def candidates(self, stages: StagePool) -> Candidates:
        """Where models have places, by place and then by cost."""
        most = self.settings.search.max_stages
        placed = pool_below(stages, PlacedPool)
        if placed is None:
            return Candidates(cascades_of(stages.cost, most))
        found = cascades_of(placed.placement.order(placed.running), most)
        return Candidates([placed.placement.members(cascade) for cascade in found])

    @override
    def members(self, stages: StagePool, names: Sequence[str]) -> tuple[int, ...]:
        found = super().members(stages, names)
        placed = pool_below(stages, PlacedPool)
        return found if placed is None else placed.placement.members(found)
