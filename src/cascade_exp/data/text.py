"""Batches of texts: tokenised once, batched by length, padded to the longest of the batch.

A multiple-choice question is as many pairs of texts as it has endings, side by side in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerFast

from cascade_exp.data.batching import FixedBatches, ShuffledBatches, batch_loader
from cascade_exp.data.examples import Examples, Ints, as_texts
from cascade_exp.data.splitting import Splits
from cascade_exp.data.tokenizing import Tokens, content_key, load_tokenizer, padded, tokenise


class TextDataModule(pl.LightningDataModule):
    """Batches of texts for one tokenizer: ``{"inputs", "label", "id"}``.

    ``inputs`` is a dict of int64 [B, T] tensors: ``input_ids``, ``attention_mask`` and, where the
    tokenizer has them, ``token_type_ids``; ``label`` and ``id`` are int64 [B]. Of questions with C
    endings they are [B, C, T].

    Args:
        splits: the four splits; inputs are texts, pairs of texts or questions.
        tokenizer: a hub name, a directory, or the tokenizer itself.
        max_length: tokens that a text is cut to, special tokens included.
        batch_size: the most examples in a batch.
        bucketed: batches of near equal lengths, padded to their longest; else any examples
            together, padded to ``max_length``.
        cache_dir: where tokenised splits are kept (``tokens/``); None keeps them in memory only.
        workers: loader processes; 0 loads in this one.
        seed: of the order of training batches.

    Raises:
        CascadeError: if the tokenizer cannot be loaded.
    """

    def __init__(
        self,
        splits: Splits,
        *,
        tokenizer: str | Path | PreTrainedTokenizerFast,
        max_length: int,
        batch_size: int,
        bucketed: bool,
        cache_dir: Path | None,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.splits = splits
        self.tokenizer = (
            load_tokenizer(tokenizer) if isinstance(tokenizer, str | Path) else tokenizer
        )
        self.max_length = max_length
        self.batch_size = batch_size
        self.bucketed = bucketed
        self.cache_dir = cache_dir
        self.workers = workers
        self.seed = seed
        self._tokens: dict[str, Tokens] = {}

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Shuffled batches of the train split."""
        lengths = self._lengths("train") if self.bucketed else None
        sampler = ShuffledBatches(len(self.splits.train), self.batch_size, self.seed, lengths)
        return batch_loader(self._batches("train"), sampler, self.workers)

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The validation split, in a fixed order."""
        return self.loader("validation")

    def loader(self, split: str) -> DataLoader[dict[str, Any]]:
        """Any split in a fixed order (bucketed: of length): for recording, by id.

        Raises:
            CascadeError: if there is no such split.
        """
        lengths = self._lengths(split) if self.bucketed else None
        sampler = FixedBatches(len(self.splits.named(split)), self.batch_size, lengths)
        return batch_loader(self._batches(split), sampler, self.workers)

    def tokens(self, split: str) -> Tokens:
        """The split tokenised; made, or read from the cache, when first asked for."""
        if split not in self._tokens:
            self._tokens[split] = tokenise(
                as_texts(self.splits.named(split))[0],
                self.tokenizer,
                self.max_length,
                self.cache_dir,
            )
        return self._tokens[split]

    def cut(self, splits: Sequence[str]) -> dict[str, int]:
        """How many texts of each split are longer than ``max_length`` tokens and lose their end.

        Of a multiple-choice question, each of its endings counts.
        """
        return {split: self.tokens(split).cut for split in splits}

    def content_key(self, split: str) -> str:
        """A digest of all that the model sees of a split: the examples and how they are prepared.

        Raises:
            CascadeError: if there is no such split.
        """
        examples = as_texts(self.splits.named(split))[0]
        return content_key(examples, self.tokenizer, self.max_length)

    def _lengths(self, split: str) -> Ints:
        """int64 [N], tokens of each example; of a question, of its longest ending."""
        examples, tokens = self.splits.named(split), self.tokens(split)
        return np.asarray(tokens.lengths.reshape(len(examples), as_texts(examples)[1]).max(axis=1))

    def _batches(self, split: str) -> _TextBatches:
        longest = None if self.bucketed else self.max_length
        return _TextBatches(self.splits.named(split), self.tokens(split), self.tokenizer, longest)


class _TextBatches(Dataset[dict[str, Any]]):
    """Item ``indices`` (positions in the split) is the whole batch of them."""

    def __init__(
        self,
        examples: Examples,
        tokens: Tokens,
        tokenizer: PreTrainedTokenizerFast,
        length: int | None,
    ) -> None:
        self.examples = examples
        self.tokens = tokens
        self.tokenizer = tokenizer
        self.length = length
        self.endings = as_texts(examples)[1]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, indices: Ints) -> dict[str, Tensor | dict[str, Tensor]]:
        several = self.endings
        places = [int(i) * several + c for i in indices for c in range(several)]
        inputs = padded(self.tokens, places, self.tokenizer, self.length)
        if several > 1:
            inputs = {k: v.view(len(indices), several, -1) for k, v in inputs.items()}
        return {
            "inputs": inputs,
            "label": torch.from_numpy(self.examples.labels[indices]),
            "id": torch.from_numpy(self.examples.ids[indices]),
        }
