"""``models.csv``: the recorded models and what each costs (docs/definitions.md#recordings)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.names import check_name
from cascade_exp.tables import read_table

COST_COLUMNS = ("macs", "params", "layers", "seconds", "dollars")


@dataclass(frozen=True)
class ModelRow:
    """One row of ``models.csv``: the model's name and the cost columns that are known for it."""

    name: str
    costs: dict[str, float]


def read_models(path: Path) -> list[ModelRow]:
    """The rows of the table ``path``.

    Raises:
        CascadeError: if it is missing, malformed, lists no model or one twice, or a cost is no
            number.
    """
    if not path.is_file():
        raise CascadeError(f"{path}: missing; a recordings folder lists its models there")
    rows: list[ModelRow] = []
    seen: set[str] = set()
    for where, fields in read_table(path, needed=("name",)):
        name = check_name(fields.pop("name"), where)
        if name in seen:
            raise CascadeError(f"{where}: a second model named {name}")
        seen.add(name)
        rows.append(ModelRow(name, read_costs(fields, f"{path}: model {name}")))
    if not rows:
        raise CascadeError(f"{path}: lists no model")
    return rows


def read_costs(fields: dict[str, str], where: str) -> dict[str, float]:
    """The numbers among ``fields``; empty ones are left out, and text where it is no cost's.

    Raises:
        CascadeError: if a field of :data:`COST_COLUMNS` is no number.
    """
    costs = {}
    for column, text in fields.items():
        if not text.strip():
            continue
        try:
            costs[column] = float(text)
        except ValueError:
            if column in COST_COLUMNS:
                raise CascadeError(f"{where} has {column}={text!r}; expected a number") from None
    return costs
