"""Data: loaders of labelled sources, the four splits, and the data modules that batch them.

Knows nothing of models or cascades. A source is loaded (:func:`load_source`), carved into splits
(``splitting.carve``) and handed to ``images.ImageDataModule`` or ``text.TextDataModule``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cascade_exp.errors import choice

if TYPE_CHECKING:
    from cascade_exp.data.examples import Source

SOURCES: dict[str, str] = {
    "digits": "cascade_exp.data.digits:load_digits",
    "cifar10": "cascade_exp.data.cifar10:load_cifar10",
    "image_folder": "cascade_exp.data.folder:load_image_folder",
    "synthetic_text": "cascade_exp.data.synthetic_text:load_synthetic_text",
    "glue": "cascade_exp.data.glue:load_glue",
    "swag": "cascade_exp.data.swag:load_swag",
    "table": "cascade_exp.data.tables:load_table",
}


def loader_of(name: str) -> Callable[..., Source]:
    """The loader of the source called ``name``; imports its module and nothing else.

    Raises:
        CascadeError: if there is no such source (did you mean).
    """
    module, function = SOURCES[choice(name, SOURCES, "data.source")].split(":")
    loader: Callable[..., Source] = getattr(import_module(module), function)
    return loader


def load_source(settings: Mapping[str, Any]) -> Source:
    """Load the source ``settings["source"]`` with those of the settings that its loader takes.

    The rest (splitting, batching) is for its own readers; that no key goes unread is checked where
    the configuration is composed.

    Raises:
        CascadeError: if there is no such source, or the loader finds its input wanting.
    """
    loader = loader_of(settings["source"])
    taken = inspect.signature(loader).parameters
    return loader(**{key: value for key, value in settings.items() if key in taken})
