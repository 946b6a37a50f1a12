"""What the kinds of cascade differ in: the one seam between a recordings folder and the engine.

A kind (``cascade=…``) says which single models a split holds, what the stages of its cascades are,
and which cascades are looked at. Everything else, baseline, search, operating points, analyses, is
the same for all of them. A new kind is one class of this shape, registered with ``registry.kind``
in a module of its own beside this one, and one file in ``conf/cascade``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from typing_extensions import override

from cascade_exp.cascade.costs import Accounting
from cascade_exp.cascade.ensembling import check_combination
from cascade_exp.cascade.pools.base import StagePool
from cascade_exp.cascade.pools.logits import LogitsPool
from cascade_exp.cascade.pools.placed import Placement
from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.evaluation.kinds.registry import check_metric
from cascade_exp.evaluation.pricing import alone_costs, needed_places, places_of, tier_links
from cascade_exp.recordings.folder import Recordings, Split
from cascade_exp.schema.evaluating import CommonConfig, Method


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
            method: how a stage answers and its confidence: the job's own metric, ensemble and
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

    def summary(self) -> Mapping[str, object]:
        """What ``summary.json`` says of this kind, its ``name`` first."""
        ...


@dataclass(frozen=True)
class RecordedModels(CascadeKind):
    """What kinds share whose single models are the recorded ones, unchanged.

    :class:`CascadeKind` documents the methods.
    """

    settings: CommonConfig

    @override
    def check(self, method: Method) -> None:
        check_metric(method.metric, self.settings.cascade.name)
        check_combination(method.metric, method.ensemble)

    @override
    def read(self, recordings: Recordings, split: str) -> Split:
        """One split's outputs by model; networks with exits are no stages, and are left out."""
        return recordings.complete().split(split)

    @override
    def costs(self, recordings: Recordings) -> dict[str, float]:
        tiers, tier_of = self.places()
        return alone_costs(recordings.complete(), self.settings.cost, tiers, tier_of)

    def places(self) -> tuple[int, Callable[[str], int]]:
        """How many tiers there are, and by model's name, in which it runs; only costs depend on it.

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

    @override
    def members(self, stages: StagePool, names: Sequence[str]) -> tuple[int, ...]:
        return tuple(stages.names.index(name) for name in names)

    @override
    def scoring(self, split: Split) -> tuple[str, str]:
        return self.settings.metric.name, self.settings.ensemble.name

    @override
    def stages(self, models: LogitsPool) -> StagePool:
        return models

    @override
    def shared(self) -> bool:
        """``threshold.shared``."""
        return bool(self.settings.threshold.shared)

    @override
    def thresholds(
        self, stages: StagePool, members: Sequence[int], given: Sequence[object]
    ) -> list[float]:
        try:
            return [float(str(threshold)) for threshold in given]
        except ValueError:
            raise CascadeError(
                f"threshold.fixed={list(given)}: expected a list of numbers"
            ) from None

    @override
    def summary(self) -> Mapping[str, object]:
        return {"name": self.settings.cascade.name}


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
    k = vars(metric).get("k")
    return Method(metric.name, settings.ensemble.name, settings.calibration.name, k)
