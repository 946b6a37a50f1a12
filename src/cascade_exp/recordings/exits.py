"""``exits.csv``: the exits of recorded early-exit networks and what each has cost.

The format is docs/definitions.md#recordings.

One row per exit: ``name,exit,layers,macs,seconds``; costs are cumulative up to that exit's answer,
heads of earlier exits included, and a column that is not known may be empty or left out. The
recording ``<split>/<name>.npy`` is then ``[N, exits, K]``, in the order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cascade_exp.errors import CascadeError, did_you_mean
from cascade_exp.recordings.models import read_costs
from cascade_exp.recordings.names import check_name
from cascade_exp.tables import read_table

EXITS = "exits.csv"
EXIT_COSTS = ("layers", "macs", "seconds")


@dataclass(frozen=True)
class ExitRow:
    """One exit of a network.

    Attributes:
        exit: its number, from 1, growing along the network; results call it ``<network>@<exit>``.
        costs: by column, what an example has cost once it has answered.
    """

    exit: int
    costs: dict[str, float]


def exit_name(network: str, exit: int) -> str:
    """What results call an exit."""
    return f"{network}@{exit}"


def network_of(stage: str) -> str:
    """The recorded model that a stage of that name is (part of)."""
    return stage.partition("@")[0]


def exit_of(stage: str) -> int:
    """The number of the exit that results call ``stage``; 0 of a model without exits."""
    return int(stage.partition("@")[2] or 0)


def read_exits(folder: Path, models: Sequence[str]) -> dict[str, tuple[ExitRow, ...]]:
    """By network, the rows of ``folder/exits.csv``; empty where there is no such file.

    Args:
        models: the rows of ``models.csv``, which every network must be among.

    Raises:
        CascadeError: for a malformed table, an unknown network, an exit that is no whole number
            above 0, comes twice or out of order, or a cost that is no number.
    """
    path = folder / EXITS
    if not path.is_file():
        return {}
    exits: dict[str, list[ExitRow]] = {}
    for where, fields in read_table(path, needed=("name", "exit")):
        name = check_name(fields.pop("name"), where)
        if name not in models:
            raise CascadeError(
                f"{where}: models.csv lists no model '{name}'{did_you_mean(name, models)}"
            )
        row = ExitRow(_number(fields.pop("exit"), where), read_costs(fields, where))
        _check_after(exits.get(name, []), row, name, where)
        exits.setdefault(name, []).append(row)
    return {name: tuple(rows) for name, rows in exits.items()}


def check_growing(
    exits: Sequence[int], values: Sequence[float], column: str, network: str, where: str
) -> None:
    """Raise a :class:`CascadeError` unless cumulative costs are finite, above 0 and growing."""
    for exit, value in zip(exits, values, strict=True):
        if not (math.isfinite(value) and value > 0):
            raise CascadeError(
                f"{where}: exit {exit} of {network} has {column}={value!r}; a cost is a finite "
                "number above 0"
            )
    for (exit, before), (later, after) in pairwise(zip(exits, values, strict=True)):
        if after <= before:
            raise CascadeError(
                f"{where}: {network} has {column}={after!r} at exit {later}, after {before!r} "
                f"at exit {exit}; costs are cumulative, so they grow from exit to exit"
            )


def _number(text: str, where: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit() and int(text) > 0):
        raise CascadeError(f"{where} has exit={text!r}; expected a whole number above 0")
    return int(text)


def _check_after(rows: list[ExitRow], row: ExitRow, name: str, where: str) -> None:
    """Refuse an exit that does not follow ``rows``, those of the same network before it."""
    if any(row.exit == other.exit for other in rows):
        raise CascadeError(f"{where}: a second exit {row.exit} of {name}")
    if rows and row.exit < rows[-1].exit:
        raise CascadeError(
            f"{where}: exit {row.exit} of {name} after its exit {rows[-1].exit}; rows stand in the "
            "order of the recorded exits"
        )
