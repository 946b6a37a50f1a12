"""Saved models that were damaged or tampered with: one line, no unpickling, no network."""

import json
import socket

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import build_model, load_model, save_model

MEMBER = {"family": "timm", "architecture": "test_resnet", "image_size": 16, "in_chans": 1}


@pytest.fixture
def saved(tmp_path):
    save_model(build_model("small", MEMBER, ("cat", "dog")), tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def no_network(monkeypatch):
    """Every connection fails the test, even if the library catches the error."""
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: tried.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **__: tried.append(where) or [])
    yield
    assert not tried


def change(saved, **fields) -> None:
    record = json.loads((saved / "model.json").read_text())
    for path, value in fields.items():
        *above, last = path.split("__")
        place = record
        for key in above:
            place = place[key]
        place[last] = value
    (saved / "model.json").write_text(json.dumps(record))


def test_a_flipped_bit_in_the_weights_is_noticed(saved):
    weights = saved / "model.safetensors"
    whole = bytearray(weights.read_bytes())
    whole[len(whole) // 2] ^= 1
    weights.write_bytes(whole)
    with pytest.raises(CascadeError, match=r"model\.safetensors: damaged or changed"):
        load_model(saved)


def test_a_model_without_checksums_still_loads(saved):
    record = json.loads((saved / "model.json").read_text())
    assert set(record.pop("sha256")) == {"model.safetensors"}
    (saved / "model.json").write_text(json.dumps(record))
    assert load_model(saved).name == "small"


@pytest.mark.parametrize(
    "fields",
    [
        {"classes": 5},
        {"classes": [1, 2]},
        {"layers": "x"},
        {"name": None},
        {"input": []},
        {"input__size": "x"},
        {"input__kind": "smell"},
        {"input__mean": 3},
        {"description": []},
        {"description__family": ["timm"]},
        {"description__architecture": "hf-hub:evil/x"},
        {"description__architecture": "local-dir:/etc"},
        {"description__architecture": 3},
        {"description__in_chans": "many"},
        {"description__options": {"pretrained": True}},
        {"description__options": {"checkpoint_path": "evil.pth"}},
        {"description__options": 7},
        {"description__another": 1},
        {"sha256": 3},
        {"sha256": {"model.safetensors": 3}},
    ],
    ids=str,
)
def test_a_record_with_other_content_is_one_line(saved, no_network, fields):
    change(saved, **fields)
    with pytest.raises(CascadeError) as error:
        load_model(saved)
    assert str(saved) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"', "[" * 100_000])
def test_a_record_that_is_no_object_is_one_line(saved, text):
    (saved / "model.json").write_text(text)
    with pytest.raises(CascadeError, match=r"model\.json: not the record of a saved model"):
        load_model(saved)
