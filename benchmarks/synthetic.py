"""Synthetic logits on disk for the benchmarks: seeded, drawn in blocks, of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

BLOCK = 2000


def costs(models: int) -> list[float]:
    """Costs over four orders of magnitude, growing."""
    return [float(round(10 ** (7.9 + 4.0 * place))) for place in np.linspace(0, 1, models)]


def labels(shape: tuple[int, int], split: int = 0) -> np.ndarray:
    """The labels int64 [N] that the logits of a split were drawn with."""
    examples, classes = shape
    drawn = [
        np.random.default_rng([split, start]).integers(classes, size=min(BLOCK, examples - start))
        for start in range(0, examples, BLOCK)
    ]
    return np.concatenate(drawn)


def write_logits(
    path: Path,
    model: int,
    place: float,
    shape: tuple[int, int],
    split: int = 0,
    margin: float = 3.0,
) -> None:
    """One model's float32 logits; the better it is, the further the label stands out.

    Models see the same examples with the same difficulty and a part of the same noise.

    Args:
        place: from 0, the worst model, to 1, the best.
        shape: examples and classes. split: another one holds other examples.
        margin: by how much the label stands out on average for the worst model.
    """
    logits = open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    examples, classes = shape
    for start in range(0, examples, BLOCK):
        shared = np.random.default_rng([split, start])
        own = np.random.default_rng([1 + split, model, start])
        rows = min(BLOCK, examples - start)
        of_rows = shared.integers(classes, size=rows)
        ease = shared.standard_normal(rows)
        noise = shared.standard_normal((rows, classes), dtype=np.float32)
        block = 0.6 * noise + 0.8 * own.standard_normal((rows, classes), dtype=np.float32)
        block[np.arange(rows), of_rows] += margin + 1.5 * place + 1.2 * ease
        logits[start : start + rows] = 3 * block
    logits.flush()


def write_recordings(
    folder: Path, models: int, shape: tuple[int, int], margin: float = 1.5
) -> Path:
    """A recordings folder of two splits of that shape; one that is there already is kept."""
    table = folder / "models.csv"
    if table.is_file():
        return folder
    names = [f"m{m:03d}" for m in range(models)]
    for number, split in enumerate(("selection", "report")):
        (folder / split).mkdir(parents=True, exist_ok=True)
        np.save(folder / split / "labels.npy", labels(shape, number * 100))
        for m, place in enumerate(np.linspace(0, 1, models)):
            path = folder / split / f"{names[m]}.npy"
            write_logits(path, m, place, shape, number * 100, margin)
    rows = [f"{name},{cost:.0f}" for name, cost in zip(names, costs(models), strict=True)]
    table.write_text("\n".join(["name,macs", *rows]) + "\n")
    return folder
