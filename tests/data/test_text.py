"""Batches of texts: padded, bucketed, in full, and under Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from transformers import BertConfig, BertForSequenceClassification

from cascade_exp.data.examples import Examples, Text
from cascade_exp.data.splitting import SPLITS, Splits
from cascade_exp.data.text import TextDataModule
from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.errors import CascadeError

TOKENIZER = build_tokenizer(["a", "b", "c", "d"], max_length=32)


def texts_of(n: int = 40, paired: bool = False) -> list[Text]:
    rng = np.random.default_rng(0)

    def text() -> str:
        return " ".join(rng.choice(list("abcd"), rng.integers(1, 12)))

    return [(text(), text() if paired else None) for _ in range(n)]


def splits_of(texts: list[Text]) -> Splits:
    """Four splits that share one set of texts, with ids 10 apart."""
    n = len(texts)
    parts = {
        name: Examples(ids=np.arange(n) * 10 + k, labels=np.arange(n) % 2, inputs=texts)
        for k, name in enumerate(SPLITS)
    }
    return Splits(**parts)


def data(texts: list[Text], **changes: Any) -> TextDataModule:
    settings = {
        "tokenizer": TOKENIZER,
        "max_length": 32,
        "batch_size": 8,
        "bucketed": True,
        "cache_dir": None,
        "workers": 0,
        "seed": 0,
    }
    return TextDataModule(splits_of(texts), **(settings | changes))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("bucketed", [False, True])
def test_every_row_is_what_the_tokenizer_gives_for_its_text(paired, bucketed, workers):
    texts = texts_of(paired=paired)
    seen = []
    for batch in data(texts, bucketed=bucketed, workers=workers).loader("report"):
        inputs = batch["inputs"]
        assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
        assert all(tensor.dtype == torch.int64 for tensor in inputs.values())
        assert batch["label"].dtype == batch["id"].dtype == torch.int64
        lengths = inputs["attention_mask"].sum(1)
        assert inputs["input_ids"].shape[1] == (lengths.max() if bucketed else 32)
        for row, (i, label) in enumerate(zip(batch["id"], batch["label"], strict=True)):
            position = int(i) // 10
            seen.append(position)
            expected = TOKENIZER(*(text for text in texts[position] if text is not None))
            n = len(expected["input_ids"])
            assert lengths[row] == n and int(label) == position % 2
            for key in inputs:
                assert inputs[key][row, :n].tolist() == expected[key]
                assert not inputs[key][row, n:].any()
    assert sorted(seen) == list(range(len(texts)))
    assert bucketed or seen == sorted(seen)


def test_training_batches_hold_every_example_once_an_epoch_in_another_order():
    loader = data(texts_of()).train_dataloader()
    epochs = [[i for batch in loader for i in batch["id"].tolist()] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == [10 * i for i in range(40)]


def test_buckets_pad_less():
    texts = texts_of(n=400)

    def padded(bucketed: bool) -> int:
        loader = data(texts, bucketed=bucketed, max_length=14).train_dataloader()
        return sum(batch["inputs"]["input_ids"].numel() for batch in loader)

    real = int(data(texts).tokens("train").lengths.sum())
    assert padded(True) < 1.1 * real < 1.4 * real < padded(False)


def test_tokens_are_cached_per_split(tmp_path: Path):
    module = data(texts_of(), cache_dir=tmp_path)
    for split in SPLITS:
        next(iter(module.loader(split)))
        next(iter(module.loader(split)))
    assert len(list((tmp_path / "tokens").glob("*.npz"))) == len(SPLITS)


def test_a_tokenizer_by_directory(tmp_path: Path):
    TOKENIZER.save_pretrained(tmp_path)
    a = data(texts_of(), tokenizer=tmp_path).tokens("train")
    b = data(texts_of(), tokenizer=str(tmp_path)).tokens("train")
    assert a.input_ids.tolist() == b.input_ids.tolist()


def test_an_unknown_split_is_refused():
    with pytest.raises(CascadeError, match="split=test"):
        data(texts_of()).loader("test")


class Classifier(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[list[int]] = []
        self.model = BertForSequenceClassification(
            BertConfig(
                vocab_size=len(TOKENIZER),
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
            )
        )

    def on_train_epoch_start(self) -> None:
        self.epochs.append([])

    def training_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        self.epochs[-1] += batch["id"].tolist()
        return self.model(**batch["inputs"], labels=batch["label"]).loss

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        self.model(**batch["inputs"])

    def predict_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        return batch["id"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def test_lightning_trains_a_bert_on_it_and_predicts(tmp_path: Path):
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    model, module = Classifier(), data(texts_of(paired=True))
    trainer.fit(model, datamodule=module)
    assert model.epochs[0] != model.epochs[1]
    assert all(sorted(epoch) == [10 * i for i in range(40)] for epoch in model.epochs)
    predicted = torch.cat(trainer.predict(model, module.loader("selection")))
    assert sorted(predicted.tolist()) == [10 * i + 2 for i in range(40)]
