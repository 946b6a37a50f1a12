"""The pool that published result tables suggest: the Pareto front of their single models.

As a command it writes CSV to the standard output and nothing else there::

    python -m cascade_exp.models.front tables=FOLDER benchmark=FILE.csv cost=macs|time

``tables`` is a folder of timm's result tables (github.com/huggingface/pytorch-image-models, folder
``results``), ``benchmark`` the one of them with MACs and speed on the machine of interest. Lebovitz
et al. (section 4.1) pick their ImageNet pool in this way, out of the tables of their day.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf

from cascade_exp.errors import CascadeError, choice
from cascade_exp.models.members import read_keys
from cascade_exp.tables import columns_of, csv_table, read_table

RESULTS = "results-imagenet.csv"


@dataclass(frozen=True)
class PublishedModel:
    """A pretrained model of the tables at one image size.

    Attributes:
        name: timm's name with the tag of its weights, ``resnet50.a1_in1k``.
        img_size: height and width of the image in pixels.
        top1: accuracy in percent on ImageNet's validation images.
        gmacs: 10⁹ multiply-accumulates per image, as the benchmark rounds them.
        samples_per_sec: images per second in the benchmark.
    """

    name: str
    img_size: int
    top1: float
    gmacs: float
    samples_per_sec: float


COSTS: dict[str, Callable[[PublishedModel], float]] = {
    "macs": lambda model: model.gmacs,
    "time": lambda model: 1 / model.samples_per_sec,
}
"""What a model costs, by the name of the cost."""


@dataclass
class Options:
    """The ``key=value`` arguments of the command.

    Attributes:
        tables: the folder of result tables.
        benchmark: the table of MACs and images per second: a file of ``tables``, or any path;
            null: the only ``benchmark-*.csv`` of ``tables``.
        cost: ``macs`` or ``time``.
        results: the table of accuracies, a file of ``tables``.
        most: the most models to print, :func:`thinned`; null: the whole front.
    """

    tables: str = MISSING
    benchmark: str | None = None
    cost: str = "macs"
    results: str = RESULTS
    most: int | None = None


def published_models(
    tables: Path, benchmark: str | None = None, results: str = RESULTS
) -> list[PublishedModel]:
    """Accuracy and cost of every model that both tables have at one image size.

    Benchmarks know architectures, accuracies belong to weights: ``resnet50.a1_in1k`` of the results
    at 224 pixels is joined with ``resnet50`` of the benchmark at 224 pixels. Models that only one
    table has at a size are left out.

    Raises:
        CascadeError: if a table is not there or lacks a column, a cell is no number above 0, or no
            model is in both tables.
    """
    if not tables.is_dir():
        raise CascadeError(f"{tables}: no such folder; expected one of timm's result tables")
    costs_from = _benchmark(tables, benchmark)
    needed = ("model", "infer_img_size", "infer_gmacs", "infer_samples_per_sec")
    costs = {}
    for where, row in read_table(costs_from, needed):
        if row["infer_gmacs"] == "":  # the benchmark could not count this model
            continue
        of_size = (row["model"], round(_number(where, row, "infer_img_size")))
        costs[of_size] = tuple(_number(where, row, column) for column in needed[2:])
    found = []
    scores_from = tables / results
    for where, row in read_table(scores_from, ("model", "img_size", "top1")):
        size = round(_number(where, row, "img_size"))
        architecture = row["model"].partition(".")[0]
        if (architecture, size) in costs:
            top1 = _number(where, row, "top1")
            found.append(PublishedModel(row["model"], size, top1, *costs[architecture, size]))
    if not found:
        raise CascadeError(
            f"{costs_from}: no architecture and image size in common with {scores_from}"
        )
    return found


def single_model_front(models: Iterable[PublishedModel], cost: str) -> list[PublishedModel]:
    """The models that no other dominates, by growing cost.

    A model is dominated if another costs no more and scores no less, and differs in one of the two.
    Of models of one cost and score all stay.

    Raises:
        CascadeError: if ``cost`` is neither ``macs`` nor ``time``.

    >>> a, b, c = (PublishedModel(n, 224, t, g, 1.0) for n, t, g in
    ...            [("a", 70.0, 1.0), ("b", 69.0, 2.0), ("c", 80.0, 4.0)])
    >>> [model.name for model in single_model_front([c, b, a], "macs")]
    ['a', 'c']
    """
    of = COSTS[choice(cost, COSTS, "cost")]
    front: list[PublishedModel] = []
    for model in sorted(models, key=lambda model: (of(model), -model.top1, model.name)):
        best = front[-1] if front else None
        level = best is not None and (of(model), model.top1) == (of(best), best.top1)
        if best is None or model.top1 > best.top1 or level:
            front.append(model)
    return front


def thinned(front: Sequence[PublishedModel], cost: str, most: int) -> list[PublishedModel]:
    """At most ``most`` models of ``front``: its two ends, and those nearest to even steps between.

    The steps are even in the logarithm of the cost, as pools span orders of magnitude.

    Raises:
        CascadeError: if ``most`` is below 2.
    """
    if most < 2:
        raise CascadeError(f"most={most}: expected at least 2, for a cascade needs two models")
    if len(front) <= most:
        return list(front)
    of = COSTS[cost]
    logs = [math.log(of(model)) for model in front]
    kept = {0, len(front) - 1}
    for step in range(1, most - 1):
        wanted = logs[0] + (logs[-1] - logs[0]) * step / (most - 1)
        free = (place for place in range(len(front)) if place not in kept)
        kept.add(min(free, key=lambda place: abs(logs[place] - wanted)))
    return [front[place] for place in sorted(kept)]


def members_of(front: Sequence[PublishedModel]) -> dict[str, dict[str, Any]]:
    """The members of a pool by name: each model with timm's weights, at its size.

    A model that the front holds at several sizes has the size in its name.
    """
    names = [model.name for model in front]
    members = {}
    for model in front:
        several = names.count(model.name) > 1
        name = f"{model.name}-{model.img_size}px" if several else model.name
        members[name] = {
            "family": "timm",
            "architecture": model.name,
            "pretrained": True,
            "image_size": model.img_size,
        }
    return members


def _benchmark(tables: Path, benchmark: str | None) -> Path:
    there = sorted(tables.glob("benchmark-*.csv"))
    if benchmark is None:
        if len(there) == 1:
            return there[0]
        names = ", ".join(path.name for path in there) or "none"
        raise CascadeError(f"benchmark: a value is needed; {tables} has {names}")
    inside = tables / benchmark
    return inside if inside.is_file() else Path(benchmark)


def _number(where: str, row: dict[str, str], column: str) -> float:
    try:
        value = float(row[column].replace(",", ""))
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise CascadeError(f"{where}: {column} {row[column]!r}: expected a number above 0")
    return value


def main(arguments: Sequence[str]) -> int:
    """Print the front as CSV; returns the exit status."""
    if "--help" in arguments or not arguments:
        print(__doc__, file=sys.stderr)
        return 0 if arguments else 1
    try:
        options = read_keys("", OmegaConf.from_cli(list(arguments)), Options)
        models = published_models(Path(options.tables), options.benchmark, options.results)
        front = single_model_front(models, options.cost)
        if options.most is not None:
            front = thinned(front, options.cost, options.most)
    except CascadeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(front)} of {len(models):,} models", file=sys.stderr)
    print(csv_table(columns_of(PublishedModel), map(astuple, front)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
