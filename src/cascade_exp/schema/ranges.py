"""Range checks of the schema's dataclasses, each one line that names the key within its group.

A dataclass of the schema checks its own values in ``__post_init__``; ``checks.to_settings`` puts
the name of the group in front.
"""

from __future__ import annotations

from cascade_exp.errors import CascadeError


def at_least(least: int, **values: int) -> None:
    """Raise :class:`CascadeError` for a value below ``least``; keyword arguments name the keys."""
    for key, value in values.items():
        if value < least:
            raise CascadeError(f"{key}={value}: expected at least {least}")


def above_zero(**values: float) -> None:
    """Raise :class:`CascadeError` for a value that is not above 0."""
    for key, value in values.items():
        if not value > 0:
            raise CascadeError(f"{key}={value}: expected a number above 0")


def share(**values: float) -> None:
    """Raise :class:`CascadeError` for a value outside [0, 1]."""
    for key, value in values.items():
        if not 0 <= value <= 1:
            raise CascadeError(f"{key}={value}: expected a share from 0 to 1")


def share_below_one(**values: float) -> None:
    """Raise :class:`CascadeError` for a value outside [0, 1)."""
    for key, value in values.items():
        if not 0 <= value < 1:
            raise CascadeError(f"{key}={value}: expected a share from 0 to below 1")


def share_above_zero(**values: float) -> None:
    """Raise :class:`CascadeError` for a value outside (0, 1]."""
    for key, value in values.items():
        if not 0 < value <= 1:
            raise CascadeError(f"{key}={value}: expected a share above 0, up to 1")
