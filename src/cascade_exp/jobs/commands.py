"""Commands that are no jobs: ``python -m cascade_exp.… key=value``, read and ended in one way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_type_hints

from omegaconf import OmegaConf

from cascade_exp.errors import CascadeError, Terminated, one_line
from cascade_exp.jobs.signals import STATUS, interrupted, resume_line, terminating
from cascade_exp.models.members import read_keys
from cascade_exp.schema.renamed import refuse_renamed

Options = TypeVar("Options")


def run_command(
    arguments: Sequence[str],
    schema: type[Options],
    help: str,
    body: Callable[[Options], None],
    renamed: Mapping[str, str] | None = None,
) -> int:
    """Call ``body`` with the arguments read into ``schema``; returns the exit status.

    ``--help`` prints ``help`` and the keys. A mistake of the user ends with one line and 1, Ctrl-C
    with 130, SIGTERM with 143, both with the line that says how to continue.

    Args:
        arguments: ``key=value`` each. The value of a key that holds text is taken as it stands, so
            that a file or column may be called ``-``, ``1`` or ``yes``.
        renamed: new key by old key, each refused with the new one.
    """
    if {"--help", "-h"} & set(arguments):
        print(help_text(schema, help))
        return 0
    try:
        refuse_renamed(arguments, renamed or {})
        with terminating():
            body(read_options(arguments, schema))
    except (CascadeError, OSError) as error:
        print(f"Error: {one_line(error)}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Terminated) as stop:
        print(interrupted(resume_line(stop)), file=sys.stderr)
        return STATUS if isinstance(stop, Terminated) else 130
    return 0


def read_options(arguments: Sequence[str], schema: type[Options]) -> Options:
    """``key=value`` arguments as the dataclass ``schema``.

    Raises:
        CascadeError: for an argument of another form, a key given twice, an unknown key, a value of
            a wrong type.
    """
    kinds = get_type_hints(schema)
    given: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key:
            raise CascadeError(f"{argument}: expected key=value; --help lists the keys")
        if key in given:
            raise CascadeError(f"{key}: given twice")
        kind = kinds.get(key)
        if kind is str or (str in get_args(kind) and value != "null"):
            given[key] = value
        else:
            given |= OmegaConf.to_container(OmegaConf.from_cli([argument]))  # type: ignore[arg-type]
    return read_keys("", given, schema)


def help_text(schema: type, help: str) -> str:
    """``help``, and the keys as the docstring of ``schema`` explains them."""
    _, _, keys = (schema.__doc__ or "").partition("Attributes:\n")
    lines = [line.removeprefix("    ") for line in keys.rstrip().splitlines()]
    return "\n".join([help.strip(), "", "Keys:", *lines])
