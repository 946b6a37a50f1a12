"""Networks with exits: each exit against a run layer by layer, saving, costs, and mistakes."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import build_model, load_model, save_model, weights_key
from cascade_exp.models.meter import example_inputs, exit_latencies, measure, measure_exits
from tests.oracles import macs
from tests.oracles.exit_networks import answers

CLASSES = ("no", "maybe", "yes")
METHODS = ("deebert", "pabee", "fastbert")
ENCODERS = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "electra": {"embedding_size": 16},
    "distilbert": {},
    "mpnet": {},
}
MINILM = Path(__file__).parents[2] / "../shared/models/minilm_l6_h384"


def build(encoder, method="deebert", name="net", **member):
    given = {"family": "exits", "method": method, "encoder": str(encoder), "max_length": 16}
    return build_model(name, {**given, **member}, CLASSES)


def batch():
    ids = torch.tensor([[2, 9, 8, 7, 6, 5, 4, 3], [2, 30, 31, 32, 33, 3, 0, 0]])
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_bert_like_encoder_has_an_exit_per_layer(encoder_dir, kind, method):
    model = build(encoder_dir(kind, layers=3, initializer_range=0.1, **ENCODERS[kind]), method)
    assert model.layers == 3
    network = model.network
    assert all(module.training for module in network.modules())
    network.eval()
    with torch.no_grad():
        logits = network(batch())
        assert logits.shape == (2, 3, 3)
        for exits in (1, 2, 3):
            with network.first_exits(exits):
                short = network(batch())
            assert torch.allclose(short, logits[:, :exits], atol=1e-5)
        assert torch.equal(network(batch()), logits)


@pytest.mark.parametrize("method", METHODS)
def test_exits_are_those_of_a_run_layer_by_layer(encoder_dir, method):
    network = build(encoder_dir("bert", layers=4, initializer_range=0.1), method).network.eval()
    ids = batch()["input_ids"]
    with torch.no_grad():
        logits = network(batch())
        for row, sequence in enumerate(ids.tolist()):
            alone = torch.stack(list(answers(network, [i for i in sequence if i])))
            assert torch.allclose(alone, logits[row], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_saved_network_says_the_same(encoder_dir, tmp_path, method):
    model = build(encoder_dir("bert"), method)
    save_model(model, tmp_path / "saved")
    loaded = load_model(tmp_path / "saved")
    model.network.eval()
    with torch.no_grad():
        assert torch.equal(model.network(batch()), loaded.network(batch()))
    assert weights_key(loaded) == weights_key(model)
    assert (loaded.layers, loaded.description) == (model.layers, model.description)
    again = build_model("again", loaded.description, CLASSES)
    assert {k: v.shape for k, v in again.network.state_dict().items()} == {
        k: v.shape for k, v in loaded.network.state_dict().items()
    }


def test_poolers_start_from_the_encoders(encoder_dir):
    directory = encoder_dir("bert")
    given = AutoModel.from_pretrained(directory).pooler.dense.weight
    dee, pabee = build(directory, "deebert").network, build(directory, "pabee").network
    assert all(torch.equal(head[0].dense.weight, given) for head in dee.heads.exits)
    assert torch.equal(pabee.heads.pooler.dense.weight, given)
    with torch.no_grad():
        dee.heads.exits[-1][0].dense.weight.zero_()
    assert torch.equal(dee.heads.exits[0][0].dense.weight, given)
    dee.heads.prepare_heads()
    assert not dee.heads.exits[0][0].dense.weight.any()
    classifiers = [head[2].weight for head in dee.heads.exits]
    assert all(not torch.equal(classifiers[0], other) for other in classifiers[1:])


def test_padding_is_not_read_by_attention_heads(encoder_dir):
    network = build(encoder_dir("bert", initializer_range=0.1), "fastbert").network.eval()
    torch.manual_seed(0)
    states = torch.randn(1, 6, 32)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0]])
    changed = states.clone()
    changed[:, 4:] += 5
    with torch.no_grad():
        assert torch.allclose(
            network.heads(0, states, mask), network.heads(0, changed, mask), atol=1e-5
        )
        all_read = torch.ones_like(mask)
        assert not torch.allclose(
            network.heads(0, states, all_read), network.heads(0, changed, all_read), atol=1e-3
        )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [None, 5])
def test_costs_add_up_to_the_whole_networks(encoder_dir, method, length):
    model = build(encoder_dir("bert", layers=4), method)
    costs = measure_exits(model, length)
    assert [cost.exit for cost in costs] == [cost.layers for cost in costs] == [1, 2, 3, 4]
    assert costs[-1].macs == measure(model, length).macs
    steps = [b.macs - a.macs for a, b in pairwise(costs)]
    assert len(set(steps)) == 1  # layers and heads are alike
    tokens = length or 16
    layer = macs.encoder_layer(tokens, hidden=32, intermediate=64)
    head = macs.exit_head(method, tokens, hidden=32, classes=3)
    assert costs[0].macs == steps[0] == layer + head


def test_a_complete_model_has_no_exits(encoder_dir):
    member = {"family": "transformers", "encoder": encoder_dir("bert"), "max_length": 8}
    whole = build_model("whole", member, CLASSES)
    with pytest.raises(CascadeError, match="whole: a complete model, expected a network with"):
        measure_exits(whole)


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("albert", {"embedding_size": 16}, "a albert cannot be cut"),
        ("modernbert", {}, "a modernbert has no exits.*expected a BERT-like encoder"),
    ],
)
def test_encoders_that_are_not_bert_like(encoder_dir, kind, values, said):
    with pytest.raises(CascadeError, match=said) as raised:
        build(encoder_dir(kind, **values))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"method": "debert"}, "net.method=debert: expected one of deebert.*mean 'deebert'"),
        ({"method": "pabee"}, "expected encoder .* or config .*, found neither"),
        ({"method": "pabee", "encoder": "x", "config": {}}, "found both"),
        ({"encoder": "x"}, "net.method: missing"),
        ({"method": "pabee", "encoder": "x", "layers": 2}, "net.layers: no such key"),
    ],
)
def test_mistakes_get_one_line(member, said):
    with pytest.raises(CascadeError, match=said) as raised:
        build_model("net", {"family": "exits", **member}, CLASSES)
    assert "\n" not in str(raised.value)


def test_too_long(encoder_dir):
    with pytest.raises(CascadeError, match="max_length=41: bert cannot take so many tokens"):
        build(encoder_dir("bert"), max_length=41)


@pytest.mark.parametrize("damage", ["missing", "truncated", "other"])
def test_damaged_heads(encoder_dir, tmp_path, damage):
    save_model(build(encoder_dir("bert")), tmp_path / "saved")
    file = tmp_path / "saved" / "heads.safetensors"
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-40])
    else:
        save_model(build(encoder_dir("bert"), "pabee"), tmp_path / "pabee")
        file.write_bytes((tmp_path / "pabee" / "heads.safetensors").read_bytes())
    with pytest.raises(CascadeError, match=r"damaged|do not fit"):
        load_model(tmp_path / "saved")


@pytest.mark.real_data
@pytest.mark.parametrize("method", METHODS)
def test_minilm_has_six_exits(method):
    if not MINILM.is_dir():
        pytest.skip(f"{MINILM} is not there")
    model = build(MINILM, method, max_length=32)
    assert model.layers == 6
    assert model.network(batch()).shape == (2, 6, 3)


@pytest.mark.parametrize("method", METHODS)
def test_seconds_until_each_exit_grow_and_are_of_what_the_network_answers(encoder_dir, method):
    model = build(encoder_dir("bert", layers=4), method)
    network = model.network
    network(example_inputs(model, 2, 8))
    hooks = [len(layer._forward_hooks) for layer in network.all_layers()]  # transformers' own
    asked = []
    hook = network.heads.register_forward_hook(
        lambda heads, args, logits: asked.append((args[0], logits))
    )
    seconds = exit_latencies(model, batch_size=2, repeats=4, length=8)
    hook.remove()
    assert len(seconds) == 4 and seconds[0] > 0
    assert all(before < after for before, after in pairwise(seconds))
    assert [exit for exit, _ in asked] == [0, 1, 2, 3] * 7
    with torch.no_grad():
        whole = network.eval()(example_inputs(model, 2, 8))
    for exit, logits in asked:
        assert torch.allclose(logits, whole[:, exit], atol=1e-5)
    assert [len(layer._forward_hooks) for layer in network.all_layers()] == hooks


def test_only_networks_with_exits_have_seconds_by_exit(encoder_dir):
    member = {
        "family": "transformers",
        "encoder": str(encoder_dir("bert", layers=1)),
        "max_length": 8,
    }
    with pytest.raises(CascadeError, match="expected a network with exits"):
        exit_latencies(build_model("whole", member, CLASSES))
    with pytest.raises(CascadeError, match="repeats=0"):
        exit_latencies(build(encoder_dir("bert", layers=1)), repeats=0)
