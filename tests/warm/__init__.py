"""Commands in processes that start warm: forked from one that has imported the libraries.

Importing torch, Lightning, transformers and matplotlib takes longer than what most commands of the
tests do. :func:`python` gives a command that runs its script in a process of its own all the same,
with its own arguments, folder, environment, output and exit status; only the libraries are there
already. The project's own modules are not: each process imports them anew.

What is about the start of a process, or kills it, uses ``sys.executable``.
"""

from __future__ import annotations

import sys
from pathlib import Path

CLIENT = Path(__file__).with_name("client.py")


def python(*arguments: str | Path) -> list[str]:
    """The command ``python <arguments>``, as :mod:`subprocess` takes it."""
    return [sys.executable, "-IS", str(CLIENT), *map(str, arguments)]
