"""The first k layers of an encoder say what the whole encoder says after its layer k."""

import logging
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer
from transformers import AutoModelForSequenceClassification as Classifier

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import build_model, load_model, save_model, weights_key

CLASSES = ("no", "yes")
MINILM = Path(__file__).parents[2] / "../shared/models/minilm_l6_h384"

ENCODERS = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "electra": {"embedding_size": 16},
    "distilbert": {},
    "mpnet": {},
    "deberta": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "deberta-v2": {
        "relative_attention": True,
        "position_buckets": 16,
        "pos_att_type": ["p2c", "c2p"],
        "conv_kernel_size": 3,
        "type_vocab_size": 0,
    },
    "modernbert": {},
    "longformer": {"attention_window": 4},
    "mobilebert": {},
    "gpt2": {},
}


def build(encoder, layers, name="small", **member):
    given = {"family": "truncated", "encoder": str(encoder), "layers": layers, "max_length": 16}
    return build_model(name, {**given, **member}, CLASSES)


def hidden_states(network, inputs):
    """What each layer puts out, before any norm that follows the last one."""
    states = []
    config = network.config
    lists = [m for m in network.modules() if isinstance(m, torch.nn.ModuleList)]
    layers = next(m for m in lists if len(m) == config.num_hidden_layers)
    hooks = [
        layer.register_forward_hook(
            lambda _m, _i, o: states.append(o if torch.is_tensor(o) else o[0])
        )
        for layer in layers
    ]
    with torch.no_grad():
        network.eval()(**inputs)
    for hook in hooks:
        hook.remove()
    return states


def batch():
    ids = torch.tensor([[2, 9, 8, 7, 6, 5, 4, 3], [2, 30, 31, 32, 33, 3, 0, 0]])
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_layer_k_of_the_cut_is_layer_k_of_the_whole(encoder_dir, kind, layers):
    directory = encoder_dir(kind, layers=4, **ENCODERS[kind])
    model = build(directory, layers)
    cut = model.network.transformer
    assert model.layers == layers == cut.config.num_hidden_layers
    whole = hidden_states(AutoModel.from_pretrained(directory), batch())
    ours = hidden_states(cut.base_model, batch())
    assert len(ours) == layers
    for mine, theirs in zip(ours, whole, strict=False):
        assert torch.allclose(mine, theirs, atol=1e-6)
    assert model.network(batch()).shape == (2, 2)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra"])
def test_a_trained_classifier_loses_its_head_and_keeps_its_pooler(encoder_dir, kind):
    directory = encoder_dir(kind, network=Classifier, num_labels=2)
    given = Classifier.from_pretrained(directory).state_dict()
    cut = build(directory, 2).network.transformer.state_dict()
    heads = [key for key in cut if "classifier" in key]
    assert heads and ("bert.pooler.dense.weight" in cut) == (kind == "bert")
    for key in heads:
        if key.endswith("weight"):
            assert not torch.equal(cut[key], given[key])
    body = [key for key in cut if key not in heads]
    assert all(torch.equal(cut[key], given[key]) for key in body)


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert", "mobilebert"])
def test_a_cut_starts_as_transformers_own_of_so_many_layers(encoder_dir, kind):
    directory = encoder_dir(kind, layers=4, **ENCODERS[kind])
    ours = build(directory, 2).network.transformer.base_model.state_dict()
    theirs = AutoModel.from_pretrained(directory, num_hidden_layers=2).state_dict()
    assert ours.keys() <= theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_float16_weights_are_cut_in_float32(encoder_dir):
    model = build(encoder_dir("bert", dtype=torch.float16), 2)
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert all(module.training for module in model.network.modules())


def test_the_notice_is_one_line_and_nothing_else(encoder_dir, caplog, capfd):
    directory = encoder_dir("bert")
    capfd.readouterr()
    with caplog.at_level(logging.INFO):
        build(directory, 3)
    assert [r.message for r in caplog.records] == ["small: first 3 of 4 layers; new head"]
    assert capfd.readouterr() == ("", "")


