"""Tiny encoders written to disk as transformers writes them, and a network that is never there."""

import dataclasses

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel, BertTokenizer

WORDS = [*"abcdefghijklmnopqrstuvwxyz", "good", "bad", "very", "film", "not"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
SHAPE = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "cls_token_id": 2,
    "sep_token_id": 3,
    "type_vocab_size": 2,
}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    (directory / "vocab.txt").write_text("\n".join(VOCABULARY))
    BertTokenizer(vocab=str(directory / "vocab.txt")).save_pretrained(directory)
    return str(directory)


@pytest.fixture(scope="session")
def encoder_dir(tmp_path_factory, tokenizer_dir):
    """Write an encoder of a type, with its tokenizer; returns the directory."""

    def write(model_type, layers=4, network=AutoModel, dtype=torch.float32, **values):
        directory = tmp_path_factory.mktemp(model_type)
        network.from_config(tiny_config(model_type, layers, **values)).to(dtype).save_pretrained(
            directory
        )
        BertTokenizer.from_pretrained(tokenizer_dir).save_pretrained(directory)
        return str(directory)

    return write


def tiny_config(model_type, layers, **values):
    schema = CONFIG_MAPPING[model_type]
    known = {f.name for f in dataclasses.fields(schema)} | set(schema.attribute_map)
    shape = {key: value for key, value in SHAPE.items() if key in known}
    if layers is not None:
        shape["num_hidden_layers"] = layers
    return schema(**{**shape, **values})
