"""The kinds of cascade by the name of their option, ``cascade=…``.

A kind is registered where it is defined, by the decorator :func:`kind`; every module of this
package is looked at, so that a new kind is one module here and one file in ``conf/cascade``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from cascade_exp.errors import CascadeError, choice

if TYPE_CHECKING:
    from cascade_exp.evaluation.kinds.base import CascadeKind
    from cascade_exp.schema.evaluating import CommonConfig

    MakeKind = Callable[[CommonConfig], CascadeKind]

Maker = TypeVar("Maker", bound="MakeKind")


@dataclass(frozen=True)
class Kind:
    """What is registered: how the kind is made, and the metrics that only it has, with the why."""

    make: MakeKind
    metrics: Mapping[str, str]


_KINDS: dict[str, Kind] = {}


def kind(name: str, metrics: Mapping[str, str] | None = None) -> Callable[[Maker], Maker]:
    """Register a class (or function) of the settings as the kind ``cascade=<name>``.

    Args:
        metrics: metrics that no other kind has, each with the reason for it.
    """

    def register(maker: Maker) -> Maker:
        _KINDS[name] = Kind(maker, metrics or {})
        return maker

    return register


def kinds() -> dict[str, Kind]:
    """All kinds by name, those of every module of this package."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(import_module(package).__path__):
        import_module(f"{package}.{module.name}")
    return dict(_KINDS)


def kind_of(settings: CommonConfig) -> CascadeKind:
    """The kind of cascade that ``settings`` name.

    Raises:
        CascadeError: if there is no such kind.
    """
    known = kinds()
    return known[choice(settings.cascade.name, known, "cascade")].make(settings)


def check_metric(metric: str, cascade: str) -> None:
    """Raise :class:`CascadeError` for a metric that only another kind of cascade has."""
    for name, registered in kinds().items():
        if metric in registered.metrics and name != cascade:
            raise CascadeError(
                f"metric={metric} with cascade={cascade}: {registered.metrics[metric]}, "
                f"expected cascade={name}"
            )