def test_saved_cut_is_an_ordinary_classifier_and_can_be_cut_again(encoder_dir, tmp_path):
    model = build(encoder_dir("bert"), 3)
    save_model(model, tmp_path / "three")
    loaded = load_model(tmp_path / "three")
    model.network.eval()
    with torch.no_grad():
        assert torch.equal(model.network(batch()), loaded.network(batch()))
    assert weights_key(loaded) == weights_key(model)
    assert loaded.description["family"] == "transformers" and loaded.layers == 3
    again = build_model("again", loaded.description, CLASSES)
    assert again.network.state_dict().keys() == loaded.network.state_dict().keys()
    assert build(tmp_path / "three", 1).layers == 1


@pytest.mark.parametrize("layers", [0, -1, 5])
def test_layers_out_of_range(encoder_dir, layers):
    directory = encoder_dir("bert")
    said = f"small.layers={layers}: {directory} has 4 layers, expected 1..4"
    with pytest.raises(CascadeError, match=said):
        build(directory, layers)


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("albert", {"embedding_size": 16}, "a albert cannot be cut; .* its 4 layers, found none"),
        (
            "funnel",
            {"block_sizes": [2, 2], "architectures": ["FunnelModel"]},
            "a funnel cannot be cut; .*found none",
        ),
        ("bart", {"decoder_layers": 4}, "a bart cannot be cut; .*encoder.layers, decoder.layers"),
        ("bart", {"decoder_layers": 2}, "a bart cannot be cut"),
        ("xlm", {"n_heads": 4}, "a xlm cannot be cut; .*found attentions, layer_norm1"),
    ],
)
def test_encoders_without_one_list_of_layers(encoder_dir, kind, values, said):
    directory = encoder_dir(kind, layers=None if kind == "funnel" else 4, **values)
    with pytest.raises(CascadeError, match=said) as raised:
        build(directory, 2)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"encoder": "no-such-encoder", "layers": 2}, "encoder=no-such-encoder: no such directory"),
        ({"layers": 2}, "small.encoder: missing"),
        ({"encoder": "x"}, "small.layers: missing"),
        ({"encoder": "x", "layers": "two"}, "small.layers: .*'two'"),
        ({"encoder": "x", "layer": 2}, "small.layer: no such key.*did you mean 'layers'"),
    ],
)
def test_mistakes_get_one_line(member, said):
    with pytest.raises(CascadeError, match=said) as raised:
        build_model("small", {"family": "truncated", **member}, CLASSES)
    assert "\n" not in str(raised.value)


def test_weights_that_are_not_there(encoder_dir):
    directory = Path(encoder_dir("bert"))
    (directory / "model.safetensors").unlink()
    with pytest.raises(CascadeError, match=r"encoder=.*not usable; expected a hub name or"):
        build(directory, 2)


def test_tokens_beyond_the_positions(encoder_dir):
    with pytest.raises(CascadeError, match="max_length=41: bert cannot take so many tokens"):
        build(encoder_dir("bert"), 2, max_length=41)


@pytest.mark.real_data
@pytest.mark.parametrize("layers", [1, 2, 6])
def test_minilm_after_k_layers(layers):
    if not MINILM.is_dir():
        pytest.skip(f"{MINILM} is not there")
    model = build(MINILM, layers, max_length=64)
    sentences = ["a gripping , funny film .", "it is not the worst of the year , but close ."]
    inputs = AutoTokenizer.from_pretrained(MINILM)(sentences, padding=True, return_tensors="pt")
    whole = AutoModel.from_pretrained(MINILM, dtype=torch.float32).eval()
    model.network.eval()
    with torch.no_grad():
        theirs = whole(**inputs, output_hidden_states=True).hidden_states
        ours = model.network.transformer(**inputs, output_hidden_states=True).hidden_states
    assert len(ours) == layers + 1
    for mine, other in zip(ours, theirs, strict=False):
        assert torch.allclose(mine, other, atol=1e-5)
    assert model.layers == layers
