"""SWAG: which of four endings continues a sentence (Zellers et al. 2018), and data of its form.

From the original CSV files or from the Hugging Face hub. The original test file carries no labels
and is never read: ``val.csv`` is the source's test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cascade_exp.data.examples import Choice, Ints, Source, source_of
from cascade_exp.data.hub_sets import load_from_hub
from cascade_exp.errors import CascadeError, did_you_mean

ENDINGS = ("ending0", "ending1", "ending2", "ending3")
COLUMNS = ("sent1", "sent2", *ENDINGS, "label")
TRAIN, DEV = "train.csv", "val.csv"


def load(root: str | None = None) -> Source:
    """The questions of SWAG; a class is the place of the right ending.

    The context is ``sent1`` (the caption before), and each ending is ``sent2`` (how the sentence
    starts) followed by one of the four, as BERT is fine-tuned on it.

    Args:
        root: a folder with ``train.csv`` and ``val.csv`` in the original column layout; None loads
            ``allenai/swag`` from the hub through ``datasets``.

    Raises:
        CascadeError: if a file or column is missing, a file is empty, or a label is not 0..3 (file
            and row); or the hub cannot be used.
    """
    if root is None:
        instead = f"give data.root=FOLDER with {TRAIN} and {DEV} (the original SWAG files)"
        loaded = load_from_hub("allenai/swag", "regular", instead)
        train, dev = (_from_hub(loaded[split]) for split in ("train", "validation"))
    else:
        folder = Path(root)
        if not folder.is_dir():
            raise CascadeError(f"data.root={root}: no such folder with {TRAIN} and {DEV}")
        train, dev = _read(folder / TRAIN), _read(folder / DEV)
    return source_of("swag", "choice", ENDINGS, train, dev)


def _read(path: Path) -> tuple[Ints, list[Choice]]:
    """(labels, questions) of one file; rows are counted from 1 below the header."""
    import pandas as pd

    if not path.is_file():
        raise CascadeError(f"{path}: no such file; expected {TRAIN} and {DEV} with labels")
    try:
        frame = pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False)
    except pd.errors.EmptyDataError:
        raise CascadeError(f"{path}: the file is empty") from None
    except UnicodeDecodeError as error:
        raise CascadeError(f"{path}: not UTF-8 text: {error.reason}") from error
    except pd.errors.ParserError as error:
        raise CascadeError(f"{path}: {str(error).strip()}") from error
    for column in COLUMNS:
        if column not in frame.columns:
            raise CascadeError(
                f"{path}: no column '{column}'{did_you_mean(column, list(frame.columns))}; "
                f"it has {', '.join(frame.columns)}"
            )
    if len(frame) == 0:
        raise CascadeError(f"{path}: no rows below the header")
    words = [str(label) for label in range(len(ENDINGS))]
    wrong = np.flatnonzero(~frame["label"].isin(words))
    if wrong.size:
        row = int(wrong[0])
        raise CascadeError(
            f"{path} row {row + 1}: label '{frame['label'].iloc[row]}'; "
            f"expected one of {', '.join(words)}"
        )
    columns = {column: frame[column].tolist() for column in COLUMNS}
    return np.asarray(frame["label"].astype(np.int64)), _questions(columns)


def _from_hub(split: Any) -> tuple[Ints, list[Choice]]:
    columns = {column: list(split[column]) for column in COLUMNS}
    return np.asarray(columns["label"], dtype=np.int64), _questions(columns)


def _questions(columns: dict[str, list[str]]) -> list[Choice]:
    texts = (columns[column] for column in ("sent1", "sent2", *ENDINGS))
    return [
        Choice(context, tuple(f"{start} {ending}".strip() for ending in endings))
        for context, start, *endings in zip(*texts, strict=True)
    ]
