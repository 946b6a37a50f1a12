"""The project's own error, and the helper that words it; the one module that every part may import.

Everything a user can mend is raised as :class:`CascadeError` with one clear line: the file, the key
or the row, what was found and what was expected. ``jobs/`` turns it into Hydra's compact exit.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CascadeError(Exception):
    """A mistake that the user can mend; the message is one line that says where and how."""


class Pruned(Exception):
    """The job was ended early by the search that it is a trial of, which is no failure."""


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known word nearest to ``found``, or ``""``.

    >>> did_you_mean("softmx", ["softmax", "entropy"])
    " (did you mean 'softmax'?)"
    """
    nearest = difflib.get_close_matches(str(found), [str(word) for word in known], n=1, cutoff=0.6)
    return f" (did you mean '{nearest[0]}'?)" if nearest else ""


def choice(found: str, known: Iterable[str], key: str) -> str:
    """Return ``found`` when it is one of ``known``.

    Raises:
        CascadeError: naming ``key``, what is known and the nearest of it, when it is not.
    """
    options = list(known)
    if found in options:
        return found
    raise CascadeError(
        f"{key}={found}: expected one of {', '.join(map(str, options))}"
        f"{did_you_mean(found, options)}"
    )
