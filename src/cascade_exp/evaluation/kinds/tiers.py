"""``cascade=tiers``: stages are tiers of several recorded models (Kolawole et al. 2024, CoE).

Single models, baseline and references stay the recorded models. What a tier answers is
``cascade.pools.tiers``, which tiers a search looks at is ``cascade.search.tiers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from typing_extensions import override

from cascade_exp.cascade.confidence import make_metric
from cascade_exp.cascade.costs import Parallel
from cascade_exp.cascade.ensembling import RECORDED
from cascade_exp.cascade.pools.base import StagePool, pool_below
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.pools.tiers import VOTE, TierPool, check_tiers, vote_threshold
from cascade_exp.cascade.search.tiers import Tier, TierSets, tier_sets, within_budget
from cascade_exp.cascade.stages import Compare, Floats
from cascade_exp.errors import CascadeError
from cascade_exp.evaluation.kinds.base import Candidates, CascadeKind, RecordedModels, check_model
from cascade_exp.evaluation.kinds.registry import kind
from cascade_exp.evaluation.pricing import link_costs, places_of, refuse_places, tier_links
from cascade_exp.recordings.folder import Split
from cascade_exp.recordings.names import models_of
from cascade_exp.recordings.outputs import RecordedAnswers
from cascade_exp.schema.evaluating import CommonConfig, Method, TiersCascade


@dataclass(frozen=True)
class _Tiers(RecordedModels):
    """What given tiers and searched ones share."""

    @property
    def cascade(self) -> TiersCascade:
        """The settings of this kind."""
        cascade = self.settings.cascade
        assert isinstance(cascade, TiersCascade)
        return cascade

    @override
    def check(self, method: Method) -> None:
        check_tiers(method.metric, self.cascade.combine, method.ensemble)
        if method.metric == VOTE and self.settings.objective.name == "topk_accuracy":
            raise CascadeError(
                "objective=topk_accuracy with metric=vote: a vote ranks no classes, expected "
                "objective=accuracy or f1"
            )

    @override
    def scoring(self, split: Split) -> tuple[str, str]:
        """Of voters, the probability of the class they name, or a black box's own confidence."""
        if self.cascade.combine != VOTE:
            return self.settings.metric.name, "none"
        black_boxes = any(isinstance(out, RecordedAnswers) for out in split.outputs.values())
        return RECORDED if black_boxes else "max_softmax", "none"

    def pool_of(
        self,
        models: LogitsPool,
        tiers: Sequence[Tier],
        running: Floats | None = None,
        links: Floats | None = None,
    ) -> TierPool:
        """Tiers of indices into ``models`` as the settings combine them."""
        return TierPool.build(
            models,
            tiers,
            metric=make_metric(VOTE) if self.cascade.combine == VOTE else models.metric,
            combine=self.cascade.combine,
            ensemble=self.settings.ensemble.name,
            parallel=cast(Parallel, self.settings.cost.parallel),
            running=running,
            links=links,
        )

    @override
    def thresholds(
        self, stages: StagePool, members: Sequence[int], given: Sequence[object]
    ) -> list[float]:
        """Votes are snapped to k / n."""
        if self.cascade.combine != VOTE:
            return super().thresholds(stages, members, given)
        pool = pool_below(stages, TierPool)
        assert pool is not None
        sizes = [len(pool.tiers[tier]) for tier in members[:-1]]
        if len(given) != len(sizes):
            raise CascadeError(
                f"threshold.fixed={list(given)}: {len(given)} thresholds for {len(members)} tiers, "
                f"expected {len(sizes)}"
            )
        compare = cast(Compare, self.settings.threshold.compare)
        return [vote_threshold(str(t), n, compare) for t, n in zip(given, sizes, strict=True)]

    @override
    def summary(self) -> Mapping[str, object]:
        return {
            "name": self.cascade.name,
            "combine": self.cascade.combine,
            "parallel": self.settings.cost.parallel,
        }


