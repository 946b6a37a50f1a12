"""What tests of jobs share: a small job over generated texts in SST-2's layout, and one thread.

Imports are lazy: this file is a plug-in of every pytest run, also of those that need no torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
def small_glue(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("glue") / "SST-2"
    folder.mkdir()
    for name, size, seed in (("train", 400, 0), ("dev", 100, 1)):
        rows = [f"{text}\t{label}" for text, label in sentences(size, seed)]
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows, ""]))
    test = [f"{i}\t{text}" for i, (text, _) in enumerate(sentences(60, 2))]
    (folder / "test.tsv").write_text("\n".join(["index\tsentence", *test, ""]))
    return folder.parent


@pytest.fixture(scope="session")
def small_glue_job(tmp_path_factory, small_glue) -> Path:
    from cascade_exp.data.tokenizing import build_tokenizer
    from tests.running import run

    folder = tmp_path_factory.mktemp("outputs") / "job"
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
    )
    return folder


@pytest.fixture(scope="module")
def one_thread():
    """Sums over another number of threads round differently, and these files are compared whole."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
