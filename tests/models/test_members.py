"""The keys of a member: defaults, wrong ones, and that reading them needs no torch."""

import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from cascade_exp.errors import CascadeError
from cascade_exp.models.members import (
    TimmMember,
    TransformersMember,
    TruncatedMember,
    read_member,
)


@pytest.mark.parametrize("wrap", [dict, OmegaConf.create])
def test_defaults_and_conversions(wrap):
    read = read_member("a", wrap({"architecture": "x", "image_size": "32"}), TimmMember)
    assert read == TimmMember("x", image_size=32)
    assert read_member("a", wrap({}), TransformersMember) == TransformersMember()
    cut = read_member("a", wrap({"encoder": "e", "layers": 2}), TruncatedMember)
    assert cut == TruncatedMember("e", 2, max_length=128)


def test_a_member_of_a_larger_config_keeps_its_interpolations():
    given = OmegaConf.create({"encoder": "e", "member": {"encoder": "${encoder}", "layers": 2}})
    assert read_member("a", given.member, TruncatedMember) == TruncatedMember("e", 2)
    given.member.layers = "???"
    with pytest.raises(CascadeError, match=r"a\.layers: missing"):
        read_member("a", given.member, TruncatedMember)
    given.member.layers = "${depth}"
    with pytest.raises(CascadeError, match=r"a\.member.layers: Interpolation key 'depth'"):
        read_member("a", given.member, TruncatedMember)


def test_nested_values_become_plain_and_are_not_shared():
    given = OmegaConf.create({"k": 2, "config": {"model_type": "bert", "sizes": [1, "${k}"]}})
    read = read_member("a", {"config": given.config}, TransformersMember)
    assert read.config == {"model_type": "bert", "sizes": [1, 2]}
    assert type(read.config) is dict and type(read.config["sizes"]) is list
    first, second = (read_member("a", {"architecture": "x"}, TimmMember) for _ in range(2))
    first.options["drop_rate"] = 0.5
    assert second.options == {}


@pytest.mark.parametrize(
    ("schema", "given", "said"),
    [
        (TimmMember, {}, "models.members.a.architecture: missing"),
        (TimmMember, {"architecture": "x", "pretraind": True}, "a.pretraind: .*'pretrained'"),
        (TimmMember, {"architecture": "x", "in_chans": "three"}, "a.in_chans: .*'three'"),
        (TimmMember, {"architecture": "x", "in_chans": None}, "a.in_chans: "),
        (TimmMember, {"architecture": "x", "pretrained": "maybe"}, "a.pretrained: .*'maybe'"),
        (TimmMember, {"architecture": "x", "options": 3}, "a.options: "),
        (TransformersMember, {"config": "bert"}, "a.config: "),
        (TransformersMember, {"layers": 2}, "a.layers: no such key"),
        (TruncatedMember, {"encoder": "e"}, "models.members.a.layers: missing"),
        (TruncatedMember, {"encoder": "e", "layers": 1.5}, "a.layers: .*1.5"),
    ],
)
def test_mistakes_get_one_line(schema, given, said):
    with pytest.raises(CascadeError, match=said) as raised:
        read_member("a", given, schema)
    assert "\n" not in str(raised.value)


def test_reading_members_imports_no_heavy_library():
    heavy = "torch timm transformers safetensors huggingface_hub"
    code = (
        "import sys, cascade_exp.models.members\n"
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
