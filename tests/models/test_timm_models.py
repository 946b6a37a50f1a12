"""Building timm models: inputs, options, checkpoints, and what a user's mistakes get."""

import logging

import pytest
import timm
import torch
from safetensors.torch import save_file

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import build_model, load_model, save_model, weights_key
from cascade_exp.models.depth import depth

CLASSES = tuple("0123456789")


def build(**member):
    return build_model("small", {"family": "timm", **member}, CLASSES)


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("test_resnet", 16), ("test_efficientnet", 32), ("test_vit", 32), ("test_convnext", None)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_takes_the_images_it_asks_for(architecture, size, channels):
    model = build(architecture=architecture, in_chans=channels, image_size=size)
    wanted = model.input
    assert wanted.size == (size or 160)
    assert wanted.channels == channels == len(wanted.mean) == len(wanted.std)
    assert model.network.training
    images = torch.rand(2, channels, wanted.size, wanted.size)
    assert model.network(images).shape == (2, 10)


def test_grey_images_get_the_mean_of_the_channels():
    colour = build(architecture="test_efficientnet", image_size=32).input
    grey = build(architecture="test_efficientnet", image_size=32, in_chans=1).input
    assert colour.mean == (0.485, 0.456, 0.406)
    assert grey.mean == pytest.approx((0.449,)) and grey.std == pytest.approx((0.226,))
    assert colour.interpolation == "bicubic"


def test_options_reach_the_architecture():
    model = build(architecture="test_vit", options={"drop_path_rate": 0.25, "depth": 3})
    assert model.layers == 3
    assert model.network.blocks[-1].drop_path1.drop_prob == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("architecture", "size", "layers"),
    [
        ("resnet18", 32, 18),
        ("resnet50", 32, 50),
        ("resnet18d", 32, 20),
        ("vgg16", 224, 16),
        ("densenet121", 64, 121),
        ("vit_tiny_patch16_224", 224, 12),
        ("swin_tiny_patch4_window7_224", 224, 12),
    ],
)
def test_depth_is_the_one_in_the_name(architecture, size, layers):
    network = timm.create_model(architecture)
    assert depth(network, torch.zeros(1, 3, size, size)) == layers
    assert network.training


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "test_efficientnet"])
def test_saved_and_loaded_gives_the_same_logits(architecture, tmp_path):
    model = build(architecture=architecture, image_size=32, in_chans=1)
    model.network(
        torch.rand(8, 1, 32, 32)
    )  # moves the batch norms' statistics, which are weights too
    save_model(model, tmp_path / "saved")
    loaded = load_model(tmp_path / "saved")
    images = torch.rand(4, 1, 32, 32)
    model.network.eval()
    with torch.no_grad():
        assert torch.equal(model.network(images), loaded.network(images))
    assert not loaded.network.training
    assert weights_key(loaded) == weights_key(model)
    assert (loaded.input, loaded.layers, loaded.classes) == (model.input, model.layers, CLASSES)


def test_the_description_builds_the_same_architecture():
    model = build(architecture="test_vit", image_size=32, options={"depth": 2})
    again = build_model("again", model.description, CLASSES)
    assert again.description == model.description and again.input == model.input
    again.network.load_state_dict(model.network.state_dict())
    assert weights_key(again) == weights_key(model)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("channels", [1, 3])
def test_checkpoint_of_the_same_task_is_kept_whole(tmp_path, suffix, channels):
    first = build(architecture="test_resnet", in_chans=channels)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": first.network.state_dict(), "epoch": 3}, path)
    else:
        save_file(first.network.state_dict(), path)
    second = build(architecture="test_resnet", in_chans=channels, checkpoint=str(path))
    assert weights_key(second) == weights_key(first)


def test_checkpoint_of_another_task_gets_a_new_head(tmp_path, caplog):
    other = timm.create_model("test_resnet", num_classes=7)
    path = tmp_path / "other.safetensors"
    save_file(other.state_dict(), path)
    with caplog.at_level(logging.INFO, logger="cascade_exp"):
        model = build(architecture="test_resnet", checkpoint=str(path))
    assert "7 classes; new head of 10" in caplog.text
    state = model.network.state_dict()
    assert state["fc.weight"].shape[0] == 10
    for key, tensor in other.state_dict().items():
        if not key.startswith("fc."):
            assert torch.equal(state[key], tensor)


