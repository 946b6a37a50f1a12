"""The meter against published figures and counts by hand, and the command's standard output."""

import csv
import io
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import CompleteModel, build_model, save_model
from cascade_exp.models.inputs import ImageInput
from cascade_exp.models.meter import Options, latency, main, measure, model_named
from tests.oracles import macs
from tests.warm import python

SHARED = Path(__file__).parents[2] / "../shared/models"
CLASSES = ("no", "yes")
BERT = {"model_type": "bert", "vocab_size": 99, "num_hidden_layers": 2, "hidden_size": 128}
BERT |= {"num_attention_heads": 2, "intermediate_size": 512}


@pytest.fixture(scope="module")
def bert():
    return build_model("bert", {"family": "transformers", "config": BERT}, CLASSES)


@pytest.fixture(scope="module")
def resnet():
    member = {"family": "timm", "architecture": "test_resnet", "image_size": 16, "in_chans": 1}
    return build_model("small", member, CLASSES)


@pytest.mark.parametrize(
    ("architecture", "gmacs", "params", "layers"),
    [
        ("resnet50", 4.089, 25_557_032, 50),
        ("vit_small_patch16_224", 4.599, 22_050_664, 12),
        ("efficientnet_b0", 0.386, 5_288_548, 82),
        ("mobilenetv3_small_100", 0.0565, 2_542_856, 54),
    ],
)
def test_published_figures(architecture, gmacs, params, layers):
    measured = measure(model_named(architecture, Options()))
    assert measured.macs == pytest.approx(gmacs * 1e9, rel=0.01)
    assert (measured.params, measured.layers) == (params, layers)
    assert measured.input == "3x224x224"
    assert "1 MAC = 2 FLOPs" in measured.counter and torch.__version__ in measured.counter


def test_a_vit_as_counted_by_hand():
    member = {"family": "timm", "architecture": "vit_tiny_patch16_224", "image_size": 64}
    measured = measure(build_model("vit", member, CLASSES))
    assert measured.macs == macs.vit_classifier(64, 16, 12, 192, 2)


@pytest.mark.parametrize("length", [None, 1, 7, 128])
def test_a_bert_as_counted_by_hand(bert, length):
    measured = measure(bert, length)
    assert measured.macs == macs.bert_classifier(length or 128, 2, 128, 512, 2)
    assert measured.input == f"{length or 128} tokens"
    assert measured.layers == 2


def test_the_published_figure_of_a_small_bert(bert):
    assert measure(bert, 128).macs == pytest.approx(0.05874e9, rel=1e-3)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_attention_is_counted_however_it_is_computed(bert, implementation):
    transformer = bert.network.transformer
    before = transformer.config._attn_implementation
    transformer.set_attn_implementation(implementation)
    try:
        assert measure(bert).macs == macs.bert_classifier(128, 2, 128, 512, 2)
    finally:
        transformer.set_attn_implementation(before)


