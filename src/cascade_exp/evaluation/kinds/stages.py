"""``cascade=stages``: one given cascade of recorded models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from typing_extensions import override

from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.kinds.base import Candidates, RecordedModels, check_model
from cascade_exp.evaluation.kinds.registry import kind
from cascade_exp.evaluation.pricing import link_costs, refuse_places, tier_links
from cascade_exp.schema.evaluating import Method, StagesCascade


@kind("stages")
class Given(RecordedModels):
    """``cascade=stages``: the one cascade of ``cascade.stages``, in the order written."""

    @property
    def written(self) -> list[str]:
        """``cascade.stages``.

        Raises:
            CascadeError: if it is empty or repeats a model.
        """
        cascade = self.settings.cascade
        assert isinstance(cascade, StagesCascade)
        given = cascade.stages
        names = [given] if isinstance(given, str) else [str(name) for name in given or []]
        if not names or len(set(names)) != len(names):
            raise CascadeError(f"cascade.stages={names}: expected one or more different models")
        return names

    @override
    def check(self, method: Method) -> None:
        super().check(method)
        refuse_places(self.settings.cost, "cascade.stages")

    @override
    def candidates(self, stages: StagePool) -> Candidates:
        for name in self.written:
            check_model(name, stages.names, "cascade.stages")
        return Candidates([tuple(stages.names.index(name) for name in self.written)])

    @override
    def stages(self, models: LogitsPool) -> StagePool:
        """A stage costs what its model does, and what its link adds."""
        written, cost = self.written, self.settings.cost
        links = tier_links(cost, len(written))
        if links is None:
            return models
        adds = link_costs(cost, len(written))
        changed = models.cost.copy()
        for tier, name in enumerate(written):
            if name in models.names:
                changed[models.names.index(name)] += adds[tier] - links.mean[tier]
        return replace(models, cost=changed)

    @override
    def places(self) -> tuple[int, Callable[[str], int]]:
        """A model that is no stage runs where the last one does."""
        written = self.written
        last = len(written) - 1
        return len(written), lambda name: written.index(name) if name in written else last