class GivenTiers(_Tiers):
    """The tiers of ``cascade.tiers``, run in the order written."""

    @property
    def written(self) -> dict[str, list[str]]:
        """``cascade.tiers``: models by tier; of text as in results, ``a+b+c>d``, tiers 1 and 2.

        Raises:
            CascadeError: if it is no such mapping, a tier is empty, or a model is named twice.
        """
        tiers = self.cascade.tiers
        if isinstance(tiers, str):
            tiers = {i: models_of(stage) for i, stage in enumerate(tiers.split(">"), start=1)}
        if not isinstance(tiers, dict) or not tiers:
            raise CascadeError(
                f"cascade.tiers={tiers}: expected models by tier, as "
                "'cascade.tiers={edge:[a,b,c],cloud:[d]}'"
            )
        written: dict[str, list[str]] = {}
        seen: dict[str, str] = {}
        for tier, models in tiers.items():
            names = [models] if isinstance(models, str) else models
            if not isinstance(names, list) or not names:
                raise CascadeError(f"cascade.tiers.{tier}={models}: expected one or more models")
            written[str(tier)] = [str(name) for name in names]
            for name in written[str(tier)]:
                if name in seen:
                    raise CascadeError(
                        f"cascade.tiers.{tier}: model '{name}' is in tier '{seen[name]}' already"
                    )
                seen[name] = str(tier)
        return written

    @override
    def check(self, method: Method) -> None:
        super().check(method)
        refuse_places(self.settings.cost, "cascade.tiers")
        for tier, names in list(self.written.items())[:-1]:
            if method.metric == VOTE and len(names) == 1:
                raise CascadeError(
                    f"cascade.tiers.{tier}: {names[0]} alone always agrees with itself; with "
                    "metric=vote only the last tier may be one model"
                )

    @override
    def stages(self, models: LogitsPool) -> StagePool:
        for tier, names in self.written.items():
            for name in names:
                check_model(name, models.names, f"cascade.tiers.{tier}")
        tiers = [tuple(map(models.names.index, names)) for names in self.written.values()]
        links = tier_links(self.settings.cost, len(tiers))
        if links is None:
            return self.pool_of(models, tiers)
        _, tier_of = self.places()
        running = models.cost - links.mean[[tier_of(name) for name in models.names]]
        return self.pool_of(models, tiers, running, link_costs(self.settings.cost, len(tiers)))

    @override
    def places(self) -> tuple[int, Callable[[str], int]]:
        """A model of no tier runs in the last one."""
        written = list(self.written.values())
        where = {name: tier for tier, names in enumerate(written) for name in names}
        return len(written), lambda name: where.get(name, len(written) - 1)

    @override
    def candidates(self, stages: StagePool) -> Candidates:
        return Candidates([tuple(range(len(stages.names)))])

    @override
    def summary(self) -> Mapping[str, object]:
        return {**super().summary(), "tiers": self.written}


class SearchedTiers(_Tiers):
    """Without ``cascade.tiers``: tiers of ``cascade.sizes`` models out of the pool, in cascades of
    up to ``search.max_stages`` tiers by growing cost, at most ``cascade.budget`` of them."""

    @override
    def check(self, method: Method) -> None:
        super().check(method)
        sizes = self.cascade.sizes
        if not isinstance(sizes, list) or not sizes or not all(_counts(size) for size in sizes):
            raise CascadeError(
                f"cascade.sizes={sizes}: expected how many models a tier may have, as [2,3]"
            )
        if self.cascade.budget < 1:
            raise CascadeError(f"cascade.budget={self.cascade.budget}: expected at least 1")

    @override
    def stages(self, models: LogitsPool) -> StagePool:
        """Single models first.

        Where models have places, each tier once for every place before it (``Placement``)."""
        tiers = self._sets(models).tiers
        placement = self.placement(models.names, tiers)
        if placement is None:
            return self.pool_of(models, tiers)
        count, place = self.places()
        links = tier_links(self.settings.cost, count)
        assert links is not None
        running = models.cost - links.mean[[place(name) for name in models.names]]
        members = [tiers[tier] for tier in placement.stage.tolist()]
        return self.pool_of(models, members, running, placement.adds)

    @override
    def candidates(self, stages: StagePool) -> Candidates:
        """Over the budget, tiers are taken layer by layer from their front of score and cost."""
        pool = pool_below(stages, TierPool)
        assert pool is not None
        objective, budget = pool.models.objective, self.cascade.budget
        sets = self._sets(pool.models)
        tiers = sets.tiers
        cost = stages.cost[: len(tiers)]
        placement = self.placement(pool.models.names, tiers)

        def score() -> Floats:
            every = range(len(tiers))
            totals = [stages.final_statistics((t,)).sum(axis=0) for t in every]
            return objective.score(np.array(totals), stages.size)

        cascades, taken = within_budget(
            tiers,
            cost,
            score,
            max_stages=self.settings.search.max_stages,
            alone_only_last=self.cascade.combine == VOTE,
            budget=budget,
            order=cost if placement is None else placement.order(cost),
        )
        if placement is not None:
            cascades = [placement.members(cascade) for cascade in cascades]
        several = sum(len(tier) > 1 for tier in tiers)
        left_out = ""
        if taken < several:
            left_out = (
                f"cascade.budget={budget}: cascades of the {taken:,} tiers nearest to the front of "
                f"score and cost, out of {several:,}"
            )
        if not sets.complete:
            left_out += f"{'; ' if left_out else ''}larger tiers beyond {budget:,} left out"
        return Candidates(cascades, left_out)

    @override
    def summary(self) -> Mapping[str, object]:
        return {**super().summary(), "sizes": self.cascade.sizes, "budget": self.cascade.budget}

    @override
    def members(self, stages: StagePool, names: Sequence[str]) -> tuple[int, ...]:
        pool = pool_below(stages, TierPool)
        assert pool is not None
        found = super().members(stages, names)
        placement = self.placement(pool.models.names, self._sets(pool.models).tiers)
        return found if placement is None else placement.members(found)

    def _sets(self, models: LogitsPool) -> TierSets:
        places = places_of(self.settings.cost)
        return tier_sets(
            len(models.names),
            self.cascade.sizes,
            self.cascade.budget,
            None if places is None else places.of_all(models.names),
        )


def _counts(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size >= 1


@kind("tiers", metrics={VOTE: "only the models of a tier can vote"})
def tiers(settings: CommonConfig) -> CascadeKind:
    """``cascade=tiers``: the tiers that were given, else a search over them."""
    cascade = settings.cascade
    assert isinstance(cascade, TiersCascade)
    return SearchedTiers(settings) if cascade.tiers is None else GivenTiers(settings)
