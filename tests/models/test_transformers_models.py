"""Building transformers classifiers: from directories, from scratch, and what mistakes get."""

import json
import logging
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification as Classifier
from transformers import AutoTokenizer

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import build_model, load_model, save_model, weights_key
from cascade_exp.models.inputs import TextInput
from tests.models.conftest import VOCABULARY

CLASSES = ("negative", "neutral", "positive")
CONFIG = {"model_type": "bert", "num_hidden_layers": 2, "hidden_size": 32}
CONFIG |= {"num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 48}


def build(classes=CLASSES, **member):
    return build_model("small", {"family": "transformers", **member}, classes)


def tokens(directory, *sentences):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    return dict(tokenizer(list(sentences), padding=True, return_tensors="pt"))


def logits(model, inputs):
    model.network.eval()
    with torch.no_grad():
        return model.network(inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_encoder_is_loaded_in_float32_under_a_new_head(encoder_dir, caplog, capfd, dtype):
    directory = encoder_dir("bert", dtype=dtype)
    capfd.readouterr()
    with caplog.at_level(logging.INFO, logger="cascade_exp"):
        model = build(encoder=directory, max_length=40)
    assert [r.message for r in caplog.records] == [
        "small: new head of 3 classes (classifier.bias, classifier.weight)"
    ]
    assert capfd.readouterr().err == ""
    assert model.input == TextInput(directory, 40)
    assert model.layers == 4
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert all(module.training for module in model.network.modules())
    given = json.loads((Path(directory) / "config.json").read_text())
    assert given["hidden_size"] == 32
    assert model.network.transformer.config.id2label == dict(enumerate(CLASSES))
    assert logits(model, tokens(directory, "good film", "not")).shape == (2, 3)


def test_a_classifier_of_the_same_labels_keeps_its_head(encoder_dir, caplog):
    labels = dict(enumerate(CLASSES))
    directory = encoder_dir("bert", network=Classifier, num_labels=3, id2label=labels)
    with caplog.at_level(logging.INFO, logger="cascade_exp"):
        model = build(encoder=directory, max_length=32)
    assert caplog.text == ""
    inputs = tokens(directory, "very good", "bad film")
    direct = Classifier.from_pretrained(directory).eval()
    assert torch.allclose(logits(model, inputs), direct(**inputs).logits, rtol=1e-5)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "electra"])
def test_a_classifier_with_its_labels_in_another_order_is_put_in_ours(encoder_dir, model_type):
    theirs = ("Positive", "negative", "Neutral")
    labels = dict(enumerate(theirs))
    directory = encoder_dir(model_type, network=Classifier, num_labels=3, id2label=labels)
    inputs = tokens(directory, "very good", "bad film")
    inputs.pop("token_type_ids")
    direct = Classifier.from_pretrained(directory).eval()(**inputs).logits
    model = build(encoder=directory, max_length=32)
    assert torch.allclose(logits(model, inputs), direct[:, [1, 2, 0]], atol=1e-6)


def test_a_classifier_of_other_labels_is_said(encoder_dir, caplog):
    labels = dict(enumerate(("cat", "dog", "bird")))
    directory = encoder_dir("bert", network=Classifier, num_labels=3, id2label=labels)
    build(encoder=directory, max_length=32)
    assert "labels [cat, dog, bird] are taken for the classes [negative, " in caplog.text


def test_a_classifier_of_another_number_of_labels_gets_a_new_head(encoder_dir, caplog):
    directory = encoder_dir("bert", network=Classifier, num_labels=5)
    with caplog.at_level(logging.INFO, logger="cascade_exp"):
        model = build(encoder=directory, max_length=32)
    assert "new head of 3 classes" in caplog.text
    assert logits(model, tokens(directory, "good")).shape == (1, 3)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "electra", "mpnet"])
def test_from_scratch_with_one_tokenizer_for_every_type(tokenizer_dir, model_type):
    config = {"model_type": model_type, "num_hidden_layers": 2, "hidden_size": 32}
    config |= {"num_attention_heads": 2}
    model = build(config=config, tokenizer=tokenizer_dir, max_length=16)
    assert model.layers == 2
    assert model.network.transformer.config.vocab_size == len(VOCABULARY)
    assert model.network.transformer.config.pad_token_id == 0
    pair = AutoTokenizer.from_pretrained(tokenizer_dir)(["a b"], ["c"], return_tensors="pt")
    assert pair["token_type_ids"].max() == 1
    assert logits(model, dict(pair)).shape == (1, 3)


def test_segments_reach_an_encoder_that_knows_them(tokenizer_dir):
    model = build(config=CONFIG, tokenizer=tokenizer_dir, max_length=16)
    pair = dict(AutoTokenizer.from_pretrained(tokenizer_dir)(["a b"], ["c"], return_tensors="pt"))
    without = {**pair, "token_type_ids": torch.zeros_like(pair["token_type_ids"])}
    assert not torch.equal(logits(model, pair), logits(model, without))


