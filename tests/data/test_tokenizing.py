"""Tokenizers from a vocabulary, a directory, or nowhere; and the cache of tokenised splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, PreTrainedTokenizerFast

from cascade_exp.data import tokenizing
from cascade_exp.data.examples import Examples, Text
from cascade_exp.data.tokenizing import (
    Tokens,
    build_tokenizer,
    frequent_words,
    load_tokenizer,
    padded,
    tokenise,
)
from cascade_exp.errors import CascadeError
from tests.data.shared import shared

VOCABULARY = ("the", "film", "is", "not", "dull", ",", ".")


def examples(*texts: Text) -> Examples:
    n = len(texts)
    return Examples(ids=np.arange(n), labels=np.zeros(n, np.int64), inputs=list(texts))


def rows(tokens: Tokens) -> list[list[int]]:
    return [part.tolist() for part in np.split(tokens.input_ids, tokens.offsets[1:-1])]


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(VOCABULARY, max_length=16)


def test_a_built_tokenizer_speaks_as_bert_does(tokenizer):
    encoded = tokenizer("The FILM, is dull!", "not dull.")
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    first = ["[CLS]", "the", "film", ",", "is", "dull", "[UNK]", "[SEP]"]
    assert tokens == [*first, "not", "dull", ".", "[SEP]"]
    assert encoded["token_type_ids"] == [0] * len(first) + [1] * 4
    assert tokenizer.pad_token_id == 0 and tokenizer.model_max_length == 16
    assert len(tokenizer) == len(VOCABULARY) + 5


def test_a_built_tokenizer_survives_saving(tokenizer, tmp_path: Path):
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    text = "the film is not dull."
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded.model_input_names == tokenizer.model_input_names
    assert loaded.model_max_length == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["film", "film"], "vocabulary: 'film' is there twice"),
        (["[PAD]"], r"vocabulary: '\[PAD\]' is there twice"),
        (["Film"], "vocabulary: 'Film' is not one"),
        (["don't"], "vocabulary: .*is not one"),
        ([""], "vocabulary: '' is not one"),
    ],
)
def test_a_vocabulary_that_no_text_could_reach_is_refused(words, message):
    with pytest.raises(CascadeError, match=message):
        build_tokenizer(words)


def test_tokens_are_what_the_tokenizer_gives_one_by_one(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizing, "CHUNK", 2)
    texts: list[Text] = [("the film", None), ("", None), ("dull . " * 30, None)]
    tokens = tokenise(examples(*texts), tokenizer, 10)
    expected = [tokenizer(text, truncation=True, max_length=10)["input_ids"] for text, _ in texts]
    assert rows(tokens) == expected
    assert tokens.lengths.tolist() == [4, 2, 10]
    assert tokens.token_type_ids is not None and not tokens.token_type_ids.any()
    pairs: list[Text] = [("the film", "is dull"), ("not " * 20, "dull .")]
    tokens = tokenise(examples(*pairs), tokenizer, 10)
    expected = [tokenizer(*pair, truncation=True, max_length=10)["input_ids"] for pair in pairs]
    assert rows(tokens) == expected
    assert tokens.token_type_ids is not None
    assert tokens.token_type_ids.tolist() == [0, 0, 0, 0, 1, 1, 1] + [0] * 7 + [1] * 3


def test_no_examples_no_tokens(tokenizer):
    tokens = tokenise(examples(), tokenizer, 10)
    assert tokens.offsets.tolist() == [0] and len(tokens.input_ids) == 0


def test_pairs_and_single_texts_do_not_mix(tokenizer):
    with pytest.raises(CascadeError, match="some examples have a second text and some have none"):
        tokenise(examples(("a", "b"), ("a", None)), tokenizer, 10)


@pytest.mark.parametrize("length", [0, 4, 17])
def test_a_length_that_cannot_be_is_named(tokenizer, length):
    with pytest.raises(CascadeError, match=f"data.max_length={length}: expected 5 to 16 tokens"):
        tokenise(examples(("the", None)), tokenizer, length)


def test_the_cache_is_read_back(tokenizer, tmp_path: Path, monkeypatch):
    texts = examples(("the film", "is dull"), ("not", "dull ."))
    made = tokenise(texts, tokenizer, 10, tmp_path)
    assert [path.suffix for path in (tmp_path / "tokens").iterdir()] == [".npz"]
    monkeypatch.setattr(tokenizing, "_encode", lambda *_: pytest.fail("tokenised again"))
    read = tokenise(texts, tokenizer, 10, tmp_path)
    assert rows(read) == rows(made)
    assert read.token_type_ids is not None and made.token_type_ids is not None
    assert read.token_type_ids.tolist() == made.token_type_ids.tolist()
    assert read.input_ids.dtype == np.int32 and read.offsets.dtype == np.int64


def test_texts_that_lose_their_end_are_counted(tokenizer, tmp_path: Path):
    texts = examples(("the film", None), ("the film is not dull", None), ("dull " * 9, None))
    for _ in range(2):  # made, then read from the cache
        assert tokenise(texts, tokenizer, 7, tmp_path).cut == 1
        assert tokenise(texts, tokenizer, 6, tmp_path).cut == 2
    assert tokenise(texts, tokenizer, 16).cut == 0
    pairs = examples(("the film", "is not dull"), ("dull", "dull"))
    assert tokenise(pairs, tokenizer, 7).cut == 1


def test_frequent_words_are_those_that_the_tokenizer_can_be_built_from():
    texts = examples(("The film, the FILM!", "dull [SEP] film"), ("café", None))
    words = frequent_words(texts)
    assert words[:2] == ("film", "the") and set(words) >= {",", "!", "dull", "cafe"}
    assert frequent_words(texts, 2) == ("film", "the")
    assert len(build_tokenizer(words)) == len(words) + 5


def test_another_text_length_or_vocabulary_is_another_entry(tokenizer, tmp_path: Path):
    base = examples(("the film", None), ("dull", None))
    tokenizer("a call leaves its truncation set", truncation=True, max_length=7)
    tokenise(base, tokenizer, 10, tmp_path)
    tokenise(base, build_tokenizer(VOCABULARY, max_length=16), 10, tmp_path)
    assert len(list((tmp_path / "tokens").iterdir())) == 1
    tokenise(examples(("the film", None), ("dull .", None)), tokenizer, 10, tmp_path)
    tokenise(base, tokenizer, 11, tmp_path)
    tokenise(base, build_tokenizer(VOCABULARY[::-1], max_length=16), 10, tmp_path)
    assert len(list((tmp_path / "tokens").iterdir())) == 4


@pytest.mark.parametrize("damage", ["empty", "short", "noise", "other", "pickle", "flipped"])
def test_a_damaged_entry_is_made_anew(tokenizer, tmp_path: Path, damage, caplog):
    texts = examples(("the film", None), ("dull", None))
    made = tokenise(texts, tokenizer, 10, tmp_path)
    (path,) = (tmp_path / "tokens").iterdir()
    whole = path.read_bytes()
    if damage == "other":
        np.savez(path, input_ids=made.input_ids[:-1], offsets=made.offsets)
    elif damage == "pickle":
        np.savez(path, input_ids=np.array([{}], dtype=object), offsets=made.offsets)
    else:
        middle = whole.index(made.input_ids.tobytes())
        flipped = bytearray(whole)
        flipped[middle] ^= 1
        path.write_bytes(
            {
                "empty": b"",
                "short": whole[: len(whole) // 2],
                "noise": b"x" * 500,
                "flipped": bytes(flipped),
            }[damage]
        )
    again = tokenise(texts, tokenizer, 10, tmp_path)
    assert rows(again) == rows(made)
    assert "damaged, made anew (" in caplog.text
    assert [rows(tokenise(texts, tokenizer, 10, tmp_path))] == [rows(made)]
    assert caplog.text.count("made anew (") == 1


def test_a_write_that_fails_leaves_nothing_behind(tokenizer, tmp_path: Path, monkeypatch):
    def fail(file, **_: object) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        tokenise(examples(("the", None)), tokenizer, 10, tmp_path)
    assert list((tmp_path / "tokens").iterdir()) == []


def test_a_directory_without_a_tokenizer_is_named(tmp_path: Path):
    with pytest.raises(
        CascadeError, match="no such directory; expected a directory with tokenizer"
    ):
        load_tokenizer(tmp_path / "nowhere")
    with pytest.raises(CascadeError, match="no such directory"):
        load_tokenizer("some/where/else")
    with pytest.raises(CascadeError, match="cannot be loaded"):
        load_tokenizer(tmp_path)
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(CascadeError, match="has no vocabulary") as raised:
        load_tokenizer(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_damaged_tokenizer_is_named(tokenizer, tmp_path: Path):
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CascadeError, match="cannot be loaded") as raised:
        load_tokenizer(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_tokenizer_without_padding_is_named(tokenizer, tmp_path: Path):
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]")
    bare.save_pretrained(tmp_path)
    with pytest.raises(CascadeError, match="has no padding token"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("offline", [True, False])
def test_an_unknown_hub_name_without_a_network_is_one_line(monkeypatch, offline):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        CascadeError, match=r"not a directory here.*the hub does not answer"
    ) as raised:
        load_tokenizer("no-such-tokenizer-anywhere")
    assert "tokenizer.json" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.real_data
def test_real_berts_tokenizer():
    directory = shared("models/bert_uncased_tokenizer")
    tokenizer = load_tokenizer(directory)
    text = "it 's a charming and often affecting journey . "
    reference = AutoTokenizer.from_pretrained(str(directory))(text)["input_ids"]
    assert rows(tokenise(examples((text, None)), tokenizer, 64)) == [reference]
    assert tokenizer.convert_ids_to_tokens(reference)[:3] == ["[CLS]", "it", "'"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [None, 14])
@pytest.mark.parametrize("pairs", [False, True])
def test_a_batch_is_padded_as_the_tokenizer_pads(tokenizer, side, length, pairs):
    texts = ["the film", "", "film is film , not", "the"]
    pairs_of: list[Text] = [(text, "is not" if pairs else None) for text in texts]
    tokens = tokenise(examples(*pairs_of), tokenizer, 14)
    places = [2, 0, 0, 1]
    tokenizer.padding_side = side
    try:
        expected = tokenizer.pad(
            [
                {
                    key: getattr(tokens, key)[slice(*tokens.offsets[i : i + 2])].tolist()
                    for key in ("input_ids", "token_type_ids")
                }
                for i in places
            ],
            padding=True if length is None else "max_length",
            max_length=length,
            return_attention_mask=True,
            return_tensors="pt",
        )
        found = padded(tokens, places, tokenizer, length)
    finally:
        tokenizer.padding_side = "right"
    assert set(found) == set(expected)
    for key, value in found.items():
        assert value.dtype == expected[key].dtype and torch.equal(value, expected[key])
