"""Building library objects that a configuration names by import path, with checked arguments."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from cascade_exp.errors import CascadeError, did_you_mean

# A configuration may come from somebody else: only classes of these libraries are ever called.
ALLOWED = ("torch.optim.", "pytorch_lightning.", "optuna.pruners.", "cascade_exp.learning.")


def build(path: str, options: Mapping[str, Any], *, key: str, **fixed: Any) -> Any:
    """Call the class at the import ``path`` with ``options`` and the arguments fixed by us.

    Args:
        key: the configuration key the path and options came from, for messages.

    Raises:
        CascadeError: if the path leaves the allowed libraries or does not exist, an option is not
            in the class's signature, or the class refuses its arguments.
    """
    if not path.startswith(ALLOWED):
        raise CascadeError(
            f"{key}.builds={path}: expected a class out of {', '.join(p[:-1] for p in ALLOWED)}"
        )
    module, _, name = path.rpartition(".")
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise CascadeError(f"{key}.builds={path}: no such class") from None
    if not (inspect.isclass(made) and made.__module__.startswith(ALLOWED)):
        raise CascadeError(f"{key}.builds={path}: not a class of that library")
    parameters = inspect.signature(made).parameters
    known = {n for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    for option in options:
        if option in fixed:
            raise CascadeError(f"{key}.options.{option}: set by a key of its own")
        if option not in known:
            raise CascadeError(
                f"{key}.options.{option}: {path} has no such argument{did_you_mean(option, known)}"
            )
    try:
        return made(**fixed, **options)
    except (TypeError, ValueError) as error:
        raise CascadeError(f"{key}: {path}: {error}") from None
