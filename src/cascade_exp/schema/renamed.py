"""Names that keys and options of the command line had before, each refused with its new name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cascade_exp.errors import CascadeError

KEYS = {
    "rivals.speed_ups": "speed_ups.at",
    "rivals": "speed_ups",
    "models.members.*.training.plain": "models.members.*.training.unregularised",
}
"""New key by old key, the more specific first; ``*`` stands for one name."""
OPTIONS = {"experiment": "rivals", "models": "rivals"}
"""By group, the last word of options that now end with ``speed_ups``: ``sst2_rivals``."""


def refuse_renamed(arguments: Iterable[str], keys: Mapping[str, str] = KEYS) -> None:
    """Refuse command line arguments that use an old name.

    Args:
        arguments: as on the command line: ``key=value``, ``+key=value``, ``~key``, flags.
        keys: as :data:`KEYS`.

    Raises:
        CascadeError: naming the old key or option and its new name.

    >>> refuse_renamed(["speed_ups.at=[2,3]", "experiment=sst2_speed_ups"])
    """
    for argument in arguments:
        key, _, value = argument.lstrip("+~").partition("=")
        refuse_renamed_key(key, keys)
        for option in value.split(",") if key in OPTIONS else ():
            head, _, tail = option.rpartition("_")
            if tail == OPTIONS[key]:
                new = f"{head}_speed_ups" if head else "speed_ups"
                raise CascadeError(f"{key}={option}: this option was renamed; expected {key}={new}")


def refuse_renamed_key(key: str, keys: Mapping[str, str] = KEYS) -> None:
    """Refuse a dotted ``key`` of a configuration that has, or lies below, an old name.

    Raises:
        CascadeError: naming the old key and its new name.

    >>> refuse_renamed_key("models.members.bert_4l.training.unregularised")
    """
    for old, new in keys.items():
        names = re.escape(old).replace(r"\*", r"([^.]+)")
        matched = re.fullmatch(rf"{names}(\..*)?", key)
        if matched is None:
            continue
        *middle, below = matched.groups()
        for name in middle:
            new = new.replace("*", name, 1)
        raise CascadeError(f"{key}: this key was renamed; expected {new}{below or ''}")
