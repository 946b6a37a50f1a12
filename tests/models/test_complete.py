"""Building by family, saving whole directories, loading them back, and the key of the weights."""

import json

import pytest
import torch

from cascade_exp.errors import CascadeError
from cascade_exp.models import timm_models
from cascade_exp.models.complete import build_model, load_model, save_model, weights_key

MEMBER = {"family": "timm", "architecture": "test_resnet", "image_size": 16, "in_chans": 1}
CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def model():
    return build_model("small", MEMBER, CLASSES)


@pytest.mark.parametrize(
    ("member", "classes", "said"),
    [
        ({"architecture": "test_resnet"}, CLASSES, "small.family: missing; expected one of timm"),
        ({"family": "tim"}, CLASSES, "small.family=tim: .*did you mean 'timm'"),
        (MEMBER, ("cat",), "model small: found the classes .cat.*two or more"),
        (MEMBER, (), "model small: found the classes"),
        (MEMBER, ("cat", "cat"), "two or more different"),
        (MEMBER, ("cat", "dog", "cat"), "two or more different"),
    ],
)
def test_mistakes_get_one_line(member, classes, said):
    with pytest.raises(CascadeError, match=said):
        build_model("small", member, classes)


def test_classes_are_kept_as_text():
    assert build_model("small", MEMBER, [0, 1, 2]).classes == ("0", "1", "2")


def test_the_record_says_what_was_saved(model, tmp_path):
    save_model(model, tmp_path / "deep" / "small")
    record = json.loads((tmp_path / "deep" / "small" / "model.json").read_text())
    assert record["classes"] == ["cat", "dog"]
    assert record["input"]["kind"] == "image" and record["input"]["size"] == 16
    assert record["description"]["architecture"] == "test_resnet"
    loaded = load_model(str(tmp_path / "deep" / "small"))
    assert (loaded.name, loaded.classes, loaded.input) == ("small", CLASSES, model.input)


def test_an_older_model_is_replaced_and_nothing_left_beside(model, tmp_path):
    other = build_model("small", MEMBER, CLASSES)
    save_model(model, tmp_path / "small")
    save_model(other, tmp_path / "small")
    assert weights_key(load_model(tmp_path / "small")) == weights_key(other)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_failed_save_leaves_the_older_model(model, tmp_path, monkeypatch):
    save_model(model, tmp_path / "small")

    def fail(model, directory):
        (directory / "half").write_text("")
        raise OSError("disk full")

    monkeypatch.setattr(timm_models, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(build_model("small", MEMBER, CLASSES), tmp_path / "small")
    assert weights_key(load_model(tmp_path / "small")) == weights_key(model)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_folder_of_something_else_is_left_alone(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CascadeError, match="something else than a model"):
        save_model(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_is_filled(model, tmp_path):
    save_model(model, tmp_path)
    assert load_model(tmp_path).name == "small"


def _edit(path, **changes):
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, **changes}))


def _drop(path, key):
    record = json.loads(path.read_text())
    del record[key]
    path.write_text(json.dumps(record))


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("model.json", lambda p: p.unlink(), "no saved model here .expected model.json"),
        ("model.json", lambda p: p.write_text("{"), "model.json: not the record"),
        ("model.json", lambda p: p.write_text("[]"), "model.json: not the record"),
        ("model.json", lambda p: _drop(p, "input"), "model.json: not the record.* .no input"),
        ("model.json", lambda p: _edit(p, version=99), "found version 99"),
        ("model.json", lambda p: _edit(p, description={"family": "x"}), "family x"),
        ("model.json", lambda p: _edit(p, classes=["a", "b", "c"]), "not the weights of .* 3 cl"),
        ("model.safetensors", lambda p: p.unlink(), "model.safetensors: no such file"),
        ("model.safetensors", _truncate, "model.safetensors: damaged"),
        ("model.safetensors", lambda p: p.write_bytes(b""), "model.safetensors: damaged"),
    ],
)
def test_damaged_directories_get_one_line(model, tmp_path, file, damage, said):
    save_model(model, tmp_path / "small")
    damage(tmp_path / "small" / file)
    with pytest.raises(CascadeError, match=said) as raised:
        load_model(tmp_path / "small")
    assert "\n" not in str(raised.value)


def test_the_key_sees_every_bit_and_only_the_weights(model):
    again = build_model("other name", MEMBER, ("yes", "no"))
    again.network.load_state_dict(model.network.state_dict())
    assert weights_key(again) == weights_key(model)
    weight = again.network.fc.bias.data
    weight[0] = torch.nextafter(weight[0], torch.tensor(torch.inf))
    assert weights_key(again) != weights_key(model)


def test_the_key_sees_buffers_dtypes_and_the_architecture(model):
    keys = {weights_key(model)}
    for change in ("buffer", "dtype", "zero sign", "architecture"):
        again = build_model("small", MEMBER, CLASSES)
        again.network.load_state_dict(model.network.state_dict())
        if change == "buffer":
            again.network.bn1.running_mean[0] += 1
        elif change == "dtype":
            again.network.to(torch.bfloat16)
        elif change == "zero sign":
            again.network.bn1.running_mean[0] = -0.0
        else:
            again.description["options"] = {"output_stride": 16}
        keys.add(weights_key(again))
    assert len(keys) == 5
