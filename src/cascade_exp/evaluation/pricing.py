"""What running each model costs, by the option ``cost=…``, and how far away its tier is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import cast

import numpy as np

from cascade_exp.cascade.costs import Accounting, dollars_per_example
from cascade_exp.cascade.links import Distribution, Links, links_of
from cascade_exp.cascade.stages import Floats
from cascade_exp.errors import CascadeError
from cascade_exp.recordings.folder import Recordings
from cascade_exp.recordings.names import models_of
from cascade_exp.recordings.prices import gpu_prices, rates_of
from cascade_exp.schema.evaluating import (
    CommonConfig,
    Cost,
    DollarsCost,
    EdgeCloudCost,
    ExitsCascade,
)

DEFAULT_COLUMN = "macs"
AUTO = "auto"  # the column is chosen once the recordings are open


def check_cost(cost: Cost) -> None:
    """Refuse prices that cannot be read, and places of models that make no sense.

    Raises:
        CascadeError: naming the key.
    """
    if isinstance(cost, DollarsCost):
        gpu_prices(cost.prices)
    places_of(cost)


def with_column(settings: CommonConfig, recordings: Recordings) -> CommonConfig:
    """``settings`` with ``cost.column`` filled in where it is :data:`AUTO`.

    Raises:
        CascadeError: if the recordings have several columns and none of them is ``macs``.
    """
    if settings.cost.column != AUTO:
        return settings
    cascade = settings.cascade
    if isinstance(cascade, ExitsCascade):
        exits = recordings.exits.get(cascade.network, ())
        table, rows = recordings.path / "exits.csv", [row.costs for row in exits]
    else:
        table, rows = recordings.path / "models.csv", [row.costs for row in recordings.models]
    known = sorted({column for row in rows for column in row})
    if DEFAULT_COLUMN not in known and len(known) > 1:
        raise CascadeError(
            f"{table}: it has the cost columns {', '.join(known)}; say which one is meant: "
            f"cost.column={known[0]}"
        )
    column = known[0] if len(known) == 1 else DEFAULT_COLUMN
    return replace(settings, cost=replace(settings.cost, column=column))


def unit_of(cost: Cost) -> str:
    """The unit of costs."""
    if isinstance(cost, DollarsCost):
        return "dollars" if cost.basis == "per_example" else "dollars per hour"
    return cost.column


def model_costs(recordings: Recordings, cost: Cost) -> dict[str, float]:
    """By model, the cost of running it on one example, links apart.

    Raises:
        CascadeError: if a model lacks what its cost is made from.
    """
    names = recordings.names
    if not isinstance(cost, DollarsCost):
        return dict(zip(names, recordings.costs(cost.column).tolist(), strict=True))
    rates = rates_of(names, cost.gpu, cost.prices)
    if cost.basis == "rate":
        return rates
    seconds = recordings.costs(cost.column).tolist()
    return {n: dollars_per_example(rates[n], s) for n, s in zip(names, seconds, strict=True)}


def tier_links(cost: Cost, tiers: int) -> Links | None:
    """The links to the tiers of a cascade; None where costs know of none.

    Raises:
        CascadeError: if they do not fit that many tiers.
    """
    if not isinstance(cost, EdgeCloudCost):
        return None
    return links_of(
        tiers,
        _numbers(cost.delays, "cost.delays"),
        cost.payload,
        _numbers(cost.bandwidth, "cost.bandwidth"),
        cast(Distribution, cost.distribution),
        cost.spread,
    )


def link_costs(cost: Cost, tiers: int) -> Floats:
    """What links add to the cost of each tier: float64 [tiers], 0 where costs know of none."""
    links = tier_links(cost, tiers)
    if links is None:
        return np.zeros(tiers)
    return links.stage_costs(cast(Accounting, cost.accounting))


def alone_costs(
    recordings: Recordings, cost: Cost, tiers: int, tier_of: Callable[[str], int]
) -> dict[str, float]:
    """By model, the cost of one example that it answers alone, in the tier where it runs."""
    links, costs = tier_links(cost, tiers), model_costs(recordings, cost)
    if links is None:
        return costs
    return {name: costs[name] + float(links.mean[tier_of(name)]) for name in costs}


@dataclass(frozen=True)
class Places:
    """``cost.places``: by place, nearest first, the names or globs of the models that run there."""

    models: Mapping[str, Sequence[str]]

    def of(self, model: str) -> int:
        """The place (from 0) of a model: the one that names it, else the first whose glob fits.

        Raises:
            CascadeError: if there is none.
        """
        patterns = list(self.models.values())
        for place, names in enumerate(patterns):
            if model in names:
                return place
        for place, names in enumerate(patterns):
            if any(fnmatchcase(model, name) for name in names):
                return place
        raise CascadeError(
            f"cost.places: no place for model '{model}'; expected one for every model of the pool "
            "(pool.include and pool.exclude narrow it)"
        )

    def of_all(self, models: Sequence[str]) -> list[int]:
        """The places of a pool's models.

        Raises:
            CascadeError: if a model has none, or a place no model.
        """
        found = [self.of(model) for model in models]
        for place, name in enumerate(self.models):
            if place not in found:
                given = ", ".join(self.models[name])
                raise CascadeError(
                    f"cost.places.{name}=[{given}]: no model of the pool runs there; it holds "
                    f"{', '.join(models)}"
                )
        return found


def places_of(cost: Cost) -> Places | None:
    """Where models run, as ``cost.places`` says it; None where it says nothing.

    Raises:
        CascadeError: if it is no models by place, or a model is named in two.
    """
    if not isinstance(cost, EdgeCloudCost) or cost.places is None:
        return None
    given = cost.places
    if not isinstance(given, dict) or not given:
        raise CascadeError(
            f"cost.places={given}: expected models by place, nearest first, as "
            "'cost.places={edge:[a,b,c],cloud:[d]}'"
        )
    models: dict[str, list[str]] = {}
    for place, names in given.items():
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list) or not listed:
            raise CascadeError(f"cost.places.{place}={names}: expected one or more models")
        models[str(place)] = [str(name) for name in listed]
        for name in models[str(place)]:
            before = [p for p, held in models.items() if name in held and p != str(place)]
            if before:
                raise CascadeError(
                    f"cost.places.{place}: '{name}' is in place '{before[0]}' already"
                )
    return Places(models)


def needed_places(cost: Cost, cascade: str) -> Places | None:
    """The places that a search must know; None where costs do not depend on them.

    By its position in a cascade no model can be placed: the search would run the best models
    nearest, where nothing is far away.

    Raises:
        CascadeError: if costs depend on where each model runs, and ``cost.places`` does not say it.
    """
    places = places_of(cost)
    if isinstance(cost, EdgeCloudCost) and places is None:
        raise CascadeError(
            f"cost={cost.name} with cascade={cascade}: a search must know where each model "
            "runs, expected 'cost.places={edge:[a,b],cloud:[c]}', or the tiers themselves "
            "(cascade=stages, or cascade=tiers with cascade.tiers)"
        )
    return places


def refuse_places(cost: Cost, key: str) -> None:
    """Raise :class:`CascadeError` for ``cost.places`` beside ``key``, which says the same."""
    if isinstance(cost, EdgeCloudCost) and cost.places is not None:
        raise CascadeError(
            f"cost.places with {key}: each given tier is a place of its own; expected one of the "
            "two keys"
        )


def cascade_links(cost: Cost, stages: Sequence[str]) -> Links | None:
    """The links to the tiers of one cascade, named as in results; None where costs know of none."""
    places = places_of(cost)
    links = tier_links(cost, len(stages) if places is None else len(places.models))
    if links is None or places is None:
        return links
    return links.at([places.of(models_of(stage)[0]) for stage in stages])


def _numbers(given: object, key: str) -> Sequence[float] | None:
    if given is None:
        return None
    values = given if isinstance(given, list) else [given]
    try:
        return [float(str(value)) for value in values]
    except ValueError:
        raise CascadeError(f"{key}={given}: expected a list of numbers") from None
