"""Questions in SWAG's column layout: the right ending names what the context is about."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

THINGS = ("dog", "boat", "piano", "ladder", "oven", "bicycle", "camera", "river")
COLUMNS = ("", "video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source")
ENDINGS = ("ending0", "ending1", "ending2", "ending3")


def words() -> list[str]:
    """Every word that the questions are made of."""
    return [*THINGS, "someone", "looks", "at", "the", ".", "then", "they", "touch", "move"]


def write_swag(folder: Path, train: int = 400, dev: int = 120, seed: int = 0) -> Path:
    """``train.csv`` and ``val.csv`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name, size in (("train.csv", train), ("val.csv", dev)):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*COLUMNS, *ENDINGS, "label"])
            for row in range(size):
                things = rng.choice(THINGS, 4, replace=False)
                label = int(rng.integers(4))
                context = f"someone looks at the {things[label]} ."
                verbs = rng.choice(["touch", "move"], 4)
                endings = [f"{v} the {t} ." for v, t in zip(verbs, things, strict=True)]
                start = "then they"
                phrase = f"{context} {start}"
                writer.writerow(
                    [row, f"clip{row}", row, phrase, context, start, "gold", *endings, label]
                )
    return folder
