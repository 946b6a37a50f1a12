"""What an hour on a GPU costs: the table that comes with the project, or the user's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

import yaml

from cascade_exp.errors import CascadeError, choice
from cascade_exp.tables import parse_table

_COLUMNS = ("gpu", "dollars_per_hour")


def gpu_prices(path: str | None) -> dict[str, float]:
    """Dollars per hour by GPU, out of ``path``; None: Lambda's figures as CoE's Table 1 has them.

    A table is CSV with the columns ``gpu,dollars_per_hour`` (others are not read), or YAML with a
    price per GPU (``A100: 1.29``).

    Raises:
        CascadeError: if the file cannot be read as such, or a price is no finite number above 0.
    """
    if path is None:
        table = files("cascade_exp.recordings").joinpath("gpu_prices.csv")
        return _checked(_csv(table.read_text(encoding="utf-8"), str(table)), str(table))
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CascadeError(f"cost.prices={path}: cannot be read ({error})") from None
    found = _yaml(text, path) if file.suffix in (".yaml", ".yml") else _csv(text, path)
    return _checked(found, path)


def gpus_of(models: tuple[str, ...], gpu: str | Mapping[str, str] | None) -> dict[str, str]:
    """By model, the GPU it runs on: one for all, or by name or glob, the first that fits.

    Raises:
        CascadeError: naming the model that has none.
    """
    if gpu is None:
        raise CascadeError(
            "cost.gpu: a value is needed, as cost.gpu=A100 or 'cost.gpu={resnet20:V100,*:A100}'"
        )
    if not isinstance(gpu, Mapping):
        return dict.fromkeys(models, str(gpu))
    found = {}
    for model in models:
        fits = [key for key in gpu if str(key) == model] or [
            key for key in gpu if fnmatchcase(model, str(key))
        ]
        if not fits:
            raise CascadeError(
                f"cost.gpu: no GPU for model {model}; known for {', '.join(map(str, gpu))}"
            )
        found[model] = str(gpu[fits[0]])
    return found


def rates_of(
    models: tuple[str, ...], gpu: str | Mapping[str, str] | None, prices: str | None
) -> dict[str, float]:
    """By model, the dollars per hour of the GPU that it runs on.

    Raises:
        CascadeError: if a GPU has no price.
    """
    table = gpu_prices(prices)
    return {m: table[choice(name, table, "cost.gpu")] for m, name in gpus_of(models, gpu).items()}


def _csv(text: str, where: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for line, row in parse_table(text, where, _COLUMNS):
        if row["gpu"] in found:
            raise CascadeError(f"{line}: a second price of {row['gpu']}")
        found[row["gpu"]] = row["dollars_per_hour"]
    return found


def _yaml(text: str, where: str) -> dict[str, object]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CascadeError(f"{where}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(found, dict):
        raise CascadeError(f"{where}: expected a price per GPU, as A100: 1.29")
    return {str(gpu): price for gpu, price in found.items()}


def _checked(prices: Mapping[str, object], where: str) -> dict[str, float]:
    if not prices:
        raise CascadeError(f"{where}: lists no GPU")
    found = {}
    for gpu, price in prices.items():
        try:
            value = float(str(price))
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise CascadeError(f"{where}: {gpu} costs {price!r}; expected dollars per hour above 0")
        found[gpu] = value
    return found
