"""JSON schemas of the results files, from the types that check them on reading.

python -m cascade_exp.tools.json_schemas [output=docs/schemas]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_exp.jobs.commands import run_command
from cascade_exp.report.results.files import summary_adapter, write_json
from cascade_exp.report.results.operating_point import operating_point_adapter

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ADAPTERS: dict[str, Callable[[], TypeAdapter[Any]]] = {
    "summary": summary_adapter,
    "operating_point": operating_point_adapter,
}


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        output: the folder to write ``<name>.schema.json`` into.
    """

    output: str = "docs/schemas"


def json_schemas() -> dict[str, dict[str, Any]]:
    """By file name, ``<name>.schema.json``, its JSON schema (draft 2020-12)."""
    return {
        f"{name}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **adapter().json_schema(),
            "title": f"{name}.json",
        }
        for name, adapter in ADAPTERS.items()
    }


def main(arguments: Sequence[str]) -> int:
    """Write the schemas; returns the exit status."""
    return run_command(arguments, Options, str(__doc__), _write)


def _write(options: Options) -> None:
    for name, schema in json_schemas().items():
        path = Path(options.output) / name
        write_json(path, schema)
        print(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
