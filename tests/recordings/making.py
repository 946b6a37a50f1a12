"""Small recordings folders, made by a seeded simulation in which costlier models are better."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray


def make_recordings(
    folder: Path,
    costs: Mapping[str, float],
    size: int = 20,
    classes: int = 3,
    dtype: DTypeLike = np.float32,
    seed: int = 0,
) -> dict[str, dict[str, NDArray]]:
    """Write recordings of the models in ``costs`` and return their logits by split and model."""
    rng = np.random.default_rng(seed)
    made: dict[str, dict[str, NDArray]] = {}
    for split in ("selection", "report"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        labels = rng.integers(0, classes, size)
        hardness = rng.exponential(1.0, size)[:, None]
        np.save(folder / split / "labels.npy", labels)
        made[split] = {}
        for rank, name in enumerate(costs, start=1):
            logits = rng.normal(0, 1, (size, classes)) * hardness
            logits[np.arange(size), labels] += rank
            made[split][name] = logits.astype(dtype)
            np.save(folder / split / f"{name}.npy", made[split][name])
    rows = "".join(f"{name},{cost!r}\n" for name, cost in costs.items())
    (folder / "models.csv").write_text(f"name,macs\n{rows}")
    return made


def add_exits(
    folder: Path,
    name: str,
    exits: Mapping[int, Mapping[str, float]],
    classes: int = 3,
    seed: int = 0,
) -> dict[str, NDArray]:
    """Add a network with exits (number -> cumulative costs); its logits by split."""
    rng = np.random.default_rng(seed)
    made = {}
    for split in ("selection", "report"):
        labels = np.load(folder / split / "labels.npy")
        logits = rng.normal(0, 1, (len(labels), len(exits), classes))
        for rank in range(len(exits)):
            logits[np.arange(len(labels)), rank, labels] += 0.5 * rank
        made[split] = logits.astype(np.float32)
        np.save(folder / split / f"{name}.npy", made[split])
    columns = list(next(iter(exits.values())))
    last = list(exits.values())[-1]
    models, table = folder / "models.csv", folder / "exits.csv"
    models.write_text(models.read_text() + f"{name},{last['macs']!r}\n")
    if not table.exists():
        table.write_text(",".join(["name", "exit", *columns]) + "\n")
    with table.open("a") as file:
        for exit, costs in exits.items():
            file.write(",".join([name, str(exit), *map(repr, costs.values())]) + "\n")
    return made