def test_from_scratch_without_a_tokenizer_when_the_data_brings_one():
    model = build(config={**CONFIG, "vocab_size": 99}, max_length=16)
    assert model.input == TextInput(None, 16)


def test_an_encoder_of_characters_has_no_vocabulary():
    shape = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2}
    shape |= {
        "intermediate_size": 64,
        "local_transformer_stride": 16,
        "max_position_embeddings": 64,
    }
    model = build(config={"model_type": "canine", **shape}, max_length=32)
    again = build_model("again", model.description, CLASSES)
    assert again.description == model.description
    assert model.network.state_dict().keys() == again.network.state_dict().keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_and_loaded_gives_the_same_logits(tokenizer_dir, tmp_path, dtype, capfd):
    model = build(config=CONFIG, tokenizer=tokenizer_dir, max_length=16)
    model.network.to(dtype)
    save_model(model, tmp_path / "saved")
    loaded = load_model(tmp_path / "saved")
    assert capfd.readouterr() == ("", "")
    saved_tokens = tokens(loaded.input.tokenizer, "very good film", "bad")
    inputs = tokens(tokenizer_dir, "very good film", "bad")
    single = tokens(tokenizer_dir, "not very good")
    assert torch.equal(logits(model, single), logits(loaded, single))
    assert all(torch.equal(saved_tokens[key], inputs[key]) for key in inputs)
    assert torch.equal(logits(model, inputs), logits(loaded, inputs))
    assert weights_key(loaded) == weights_key(model)
    assert loaded.input == TextInput(str(tmp_path / "saved"), 16)
    assert loaded.description == model.description and loaded.layers == 2
    moved = (tmp_path / "saved").rename(tmp_path / "moved")
    assert load_model(moved).input.tokenizer == str(moved)


def test_transformers_itself_loads_the_directory(tokenizer_dir, tmp_path):
    model = build(config=CONFIG, tokenizer=tokenizer_dir, max_length=16)
    save_model(model, tmp_path / "saved")
    direct = Classifier.from_pretrained(tmp_path / "saved").eval()
    inputs = tokens(tmp_path / "saved", "not very good")
    assert torch.allclose(direct(**inputs).logits, logits(model, inputs), rtol=1e-5)
    state = model.network.transformer.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in direct.state_dict().items())
    assert direct.config.id2label == dict(enumerate(CLASSES))


def test_a_model_without_tokenizer_is_saved_without_one(tmp_path):
    model = build(config={**CONFIG, "vocab_size": 99}, max_length=16)
    save_model(model, tmp_path / "saved")
    assert load_model(tmp_path / "saved").input == TextInput(None, 16)


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta"])
def test_the_description_builds_the_same_architecture(encoder_dir, model_type):
    model = build(encoder=encoder_dir(model_type), max_length=16)
    again = build_model("again", model.description, CLASSES)
    assert again.description == model.description
    again.network.load_state_dict(model.network.state_dict())
    assert weights_key(again) == weights_key(model)


MISTAKES = [
    ({}, "small: expected encoder .*found neither"),
    ({"encoder": "x", "config": CONFIG}, "found both"),
    ({"encoder": "no/such"}, "encoder=no/such: no such directory.*hub cannot be reached; give"),
    ({"encoder": "../no/such"}, "encoder=../no/such: no such directory; expected a directory"),
    ({"encoder": "/no/such"}, "no such directory; expected a directory with config.json, model."),
    ({"encoder": ""}, "small.encoder"),
    ({"config": {**CONFIG, "model_type": "bertt"}}, "model_type=bertt: .*did you mean 'bert'"),
    ({"config": {"hidden_size": 3}}, "config.model_type=: "),
    ({"config": {**CONFIG, "hiden_size": 3}}, "hiden_size: bert has no .*mean 'hidden_size'"),
    ({"config": {**CONFIG, "num_labels": 3}}, "config.num_labels: set by"),
    ({"config": CONFIG}, "set tokenizer, or config.vocab_size"),
    ({"config": {**CONFIG, "vocab_size": 9, "hidden_size": "big"}}, "small.config: bert refused"),
    ({"config": {**CONFIG, "vocab_size": 9, "hidden_size": 33}}, "small.config: bert refused"),
    ({"config": {**CONFIG, "vocab_size": 9}, "max_length": 49}, "max_length=49: bert cannot take"),
    ({"config": CONFIG, "tokenizer": "no-such"}, "tokenizer=no-such: .*hub cannot be reached"),
    ({"config": CONFIG, "tokenizer": "./no-such"}, "tokenizer=./no-such: no such directory"),
    ({"config": CONFIG, "max_lenght": 3}, "max_lenght: no such key.*did you mean 'max_length'"),
]


