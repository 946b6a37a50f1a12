"""The project's own exceptions, and helpers that word messages; every part may import it.

Everything a user can correct is raised as :class:`CascadeError` with one clear line: the file, the
key or the row, what was found and what was expected. ``jobs.entry`` prints it and exits with 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from inspect import Parameter


class CascadeError(Exception):
    """A mistake that the user can correct; the message is one line that says where and how."""


class Refused(CascadeError):
    """Options that do not go together by design; a sweep leaves such a job out."""


class Pruned(Exception):
    """The job was ended early by the search that it is a trial of, which is no failure."""


class Terminated(BaseException):
    """SIGTERM arrived; no ``except Exception`` holds it up."""


LONGEST_LINE = 500


def one_line(error: BaseException | str) -> str:
    """The message of ``error`` in one line of at most :data:`LONGEST_LINE` characters.

    An ``OSError`` is worded as ``<path>: <reason>``; an error without a message by its type.

    >>> one_line(FileNotFoundError(2, "No such file or directory", "x.csv"))
    'x.csv: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    else:
        text = str(error)
    text = " ".join(text.split())
    if not text:
        return type(error).__name__
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 2] + " …"


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


def check_settings(
    group: str, name: str, parameters: Iterable[Parameter], given: Mapping[str, object]
) -> None:
    """Check the settings ``given`` to the option ``name`` of ``group`` against its parameters.

    Raises:
        CascadeError: for a setting that it does not have, or one that it needs and is not given.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    for key in given:
        if key not in by_name:
            hint = did_you_mean(key, by_name)
            raise CascadeError(f"{group}.{key}: {group}={name} has no such setting{hint}")
    for key, parameter in by_name.items():
        if parameter.default is Parameter.empty and key not in given:
            raise CascadeError(f"{group}.{key}: {group}={name} needs it")
