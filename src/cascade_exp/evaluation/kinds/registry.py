"""The kinds of cascade by the name of their option, ``cascade=…``."""

from __future__ import annotations

from collections.abc import Callable

from cascade_exp.errors import choice
from cascade_exp.evaluation.kinds.base import CascadeKind, Given, Searched
from cascade_exp.evaluation.kinds.exits import ExitsOfOne
from cascade_exp.evaluation.kinds.tiers import tiers
from cascade_exp.schema.evaluating import CommonConfig

KINDS: dict[str, Callable[[CommonConfig], CascadeKind]] = {
    "search": Searched,
    "stages": Given,
    "tiers": tiers,
    "exits": ExitsOfOne,
}


def kind_of(settings: CommonConfig) -> CascadeKind:
    """The kind of cascade that ``settings`` name."""
    return KINDS[choice(settings.cascade.name, KINDS, "cascade")](settings)