class Encoder(nn.Module):
    """Torch's own encoder layer, whose fast path in evaluation mode the counter does not see."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

    def forward(self, images):
        return self.layer(images.flatten(2).transpose(1, 2)).mean(1)


@pytest.mark.parametrize("enabled", [True, False])
def test_torchs_fast_path_is_counted_and_put_back(enabled):
    given = ImageInput(4, 32, (0.0,) * 32, (1.0,) * 32, "bilinear")
    model = CompleteModel("encoder", Encoder(), given, 1, CLASSES, {})
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        assert measure(model).macs == macs.encoder_layer(16, 32, 64)
        assert torch.backends.mha.get_fastpath_enabled() is enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def test_the_network_is_left_as_it_was(resnet):
    network = resnet.network.train()
    network.bn1.eval()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    measure(resnet)
    latency(resnet, repeats=1)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(before[key], t) for key, t in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_too_long_a_text_is_one_line(bert):
    with pytest.raises(CascadeError, match="bert: cannot take 513 tokens") as raised:
        measure(bert, 513)
    assert "\n" not in str(raised.value)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_latency_runs_each_batch_and_three_to_warm_up(resnet, bert, batch_size):
    for model in (resnet, bert):
        seen = []
        hook = model.network.register_forward_pre_hook(
            lambda _m, args, seen=seen: seen.append(
                len(args[0]["input_ids"] if isinstance(args[0], dict) else args[0])
            )
        )
        seconds = latency(model, batch_size=batch_size, repeats=5)
        hook.remove()
        assert isinstance(seconds, float) and seconds > 0
        assert seen == [batch_size] * 8


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"repeats": 0}])
def test_latency_of_nothing_is_refused(resnet, wrong):
    with pytest.raises(CascadeError, match="expected 1 or more"):
        latency(resnet, **wrong)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_command_writes_csv_and_nothing_else(capfd):
    assert main(["test_resnet", "test_vit", "image_size=32"]) == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[0] == "name,input,macs,params,layers"
    assert [row["name"] for row in rows(out)] == ["test_resnet", "test_vit"]
    assert {row["input"] for row in rows(out)} == {"3x32x32"}
    assert err == ""


def test_the_command_reads_directories(encoder_dir, resnet, tmp_path, capfd):
    directory = encoder_dir("bert", layers=3)
    (Path(directory) / "model.safetensors").unlink()
    save_model(resnet, tmp_path / "saved")
    capfd.readouterr()
    assert main([directory, str(tmp_path / "saved"), "length=16"]) == 0
    out, err = capfd.readouterr()
    text, image = rows(out)
    assert (text["name"], text["input"], text["layers"]) == (directory, "16 tokens", "3")
    assert int(text["macs"]) == macs.bert_classifier(16, 3, 32, 64, 2)
    assert (image["input"], int(image["macs"])) == ("1x16x16", measure(resnet).macs)
    assert err == ""


@pytest.mark.real_data
def test_the_command_measures_minilm(capfd):
    directory = SHARED / "minilm_l6_h384"
    if not directory.is_dir():
        pytest.skip(f"{directory} is not there")
    assert main([str(directory), "length=32"]) == 0
    (row,) = rows(capfd.readouterr().out)
    assert int(row["macs"]) == macs.bert_classifier(32, 6, 384, 1536, 2)
    assert int(row["params"]) == 22_713_216 + 384 * 2 + 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["test_resnet", "test_resnt"], "test_resnt: neither a timm model (did you mean 'test_r"),
        (["no-such-encoder"], "no-such-encoder: neither a timm model nor a hub name or directory"),
        (["./no/such"], "./no/such: neither"),
        (["test_resnet.zzz"], "Invalid pretrained tag (zzz)"),
        (["test_resnet", "lenght=3"], "lenght: no such key; .*did you mean 'length'"),
        (["test_resnet", "length=long"], "length: "),
        (["test_resnet", "length=0"], "length=0: expected 1 or more"),
        (["test_convnext", "image_size=8"], "cannot take images of 3x8x8"),
        (["test_resnet", "image_size=0"], "image_size=0"),
        ([], "usage: "),
        (["image_size=32"], "usage: "),
    ],
)
def test_mistakes_get_one_line_and_no_csv(arguments, said, capfd):
    import re

    assert main(arguments) != 0
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert said in err or re.search(said, err)


@pytest.mark.slow
def test_the_command_as_it_is_typed():
    command = python("-m", "cascade_exp.models.meter", "test_efficientnet")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (row,) = rows(done.stdout)
    assert row["name"] == "test_efficientnet" and row["input"] == "3x160x160"
    assert len(done.stdout.splitlines()) == 2


def test_the_command_measures_seconds_where_asked(capfd):
    assert main(["test_resnet", "image_size=32", "repeats=1", "batch_size=2"]) == 0
    (row,) = rows(capfd.readouterr().out)
    assert list(row) == ["name", "input", "macs", "params", "layers", "seconds"]
    assert float(row["seconds"]) > 0
