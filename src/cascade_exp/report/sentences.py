"""Every function that states something about results in words, by name.

What a page or the terminal says in a sentence can be false while every number beside it is right.
So a function that words a finding is entered here, and ``tests/report/test_sentences.py`` checks
what it says of generated evaluations against their numbers; it fails on one that it does not know,
and on a sentence that is written anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Wording = TypeVar("Wording", bound=Callable[..., Any])

STATED: dict[str, Callable[..., Any]] = {}
"""By ``<module>.<function>``, below ``cascade_exp``."""


def stated(function: Wording) -> Wording:
    """Enter the decorated function as one that states a finding in words."""
    module = function.__module__.removeprefix("cascade_exp.")
    STATED[f"{module}.{function.__name__}"] = function
    return function
