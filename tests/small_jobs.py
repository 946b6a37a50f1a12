"""What tests of jobs share: a small job over generated texts in SST-2's layout, and one thread.

The workers of one pytest run share what is trained: the first that asks makes it.

Imports are lazy: this file is a plug-in of every pytest run, also of those that need no torch.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

GOOD, BAD = ("fine", "lovely", "great"), ("dull", "poor", "awful")
OTHER = ("the", "film", "is", "a", "story", "it")


def sentences(size: int, seed: int) -> list[tuple[str, int]]:
    rng = np.random.default_rng(seed)
    rows = []
    for label in rng.integers(2, size=size):
        kind = GOOD if label else BAD
        words = [*rng.choice(OTHER, rng.integers(2, 6)), rng.choice(kind)]
        rows.append((" ".join(rng.permutation(words)), int(label)))
    return rows


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """``once(name, make)``: the folder ``name``, filled by ``make`` in the first worker to ask.

    As pytest-xdist's documentation does it: a lock beside the folders of the workers. A folder
    that ``make`` failed to fill has no mark, and the next to ask starts anew.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, whole = shared / name, shared / f"{name}.made"
        with FileLock(shared / f"{name}.lock"):
            if not whole.is_file():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def small_glue(once) -> Path:
    return once("small_glue", write_glue)


def write_glue(glue: Path) -> None:
    folder = glue / "SST-2"
    folder.mkdir()
    for name, size, seed in (("train", 400, 0), ("dev", 100, 1)):
        rows = [f"{text}\t{label}" for text, label in sentences(size, seed)]
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows, ""]))
    test = [f"{i}\t{text}" for i, (text, _) in enumerate(sentences(60, 2))]
    (folder / "test.tsv").write_text("\n".join(["index\tsentence", *test, ""]))


@pytest.fixture(scope="session")
def small_glue_job(once, small_glue) -> Path:
    return once("small_glue_job", lambda folder: train_glue(folder / "job", small_glue)) / "job"


def train_glue(folder: Path, small_glue: Path) -> None:
    from cascade_exp.data.tokenizing import build_tokenizer
    from tests.running import run

    tokenizer = folder.parent / "tokenizer"
    build_tokenizer([*GOOD, *BAD, *OTHER], max_length=32).save_pretrained(tokenizer)
    overrides = [f"models.members.{name}.tokenizer={tokenizer}" for name in ("bert_1l", "bert_2l")]
    run(
        "train",
        folder,
        "data=sst2",
        "models=bert_shaped",
        f"data.root={small_glue}",
        *(f"+{o}" for o in overrides),
        "models.members.bert_1l.max_length=16",
        "models.members.bert_2l.max_length=16",
        "trainer.max_epochs=2",
        "optimizer.learning_rate=1.0e-3",
        "cascade=stages",
        "cascade.stages=[bert_1l,bert_2l]",
        "threshold.rules=[fixed]",
        "threshold.fixed=[0.9]",
        "logger=none",
        "callbacks=none",
        "analyses=false",
        "plots=false",
    )


@pytest.fixture(scope="module")
def one_thread():
    """Sums over another number of threads round differently, and these files are compared whole."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
