"""What commands of this folder share: ``key=value`` arguments, ``--help``, one line of error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from omegaconf import OmegaConf

from cascade_exp.errors import CascadeError
from cascade_exp.models.members import read_keys
from cascade_exp.schema.renamed import refuse_renamed

Options = TypeVar("Options")


def run_command(
    arguments: Sequence[str],
    options: type[Options],
    act: Callable[[Options], None],
    doc: str | None,
    renamed: Mapping[str, str] | None = None,
) -> int:
    """Read ``arguments`` into the dataclass ``options`` and ``act`` on them.

    Args:
        doc: the module's docstring. renamed: new key by old key, which is refused.

    Returns:
        The exit status: 1, with one line on stderr, for what a user can correct; 0 after printing
        ``doc`` for ``--help``.
    """
    if "--help" in arguments:
        print(doc)
        return 0
    try:
        refuse_renamed(arguments, renamed or {})
        given = OmegaConf.from_cli(list(arguments))
        act(read_keys("", given, options))  # type: ignore[arg-type]
    except CascadeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
