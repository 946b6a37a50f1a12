"""Data: sources of labelled examples, the four splits, and the data modules that batch them.

Knows nothing of models or cascades. A source is loaded (:func:`load_source`), carved into splits
(``splitting.carve``), described (``summary.summarise``) and handed to ``images.ImageDataModule`` or
``text.TextDataModule``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from cascade_exp.errors import CascadeError, choice

if TYPE_CHECKING:
    from cascade_exp.data.examples import Source
    from cascade_exp.data.splitting import Splits


def source_names() -> list[str]:
    """The sources there are: the modules of ``data/sources``, sorted.

    >>> "digits" in source_names()
    True
    """
    from cascade_exp.data import sources

    return sorted(module.name for module in iter_modules(sources.__path__))


def loader_of(name: str) -> Callable[..., Source]:
    """The function ``load`` of the module ``data/sources/<name>.py``; imports nothing else.

    Raises:
        CascadeError: if there is no such module (did you mean).
    """
    choice(name, source_names(), "data.source")
    loader: Callable[..., Source] = import_module(f"cascade_exp.data.sources.{name}").load
    return loader


def load_source(settings: Mapping[str, Any]) -> Source:
    """Load the source ``settings["source"]`` with those of the settings that its loader takes.

    The loader's arguments are the settings of their name and those in ``settings["options"]``. The
    other settings (splitting, batching) belong to other readers.

    Raises:
        CascadeError: if there is no such source, an option is unknown, given twice or missing, or
            the loader refuses its input.
    """
    name = settings["source"]
    loader = loader_of(name)
    taken = inspect.signature(loader).parameters
    given = {key: value for key, value in settings.items() if key in taken}
    for key, value in (settings.get("options") or {}).items():
        if choice(key, taken, "data.options") in given:
            raise CascadeError(f"data.options.{key}: there is a key data.{key}; expected it there")
        given[key] = value
    for key, parameter in taken.items():
        if parameter.default is inspect.Parameter.empty and key not in given:
            raise CascadeError(
                f"data.options.{key}: a value is needed; data.source={name} reads it"
            )
    return loader(**given)


def load_splits(settings: Mapping[str, Any]) -> tuple[Source, Splits]:
    """The source of the settings of a ``data`` group, and its splits as they say.

    Raises:
        CascadeError: as :func:`load_source` and ``splitting.carve``.
    """
    from cascade_exp.data.splitting import carve

    source = load_source(settings)
    splits = carve(
        source,
        selection=settings["selection"],
        validation_share=settings["validation_share"],
        selection_share=settings["selection_share"],
        limit_train=settings["limit_train"],
        seed=settings["seed"],
    )
    return source, splits
