"""What the kinds of cascade differ in: the one seam between a recordings folder and the engine.

A kind (``cascade=…``) says which single models a split holds, what the stages of its cascades are,
and which cascades are looked at. Everything else, baseline, search, operating points, analyses, is
the same for all of them. The kinds of single models are here; a new kind is one class of this
shape, entered in ``all_kinds.KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.ensembling import check_combination
from cascade_exp.cascade.pools.exits import PATIENCE
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.pools.placed import PlacedPool, Placement
from cascade_exp.cascade.pools.tiers import VOTE
from cascade_exp.cascade.search.engine import cascades_of
from cascade_exp.cascade.stages import StagePool
from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.evaluation.pricing import (
    alone_costs,
    link_costs,
    needed_places,
    places_of,
    refuse_places,
    tier_links,
)
from cascade_exp.recordings.folder import Recordings, Split
from cascade_exp.schema.evaluating import CommonConfig, Method, StagesCascade, TopK


@dataclass(frozen=True)
class Candidates:
    """The cascades to look at.

    Attributes:
        cascades: indices into the stage pool, in running order.
        left_out: what was not looked at, in one sentence; empty where nothing was.
        named: the one of several that the settings name, which ``threshold.fixed`` is for.
    """

    cascades: list[tuple[int, ...]]
    left_out: str = ""
    named: tuple[int, ...] = ()


class CascadeKind(Protocol):
    """One kind of cascade, made from the settings of a job."""

    def check(self, method: Method) -> None:
        """Refuse settings that cannot go together, before any compute.

        Args:
            method: how a stage answers and how sure it is: the job's own metric, ensemble and
                calibration, or another one that is compared with them.

        Raises:
            CascadeError: naming the keys.
        """
        ...

    def read(self, recordings: Recordings, split: str) -> Split:
        """One split's outputs by model: the single models that baseline and analyses are of."""
        ...

    def costs(self, recordings: Recordings) -> dict[str, float]:
        """By model of :meth:`read`, its cost on one example when it runs alone."""
        ...

    def scoring(self, split: Split) -> tuple[str, str]:
        """Metric and ensemble that the pool of single models is built with."""
        ...

    def stages(self, models: LogitsPool) -> StagePool:
        """What the cascades are made of; the pool of ``models`` itself where these are stages."""
        ...

    def candidates(self, stages: StagePool) -> Candidates:
        """The cascades to look at.

        Raises:
            CascadeError: if what the settings name is not among ``stages``.
        """
        ...

    def members(self, stages: StagePool, names: Sequence[str]) -> tuple[int, ...]:
        """The cascade out of ``stages`` that results call by these names of stages."""
        ...

    def shared(self) -> bool:
        """Whether all stages of a cascade share one threshold."""
        ...

    def thresholds(
        self, stages: StagePool, members: Sequence[int], given: Sequence[object]
    ) -> list[float]:
        """The literal thresholds that ``threshold.fixed`` means for one cascade.

        Raises:
            CascadeError: naming the one that is no threshold.
        """
        ...

    def told(self) -> Mapping[str, object]:
        """What ``summary.json`` tells of this kind, its ``name`` first."""
        ...


NEEDS = {
    VOTE: ("tiers", "only the models of a tier can vote"),
    PATIENCE: ("exits", "it counts the exits of one network that agree"),
}
"""Metrics that only one kind of cascade has: the kind, and why."""


