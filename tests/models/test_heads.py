"""Multiple-choice heads: built, cut, saved, counted; the logits are the endings' scores."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForMultipleChoice, BertTokenizer

from cascade_exp.errors import CascadeError
from cascade_exp.models.complete import build_model, load_model, save_model
from cascade_exp.models.meter import measure

ENDINGS = ("ending0", "ending1", "ending2")


def built(**member):
    given = {"family": "transformers", "head": "multiple_choice", "max_length": 20, **member}
    return build_model("small", given, ENDINGS)


def questions(directory, pairs):
    """``pairs``: for each question its (context, ending)s."""
    tokenizer = BertTokenizer.from_pretrained(directory)
    flat = [pair for question in pairs for pair in question]
    encoded = tokenizer(
        [a for a, _ in flat], [b for _, b in flat], padding=True, return_tensors="pt"
    )
    return {k: v.view(len(pairs), len(pairs[0]), -1) for k, v in encoded.items()}


ASKED = [
    [("good film", "very good"), ("good film", "bad"), ("good film", "not a film")],
    [("a b c", "d"), ("a b c", "e f"), ("a b c", "g")],
]


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "xlnet"])
def test_every_encoder_of_the_paper_scores_the_endings(encoder_dir, kind):
    fields = {"d_inner": 64, "d_head": 8} if kind == "xlnet" else {}
    directory = encoder_dir(kind, **fields)
    model = built(encoder=directory)
    model.network.eval()
    assert model.input.endings == 3
    with torch.no_grad():
        together = model.network(questions(directory, ASKED))
        turned = model.network(questions(directory, [row[::-1] for row in ASKED]))
    assert together.shape == (2, 3)
    torch.testing.assert_close(together, turned.flip(1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cut", [False, True])
def test_a_saved_one_is_transformers_own_and_says_the_same(encoder_dir, tmp_path, cut):
    directory = encoder_dir("bert")
    family = {"family": "truncated", "layers": 2} if cut else {}
    model = built(encoder=directory, **family)
    model.network.eval()
    save_model(model, tmp_path / "saved")
    loaded = load_model(tmp_path / "saved")
    inputs = questions(directory, ASKED)
    plain = AutoModelForMultipleChoice.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        expected = model.network(inputs)
        torch.testing.assert_close(loaded.network(inputs), expected, atol=0, rtol=0)
        torch.testing.assert_close(plain(**inputs).logits, expected)
    assert loaded.input.endings == 3 and loaded.layers == (2 if cut else 4)


def test_costs_are_those_of_all_endings(encoder_dir):
    directory = encoder_dir("bert")
    three = measure(built(encoder=directory))
    alone = measure(
        build_model(
            "one", {"family": "transformers", "encoder": directory, "max_length": 20}, ("no", "yes")
        )
    )
    head = 3 * 32 - 3 * 2 * 32  # one output an ending instead of two
    assert three.macs == 3 * alone.macs + head
    assert three.input == "3x20 tokens"


def test_unknown_heads_and_types_without_one(encoder_dir):
    with pytest.raises(CascadeError, match=r"head=multiple: .*did you mean 'multiple_ch"):
        built(encoder=encoder_dir("bert"), head="multiple")
    with pytest.raises(CascadeError, match=r"model_type=gpt2: .*no multiple-choice head"):
        built(config={"model_type": "gpt2"})
