"""Tokenizers, and tokenised splits kept on disk.

A tokenizer comes from the hub, from a directory, or is built from a closed vocabulary; tokenising
is done once per split, tokenizer and length, and read back after that.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from cascade_exp.atomic import replacing
from cascade_exp.data.examples import Examples, Ints, Text, fingerprint
from cascade_exp.errors import CascadeError
from cascade_exp.hub import hub_answers

log = logging.getLogger(__name__)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CACHE_VERSION = 1
LAYOUT = 2  # of the files below tokens/
CHUNK = 8192
MOST_WORDS = 30_000


@dataclass(frozen=True, eq=False)
class Tokens:
    """N tokenised examples end to end: example i is ``input_ids[offsets[i]:offsets[i + 1]]``.

    Attributes:
        input_ids: int32 [total tokens], special tokens included.
        token_type_ids: uint8 [total tokens], None where the tokenizer has none.
        offsets: int64 [N + 1].
        cut: how many of the N examples were longer than the limit and lost their end.
    """

    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.uint8] | None
    offsets: Ints
    cut: int

    @property
    def lengths(self) -> Ints:
        """int64 [N], tokens of each example."""
        return np.diff(self.offsets)


def build_tokenizer(vocabulary: Sequence[str], max_length: int = 512) -> PreTrainedTokenizerFast:
    """A lower-casing BERT-style tokenizer over whole words, without any file or network.

    Splits as BERT does (white space and punctuation); a word outside the vocabulary is ``[UNK]``;
    one text becomes ``[CLS] a [SEP]``, two ``[CLS] a [SEP] b [SEP]`` with token types 0 and 1. Ids
    are those of the five special tokens, then of the vocabulary in its order.

    Raises:
        CascadeError: if a word is there twice, or would be split or changed on the way in.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = [*SPECIAL_TOKENS, *vocabulary]
    ids = {word: i for i, word in enumerate(words)}
    if len(ids) != len(words):
        twice = next(word for i, word in enumerate(words) if ids[word] != i)
        raise CascadeError(f"vocabulary: '{twice}' is there twice")
    backend = Tokenizer(models.WordLevel(vocab=ids, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    for word in vocabulary:
        pieces = backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(word))
        if [piece for piece, _ in pieces] != [word]:
            raise CascadeError(f"vocabulary: '{word}' is not one lower-case word or sign")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def frequent_words(examples: Examples, most: int = MOST_WORDS) -> tuple[str, ...]:
    """The ``most`` most frequent words and signs of the texts as :func:`build_tokenizer` cuts them.

    Sorted by falling frequency, words of equal frequency by their characters; special tokens that
    stand in a text are no words.
    """
    from tokenizers import normalizers, pre_tokenizers

    normalizer = normalizers.BertNormalizer(lowercase=True)
    cutter = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    rows: Sequence[Text] = examples.inputs  # type: ignore[assignment]
    for row in rows:
        for text in filter(None, row):
            pieces = cutter.pre_tokenize_str(normalizer.normalize_str(text))
            counts.update(piece for piece, _ in pieces)
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(ordered[:most])


def load_tokenizer(name_or_dir: str | Path) -> PreTrainedTokenizerFast:
    """A fast tokenizer with a padding token, from a directory, the hub's cache or the hub.

    Raises:
        CascadeError: if there is none of this name or in this directory, it cannot be loaded, or
            it has no fast form, no padding token, or no vocabulary (where its files are missing,
            transformers makes up an empty one).
    """
    name = str(name_or_dir)
    form = "expected a directory with tokenizer.json and tokenizer_config.json, or a hub name"
    if Path(name).is_dir():
        tokenizer = _loaded(name, local=True)
        if isinstance(tokenizer, str):
            raise CascadeError(f"tokenizer {name}: cannot be loaded ({tokenizer}); {form}")
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise CascadeError(f"tokenizer {name}: no such directory; {form}")
    else:
        tokenizer = _loaded(name, local=True)
        if isinstance(tokenizer, str):
            if not hub_answers():
                raise CascadeError(
                    f"tokenizer {name}: not a directory here, not in the hub's cache, and the hub "
                    f"does not answer; {form} that is cached"
                )
            tokenizer = _loaded(name, local=False)
        if isinstance(tokenizer, str):
            raise CascadeError(f"tokenizer {name}: not on the hub ({tokenizer}); {form}")
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise CascadeError(f"tokenizer {name}: has no fast form (tokenizer.json)")
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise CascadeError(f"tokenizer {name}: has no vocabulary; {form}")
    if tokenizer.pad_token is None:
        raise CascadeError(f"tokenizer {name}: has no padding token; batches need one")
    return tokenizer


def _loaded(name: str, *, local: bool) -> object:
    """The tokenizer, or the first line of why not."""
    try:
        return AutoTokenizer.from_pretrained(name, local_files_only=local)
    except Exception as error:  # tokenizers raises bare Exception for a damaged tokenizer.json
        return (str(error) or type(error).__name__).splitlines()[0]


def tokenise(
    examples: Examples,
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    cache_dir: Path | None = None,
) -> Tokens:
    """Tokenise texts or pairs, cut to ``max_length`` tokens, the longer text of a pair first.

    With ``cache_dir`` the result is kept as ``tokens/<key>-<layout>.npz`` in it, the key made of
    the examples, the tokenizer and the length; a damaged file is made anew.

    Raises:
        CascadeError: if ``max_length`` leaves no room between the special tokens, or is more than
            the tokenizer's model takes.
    """
    least = tokenizer.num_special_tokens_to_add(pair=True) + 2
    if not least <= max_length <= tokenizer.model_max_length:
        raise CascadeError(
            f"data.max_length={max_length}: expected {least} to {tokenizer.model_max_length} tokens"
        )
    if cache_dir is None:
        return _encode(examples, tokenizer, max_length)
    path = cache_dir / "tokens" / f"{content_key(examples, tokenizer, max_length)}-{LAYOUT}.npz"
    if path.exists():
        try:
            return _read(path, len(examples))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            log.warning("%s: damaged, made anew (%s)", path, error)
    tokens = _encode(examples, tokenizer, max_length)
    _write(path, tokens)
    return tokens


def _encode(examples: Examples, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Tokens:
    rows: Sequence[Text] = examples.inputs  # type: ignore[assignment]
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.uint8]] = []
    lengths: list[int] = []
    cut = 0
    typed = "token_type_ids" in tokenizer.model_input_names
    for first in range(0, len(rows), CHUNK):
        chunk = rows[first : first + CHUNK]
        paired = chunk[0][1] is not None
        if any((pair is not None) != paired for _, pair in chunk):
            raise CascadeError("texts: some examples have a second text and some have none")
        encoded = tokenizer(
            [text for text, _ in chunk],
            [pair for _, pair in chunk] if paired else None,
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=typed,
        )
        cut += sum(bool(encoding.overflowing) for encoding in encoded.encodings or ())
        lengths += [len(row) for row in encoded["input_ids"]]
        ids += [np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]]
        if typed:
            types += [np.asarray(row, dtype=np.uint8) for row in encoded["token_type_ids"]]
    return Tokens(
        input_ids=np.concatenate([np.empty(0, np.int32), *ids]),
        token_type_ids=np.concatenate([np.empty(0, np.uint8), *types]) if typed else None,
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        cut=cut,
    )