@dataclass(frozen=True)
class RecordedModels:
    """What kinds share whose single models are the recorded ones, as they are."""

    settings: CommonConfig

    def check(self, method: Method) -> None:
        """See :class:`CascadeKind`."""
        if method.metric in NEEDS:
            needed, why = NEEDS[method.metric]
            raise CascadeError(
                f"metric={method.metric} with cascade={self.settings.cascade.name}: {why}, "
                f"expected cascade={needed}"
            )
        check_combination(method.metric, method.ensemble)

    def read(self, recordings: Recordings, split: str) -> Split:
        """See :class:`CascadeKind`; networks with exits are no stages, and are left out."""
        return recordings.complete().split(split)

    def costs(self, recordings: Recordings) -> dict[str, float]:
        """See :class:`CascadeKind`."""
        tiers, tier_of = self.places()
        return alone_costs(recordings.complete(), self.settings.cost, tiers, tier_of)

    def places(self) -> tuple[int, Callable[[str], int]]:
        """How many tiers there are, and by model's name, in which it runs; told to ``cost`` only.

        Raises:
            CascadeError: if costs need it and nothing says it.
        """
        places = needed_places(self.settings.cost, self.settings.cascade.name)
        return (1, lambda name: 0) if places is None else (len(places.models), places.of)

    def placement(self, names: Sequence[str], tiers: Sequence[Sequence[int]]) -> Placement | None:
        """Where ``tiers`` of the models ``names`` run in a search; None where cost does not ask.

        Raises:
            CascadeError: if a model has no place, or a place no model.
        """
        cost = self.settings.cost
        places = places_of(cost)
        if places is None:
            return None
        links = tier_links(cost, len(places.models))
        assert links is not None
        of_model = places.of_all(names)
        accounting = cast(Accounting, cost.accounting)
        return Placement.of([of_model[tier[0]] for tier in tiers], links, accounting)

    def members(self, stages: StagePool, names: Sequence[str]) -> tuple[int, ...]:
        """See :class:`CascadeKind`."""
        return tuple(stages.names.index(name) for name in names)

    def scoring(self, split: Split) -> tuple[str, str]:
        """See :class:`CascadeKind`."""
        return self.settings.metric.name, self.settings.ensemble.name

    def stages(self, models: LogitsPool) -> StagePool:
        """See :class:`CascadeKind`."""
        return models

    def shared(self) -> bool:
        """See :class:`CascadeKind`."""
        return bool(self.settings.threshold.shared)

    def thresholds(
        self, stages: StagePool, members: Sequence[int], given: Sequence[object]
    ) -> list[float]:
        """See :class:`CascadeKind`."""
        try:
            return [float(str(threshold)) for threshold in given]
        except ValueError:
            raise CascadeError(
                f"threshold.fixed={list(given)}: expected a list of numbers"
            ) from None

    def told(self) -> Mapping[str, object]:
        """See :class:`CascadeKind`."""
        return {"name": self.settings.cascade.name}


class Searched(RecordedModels):
    """``cascade=search``: every cascade of up to ``search.max_stages`` models, by growing cost."""

    def stages(self, models: LogitsPool) -> StagePool:
        """See :class:`CascadeKind`."""
        placement = self.placement(models.names, [(m,) for m in range(len(models.names))])
        if placement is None:
            return models
        links = tier_links(self.settings.cost, len(np.unique(placement.place)))
        assert links is not None
        return PlacedPool(models, models.cost - links.mean[placement.place], placement)

    def candidates(self, stages: StagePool) -> Candidates:
        """See :class:`CascadeKind`; where models have places, by place and then by cost."""
        most = self.settings.search.max_stages
        if not isinstance(stages, PlacedPool):
            return Candidates(cascades_of(stages.cost, most))
        placement = stages.placement
        found = cascades_of(placement.order(stages.running), most)
        return Candidates([placement.members(cascade) for cascade in found])

    def members(self, stages: StagePool, names: Sequence[str]) -> tuple[int, ...]:
        """See :class:`CascadeKind`."""
        found = super().members(stages, names)
        return stages.placement.members(found) if isinstance(stages, PlacedPool) else found


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

    def check(self, method: Method) -> None:
        """See :class:`CascadeKind`."""
        super().check(method)
        refuse_places(self.settings.cost, "cascade.stages")

    def candidates(self, stages: StagePool) -> Candidates:
        """See :class:`CascadeKind`."""
        for name in self.written:
            check_model(name, stages.names, "cascade.stages")
        return Candidates([tuple(stages.names.index(name) for name in self.written)])

    def stages(self, models: LogitsPool) -> StagePool:
        """See :class:`CascadeKind`; a stage costs what its model does, and what its link adds."""
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

    def places(self) -> tuple[int, Callable[[str], int]]:
        """See :class:`RecordedModels`; a model that is no stage runs where the last one does."""
        written = self.written
        last = len(written) - 1
        return len(written), lambda name: written.index(name) if name in written else last


def check_model(name: str, known: Sequence[str], key: str) -> None:
    """Raise :class:`CascadeError` unless a model called ``name`` is recorded."""
    if name not in known:
        raise CascadeError(
            f"{key}: no recorded model '{name}'; the pool holds {', '.join(known)}"
            f"{did_you_mean(name, known)}"
        )


def own_method(settings: CommonConfig) -> Method:
    """The job's own metric, ensemble and calibration as a method."""
    metric = settings.metric
    k = metric.k if isinstance(metric, TopK) else None
    return Method(metric.name, settings.ensemble.name, settings.calibration.name, k)
