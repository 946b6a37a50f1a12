"""Distillation against numbers by hand, and on real (tiny) encoders."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cascade_exp.errors import CascadeError
from cascade_exp.learning.distillation import (
    PatientDistillation,
    VanillaDistillation,
    matched_layers,
    patient_loss,
    soft_target_loss,
)
from cascade_exp.learning.theseus import ModuleReplacing
from cascade_exp.models.complete import build_model
from tests.learning.settings import patient, theseus, vanilla
from tests.models.conftest import encoder_dir, tokenizer_dir  # noqa: F401  # fixtures
from tests.oracles.distillation import patient_by_hand, soft_targets_by_hand

CLASSES = ("no", "yes")


@given(
    st.integers(1, 6),
    st.integers(2, 4),
    st.floats(0, 1),
    st.sampled_from([0.5, 1.0, 2.0, 10.0]),
    st.integers(0, 1000),
)
def test_soft_targets_by_hand(size, classes, alpha, heat, seed):
    rng = np.random.default_rng(seed)
    student, teacher = rng.normal(0, 3, (2, size, classes)).astype(np.float32)
    labels = rng.integers(0, classes, size)
    found, parts = soft_target_loss(
        torch.from_numpy(student),
        torch.from_numpy(teacher),
        torch.from_numpy(labels),
        vanilla(alpha, heat),
    )
    expected = soft_targets_by_hand(
        student.tolist(), teacher.tolist(), labels.tolist(), alpha, heat
    )
    assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)
    mixed = (1 - alpha) * parts["cross_entropy"] + alpha * parts["soft_targets"]
    assert found.item() == pytest.approx(mixed.item())


def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn():
    logits = torch.randn(5, 3, requires_grad=True)
    loss, _ = soft_target_loss(
        logits, logits.detach(), torch.zeros(5, dtype=torch.long), vanilla(1.0, 4.0)
    )
    loss.backward()
    assert loss.abs() < 1e-6 and logits.grad.abs().max() < 1e-6


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(0, 1000))
def test_patient_by_hand(size, layers, width, seed):
    student, teacher = np.random.default_rng(seed).normal(size=(2, size, layers, width))
    found = patient_loss(torch.from_numpy(student), torch.from_numpy(teacher))
    assert found.item() == pytest.approx(patient_by_hand(student, teacher), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("teacher", "student", "how", "expected"),
    [
        (12, 6, "skip", [2, 4, 6, 8, 10]),  # Sun et al. 2019, §3.2
        (12, 6, "last", [7, 8, 9, 10, 11]),
        (12, 3, "skip", [4, 8]),
        (6, 2, "skip", [3]),
        (6, 4, "skip", [1, 3, 4]),
    ],
)
def test_matched_layers_are_the_papers(teacher, student, how, expected):
    assert matched_layers(teacher, student, how) == expected


@pytest.mark.parametrize(("teacher", "student"), [(6, 1), (6, 6), (2, 6)])
def test_refuses_what_cannot_be_matched(teacher, student):
    with pytest.raises(CascadeError, match="distillation=patient"):
        matched_layers(teacher, student, "skip")


def test_targets_are_found_by_id():
    logits = np.array([[3.0, 0.0], [0.0, 5.0]], dtype=np.float32)
    loss = VanillaDistillation(np.array([8, 2]), logits, vanilla(1.0, 1.0))
    network = torch.nn.Identity()
    batch = {
        "inputs": torch.tensor([[0.0, 5.0], [3.0, 0.0]]),
        "label": torch.tensor([0, 0]),
        "id": torch.tensor([2, 8]),
    }
    assert loss(network, batch, 0.0).loss.abs() < 1e-6
    assert not loss.state_dict()
    with pytest.raises(ValueError, match="without the teacher's answer"):
        loss(network, {**batch, "id": torch.tensor([2, 7])}, 0.0)


@pytest.fixture(scope="module")
def encoders(encoder_dir):  # noqa: F811
    return {kind: encoder_dir(kind, 4) for kind in ("bert", "roberta", "electra")}


def pair(encoder, layers):
    return tuple(
        build_model(
            name,
            {"family": "truncated", "encoder": encoder, "layers": count, "max_length": 32},
            CLASSES,
        )
        for name, count in (("s", layers), ("t", 4))
    )


def as_if_trained(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


def batch_of(size=6, length=9):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, 30, (size, length), generator=generator)
    return {
        "inputs": {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)},
        "label": torch.arange(size) % 2,
        "id": torch.arange(size),
    }


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_states_are_those_that_transformers_gives(encoders, kind):
    _, teacher = pair(encoders[kind], 2)
    inputs = batch_of()["inputs"]
    network = teacher.network.eval()
    logits, states = network.with_states(inputs)
    torch.testing.assert_close(logits, network(inputs))
    hidden = network.transformer.base_model(**inputs, output_hidden_states=True).hidden_states
    assert states.shape == (6, 4, 32)
    for layer in range(4):
        torch.testing.assert_close(states[:, layer], hidden[layer + 1][:, 0])


def test_patience_moves_the_students_states_to_the_teachers(encoders):
    student, teacher = pair(encoders["bert"], 2)
    as_if_trained(teacher)
    student.network.eval()  # dropout would blur how near they come
    before = copy.deepcopy(teacher.network.state_dict())
    loss = PatientDistillation(teacher.network, [2], patient())
    optimiser = torch.optim.Adam(student.network.parameters(), lr=1e-3)
    apart = []
    for _ in range(60):
        taught = loss(student.network, batch_of(), 0.0)
        expected = 0.5 * taught.parts["cross_entropy"] + 0.5 * taught.parts["soft_targets"]
        expected = expected + 100.0 * taught.parts["hidden_states"]
        torch.testing.assert_close(taught.loss, expected)
        optimiser.zero_grad()
        taught.loss.backward()
        optimiser.step()
        apart.append(taught.parts["hidden_states"].item())
    assert apart[-1] < 0.5 * apart[0]
    after = teacher.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is None for p in teacher.network.parameters())


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_theseus_begins_as_the_teacher_and_ends_as_the_student(encoders, kind):
    student, teacher = pair(encoders[kind], 2)
    as_if_trained(teacher)
    loss = ModuleReplacing(student, teacher, theseus(0.5, 0.5))
    inputs = batch_of()["inputs"]
    loss.teacher_layers.eval()
    student.network.eval()
    teacher.network.eval()
    torch.testing.assert_close(
        loss._mixed_logits(student.network, inputs, 0.0), teacher.network(inputs)
    )
    torch.testing.assert_close(
        loss._mixed_logits(student.network, inputs, 1.0), student.network(inputs)
    )
    assert len(student.network.transformer.base_model.get_submodule(loss.path)) == 2
    said = {tuple(loss._mixed_logits(student.network, inputs, 0.5)[0].tolist()) for _ in range(40)}
    assert len(said) == 4  # each of two layers in or out


def test_theseus_teaches_the_layers_alone(encoders):
    student, teacher = pair(encoders["bert"], 2)
    loss = ModuleReplacing(student, teacher, theseus(0.5, 0.5))
    before = copy.deepcopy(student.network.state_dict())
    theirs = copy.deepcopy(loss.teacher_layers.state_dict())
    parameters = [p for p in student.network.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(10):
        taught = loss(student.network.train(), batch_of(), 0.2)
        optimiser.zero_grad()
        taught.loss.backward()
        optimiser.step()
    after = student.network.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed and all(".encoder.layer." in key for key in changed)
    assert all(torch.equal(t, loss.teacher_layers.state_dict()[k]) for k, t in theirs.items())


def test_the_replacing_rate_is_linear_until_it_is_one():
    schedule = theseus(0.3, 0.5)
    found = [schedule.rate(done) for done in (0, 0.25, 0.5, 1)]
    assert found == pytest.approx([0.3, 0.65, 1, 1])


def test_theseus_shares_layers_out_evenly(encoders):
    with pytest.raises(CascadeError, match="4 layers cannot be shared out among 3"):
        ModuleReplacing(*pair(encoders["bert"], 3), theseus(0.5, 0.5))


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (lambda: vanilla(1.5, 1), "alpha=1.5"),
        (lambda: vanilla(0.5, 0), "temperature=0"),
        (lambda: theseus(0, 0.5), "base_rate=0"),
        (lambda: theseus(0.5, 0), "ramp=0"),
        (lambda: patient(layers="first"), "layers=first"),
        (lambda: patient(beta=-1.0), "beta=-1.0"),
    ],
)
def test_refuses_what_makes_no_sense(made, key):
    with pytest.raises(CascadeError, match=key):
        made()