@pytest.mark.parametrize(("member", "said"), MISTAKES)
def test_mistakes_get_one_line(member, said, capfd):
    with pytest.raises(CascadeError, match=said) as raised:
        build(**member)
    assert "\n" not in str(raised.value) and "small" in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_roberta_positions_are_counted_as_it_counts_them(tokenizer_dir):
    config = {**CONFIG, "model_type": "roberta", "pad_token_id": 1, "max_position_embeddings": 18}
    assert build(config=config, tokenizer=tokenizer_dir, max_length=16).layers == 2
    with pytest.raises(CascadeError, match="max_length=17: roberta cannot take so many tokens"):
        build(config=config, tokenizer=tokenizer_dir, max_length=17)


def _rewrite_config(directory, **changes):
    path = Path(directory) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: (d / "model.safetensors").unlink(), "no file named model.safetensors"),
        (lambda d: (d / "model.safetensors").write_bytes(b"x" * 99), "encoder=.*not usable"),
        (lambda d: (d / "config.json").unlink(), "encoder=.*no tokenizer|not usable"),
        (lambda d: (d / "config.json").write_text("{"), "encoder="),
        (lambda d: _rewrite_config(d, hidden_size=64), "are missing or of another shape"),
        (lambda d: _rewrite_config(d, num_hidden_layers=5), "are missing or of another shape"),
        (lambda d: _rewrite_config(d, model_type="electra"), "are missing or of another shape"),
        (
            lambda d: [f.unlink() for f in d.glob("*tok*.json")],
            "tokenizer's files are missing there",
        ),
    ],
)
def test_damaged_encoders_get_one_line(encoder_dir, damage, said):
    directory = Path(encoder_dir("bert"))
    damage(directory)
    with pytest.raises(CascadeError, match=said) as raised:
        build(encoder=str(directory), max_length=16)
    assert "\n" not in str(raised.value)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(encoder_dir, tokenizer_dir):
    directory = encoder_dir("bert", vocab_size=20)
    said = f"{len(VOCABULARY)} tokens, but the encoder has embeddings for 20"
    with pytest.raises(CascadeError, match=said):
        build(encoder=directory, max_length=16)
    with pytest.raises(CascadeError, match=said):
        build(config={**CONFIG, "vocab_size": 20}, tokenizer=tokenizer_dir, max_length=16)


def test_a_tokenizer_that_cannot_pad_is_refused(tokenizer_dir, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CascadeError, match="its tokenizer has no padding token"):
        build(config=CONFIG, tokenizer=str(tmp_path))


@pytest.mark.parametrize("damage", ["config", "weights", "labels"])
def test_damaged_saved_models_get_one_line(tokenizer_dir, tmp_path, damage):
    save_model(build(config=CONFIG, tokenizer=tokenizer_dir, max_length=16), tmp_path / "saved")
    if damage == "config":
        _rewrite_config(tmp_path / "saved", num_hidden_layers=3)
    elif damage == "weights":
        path = tmp_path / "saved" / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-10])
    else:
        record = tmp_path / "saved" / "model.json"
        record.write_text(record.read_text().replace('"neutral",', ""))
    with pytest.raises(CascadeError, match=rf"{tmp_path}/saved[^ ]*: ") as raised:
        load_model(tmp_path / "saved")
    assert "\n" not in str(raised.value)


OWN_CONFIG = """
from transformers import BertConfig
class OwnConfig(BertConfig):
    model_type = "own"
"""
OWN_NETWORK = """
from transformers import BertForSequenceClassification
from .own_config import OwnConfig
class OwnClassifier(BertForSequenceClassification):
    config_class = OwnConfig
"""


def test_code_in_the_directory_runs_only_when_the_user_says_so(encoder_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    monkeypatch.setattr("sys.path", [*__import__("sys").path, str(tmp_path / "m")])
    directory = Path(encoder_dir("bert", network=Classifier, num_labels=3))
    (directory / "own_config.py").write_text(OWN_CONFIG)
    (directory / "own_network.py").write_text(OWN_NETWORK)
    own = {"AutoConfig": "own_config.OwnConfig"}
    own["AutoModelForSequenceClassification"] = "own_network.OwnClassifier"
    _rewrite_config(directory, model_type="own", auto_map=own)
    with pytest.raises(CascadeError, match="trust_remote_code"):
        build(encoder=str(directory), max_length=16)
    assert not (tmp_path / "m").exists()
    model = build(encoder=str(directory), max_length=16, trust_remote_code=True)
    assert type(model.network.transformer).__name__ == "OwnClassifier"
    save_model(model, tmp_path / "saved")
    with pytest.raises(CascadeError, match="runs code of its own"):
        load_model(tmp_path / "saved")
    loaded = load_model(tmp_path / "saved", trust_remote_code=True)
    inputs = tokens(directory, "good", "very bad")
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))