def padded(
    tokens: Tokens,
    places: Sequence[int],
    tokenizer: PreTrainedTokenizerFast,
    length: int | None = None,
) -> dict[str, Tensor]:
    """The examples at ``places`` as a batch: int64 [B, T] tensors, as the tokenizer pads them.

    Args:
        length: T; None: the longest of the batch.
    """
    starts = tokens.offsets[list(places)]
    sizes = tokens.offsets[[place + 1 for place in places]] - starts
    width = int(sizes.max(initial=0)) if length is None else length
    at = np.arange(width)
    if tokenizer.padding_side == "left":
        at = at - (width - sizes)[:, None]
    mask = np.broadcast_to((at >= 0) & (at < sizes[:, None]), (len(sizes), width))
    where = (starts[:, None] + at)[mask]

    def filled(values: NDArray[Any], padding: int) -> Tensor:
        batch = np.full(mask.shape, padding, dtype=np.int64)
        batch[mask] = values[where]
        return torch.from_numpy(batch)

    found = {"input_ids": filled(tokens.input_ids, int(tokenizer.pad_token_id))}
    if tokens.token_type_ids is not None:
        found["token_type_ids"] = filled(tokens.token_type_ids, tokenizer.pad_token_type_id)
    return found | {"attention_mask": torch.from_numpy(mask.astype(np.int64))}


def tokenise_alike(one: str | Path, other: str | Path) -> bool:
    """Whether two tokenizers, hub names or directories, make the same tokens of any text.

    Raises:
        CascadeError: if one of them cannot be loaded.
    """
    if one == other:
        return True
    return _rules(load_tokenizer(one)) == _rules(load_tokenizer(other))


def _rules(tokenizer: PreTrainedTokenizerFast) -> list[Any]:
    """All that a tokenizer makes tokens by, wherever it was loaded from."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    content["truncation"] = content["padding"] = None  # what the last call happened to leave set
    return [content, sorted(tokenizer.model_input_names), tokenizer.truncation_side]


def content_key(examples: Examples, tokenizer: PreTrainedTokenizerFast, max_length: int) -> str:
    """Hex sha256 of all that the tokens depend on: the examples, the tokenizer, the length."""
    parts = [CACHE_VERSION, fingerprint(examples), *_rules(tokenizer), max_length]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read(path: Path, size: int) -> Tokens:
    """The tokens in ``path``; ValueError unless they are those of ``size`` examples."""
    with np.load(path, allow_pickle=False) as arrays:
        input_ids, offsets, cut = arrays["input_ids"], arrays["offsets"], int(arrays["cut"])
        types = arrays.get("token_type_ids")
    if len(offsets) != size + 1 or offsets[-1] != len(input_ids):
        raise ValueError("arrays that do not fit together")
    if types is not None and len(types) != len(input_ids):
        raise ValueError("arrays that do not fit together")
    return Tokens(input_ids=input_ids, token_type_ids=types, offsets=offsets, cut=cut)


def _write(path: Path, tokens: Tokens) -> None:
    """Write ``path`` whole or not at all."""
    arrays: dict[str, Any] = {"input_ids": tokens.input_ids, "offsets": tokens.offsets}
    arrays["cut"] = np.int64(tokens.cut)
    if tokens.token_type_ids is not None:
        arrays["token_type_ids"] = tokens.token_type_ids
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