def test_checkpoint_of_a_vit_is_resampled_to_the_image_size(tmp_path):
    path = tmp_path / "vit.safetensors"
    save_file(timm.create_model("test_vit", num_classes=10).state_dict(), path)
    model = build(architecture="test_vit", checkpoint=str(path), image_size=64)
    assert model.network(torch.rand(1, 3, 64, 64)).shape == (1, 10)


def test_colour_checkpoint_is_adapted_to_grey_images(tmp_path):
    path = tmp_path / "colour.safetensors"
    other = timm.create_model("test_resnet", num_classes=10)
    save_file(other.state_dict(), path)
    model = build(architecture="test_resnet", checkpoint=str(path), in_chans=1)
    summed = other.conv1[0].weight.sum(1, keepdim=True)
    assert torch.allclose(model.network.conv1[0].weight, summed, atol=1e-6)


class Opener:
    def __reduce__(self):
        return (open, ("/tmp/never", "w"))


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"architecture": "resnett50"}, "architecture=resnett50: .*did you mean 'resnet50'"),
        ({"architecture": "resnet50.zzz"}, "architecture=resnet50.zzz: .*Invalid pretrained tag"),
        ({"architecture": "hf-hub:timm/x"}, "has no such model"),
        ({}, "small.architecture: missing"),
        (
            {"architecture": "test_resnet", "options": {"drop_rat": 0.1}},
            "options.drop_rat: test_resnet has no such option .did you mean 'drop_rate'",
        ),
        ({"architecture": "test_resnet", "options": {"num_classes": 3}}, "options.num_classes"),
        (
            {"architecture": "test_resnet", "options": {"drop_rate": None}},
            "options.drop_rate.*null",
        ),
        ({"architecture": "test_resnet", "imagesize": 3}, "imagesize.*did you mean 'image_size'"),
        ({"architecture": "test_resnet", "image_size": "big"}, "small.image_size: .*'big'"),
        ({"architecture": "test_resnet", "image_size": 0}, "image_size=0"),
        ({"architecture": "test_resnet", "in_chans": 0}, "in_chans=0"),
        ({"architecture": "test_convnext", "image_size": 8}, "cannot take images of 3x8x8"),
        (
            {"architecture": "test_resnet", "pretrained": True},
            "pretrained=true: .*checkpoint=FILE .*or pretrained=false",
        ),
        ({"architecture": "resnet10t", "checkpoint": "/no/such.pth"}, "no such file"),
        (
            {"architecture": "resnet10t", "checkpoint": "/no/such.pth", "pretrained": True},
            "exclude each other",
        ),
    ],
)
def test_mistakes_get_one_line(member, said):
    with pytest.raises(CascadeError, match=said) as raised:
        build(**member)
    assert "\n" not in str(raised.value)
    assert "small" in str(raised.value)


def test_architecture_without_weights_is_said(monkeypatch):
    architecture = next(n for n in timm.list_models("resnet*") if n not in _with_weights())
    with pytest.raises(CascadeError, match=f"timm has no weights for {architecture}"):
        build(architecture=architecture, pretrained=True)


def _with_weights():
    return {name.split(".")[0] for name in timm.list_models(pretrained=True)}


@pytest.mark.parametrize("content", ["truncated", "pickle", "other architecture"])
def test_bad_checkpoints_get_one_line(tmp_path, content):
    path = tmp_path / "weights.pth"
    if content == "truncated":
        torch.save(timm.create_model("test_resnet").state_dict(), path)
        path.write_bytes(path.read_bytes()[:1000])
    elif content == "pickle":
        torch.save({"state_dict": Opener()}, path)
    else:
        torch.save(timm.create_model("test_efficientnet").state_dict(), path)
    with pytest.raises(CascadeError, match=r"small.checkpoint=.*weights.pth: not ") as raised:
        build(architecture="test_resnet", checkpoint=str(path))
    assert "\n" not in str(raised.value)
