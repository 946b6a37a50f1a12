"""Training jobs in which the last stage teaches the others: order, recordings, what is logged."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.folder import open_recordings
from tests.running import run

SMALL = (
    "data=synthetic_text",
    "data.train_size=300",
    "data.test_size=100",
    "models=bert_shaped",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.options.log_every_n_steps=1",
    "logger=csv",
    "callbacks=[checkpoint]",
    "evaluate=false",
)
FOUR = ("models.members.bert_2l.config.num_hidden_layers=4",)


def steps(job: Path, name: str) -> list[dict[str, str]]:
    with (job / "csv" / name / "metrics.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["train/loss"]]


def place(text: str, part: str) -> int:
    assert part in text
    return text.index(part)


@pytest.mark.parametrize(
    ("way", "more", "parts"),
    [
        ("vanilla", (), {"cross_entropy", "soft_targets"}),
        (
            "patient",
            (*FOUR, "models.members.bert_1l.config.num_hidden_layers=2"),
            {"cross_entropy", "soft_targets", "hidden_states"},
        ),
        ("theseus", FOUR, {"replacing_rate"}),
    ],
)
def test_the_last_stage_is_trained_first_and_teaches(tmp_path, capsys, way, more, parts):
    run("train", tmp_path / "job", *SMALL, *more, f"distillation={way}")
    said = capsys.readouterr().out
    assert place(said, "bert_2l: ") < place(said, "bert_1l: ")
    taught, teacher = (steps(tmp_path / "job", name) for name in ("bert_1l", "bert_2l"))
    assert parts <= {key.removeprefix("train/") for key, value in taught[0].items() if value}
    assert not any(f"train/{part}" in teacher[0] for part in parts)
    assert open_recordings(tmp_path / "job" / "recordings").names == ("bert_1l", "bert_2l")
    if way == "theseus":
        rates = [float(row["train/replacing_rate"]) for row in taught]
        assert rates == sorted(rates) and rates[0] == pytest.approx(0.3) and rates[-1] == 1


def test_a_teacher_that_is_not_listened_to_changes_nothing(tmp_path):
    alone, taught = tmp_path / "alone", tmp_path / "taught"
    run("train", alone, *SMALL)
    run("train", taught, *SMALL, "distillation=vanilla", "distillation.alpha=0")
    for name in ("bert_1l", "bert_2l"):
        one, other = (
            np.load(job / "recordings" / "report" / f"{name}.npy") for job in (alone, taught)
        )
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_goes_with_dar(tmp_path):
    dar = ("regularizer=dar", "regularizer.folds=2", "regularizer.seeds=1")
    run("train", tmp_path / "job", *SMALL, "distillation=vanilla", *dar)
    row = steps(tmp_path / "job", "bert_1l")[0]
    whole = float(row["train/task_loss"]) + 0.5 * float(row["train/dar"])
    assert float(row["train/loss"]) == pytest.approx(whole)
    mixed = 0.5 * float(row["train/cross_entropy"]) + 0.5 * float(row["train/soft_targets"])
    assert float(row["train/task_loss"]) == pytest.approx(mixed)


def test_label_smoothing_joins_the_task_loss_of_all_stages_but_the_last(tmp_path):
    run("train", tmp_path / "job", *SMALL, "regularizer=label_smoothing")
    row = steps(tmp_path / "job", "bert_1l")[0]
    whole = float(row["train/task_loss"]) + 0.1 * float(row["train/label_smoothing"])
    assert float(row["train/loss"]) == pytest.approx(whole)
    assert "train/label_smoothing" not in steps(tmp_path / "job", "bert_2l")[0]


def test_gatekeeper_is_a_second_phase_whose_last_weights_count(tmp_path, capsys):
    phase = ("regularizer=gatekeeper", "regularizer.max_epochs=1", "regularizer.alpha=0.01")
    lasting = ("callbacks=default", "regularizer.learning_rate=0.01")
    run("train", tmp_path / "job", *SMALL, *phase, *lasting, "distillation=vanilla")
    capsys.readouterr()
    first, second = (steps(tmp_path / "job", name)[0] for name in ("bert_1l", "bert_1l/gatekeeper"))
    assert first["train/soft_targets"] and "train/right" not in first
    mixed = 0.01 * float(second["train/right"]) + 0.99 * float(second["train/wrong"])
    assert float(second["train/loss"]) == pytest.approx(mixed)
    assert not (tmp_path / "job" / "csv" / "bert_2l" / "gatekeeper").exists()


def test_a_small_alpha_makes_wrong_answers_less_confident(tmp_path):
    digits = (
        "~models.members.resnet10t_32px",
        "trainer.max_epochs=3",
        "trainer.accelerator=cpu",
        "data.limit_train=600",
        "logger=none",
        "evaluate=false",
    )
    wrong = {}
    for alpha in (0.05, 0.95):
        job = tmp_path / str(alpha)
        run("train", job, *digits, "regularizer=gatekeeper", f"regularizer.alpha={alpha}")
        found = open_recordings(job / "recordings").split("report")
        p = softmax(found.outputs["resnet_16px"].astype(np.float64), axis=1)
        wrong[alpha] = p.max(axis=1)[p.argmax(axis=1) != found.labels].mean()
    assert wrong[0.05] < wrong[0.95] - 0.1, wrong


def test_a_plain_member_learns_the_task_alone(tmp_path):
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    run("train", alone, *SMALL)
    run(
        "train",
        beside,
        *SMALL,
        "distillation=vanilla",
        "regularizer=dar",
        "regularizer.folds=2",
        "regularizer.seeds=1",
        "+models.members.bert_1l.training.unregularised=true",
    )
    assert not list((tmp_path / "cache").glob("difficulty/*"))
    assert not {"train/dar", "train/soft_targets"} & set(steps(beside, "bert_1l")[0])
    one, other = (np.load(job / "recordings" / "report" / "bert_1l.npy") for job in (alone, beside))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_member_that_was_trained_elsewhere_need_not_fit_its_teacher(tmp_path):
    run("train", tmp_path / "first", *SMALL, "trainer.max_epochs=1")
    taken = f"+models.members.bert_1l.training.run={tmp_path / 'first'}"
    run("train", tmp_path / "second", *SMALL, "trainer.max_epochs=1", "distillation=patient", taken)
    assert (tmp_path / "second" / "recordings" / "report" / "bert_1l.npy").is_file()


@pytest.mark.parametrize("way", ["patient", "theseus"])
def test_a_teacher_that_was_trained_elsewhere_looks_at_the_same_tokens(tmp_path, way):
    deep = (
        *SMALL,
        *FOUR,
        "models.members.bert_1l.config.num_hidden_layers=2",
        "trainer.max_epochs=1",
    )
    run("train", tmp_path / "first", *deep)
    taken = f"+models.members.bert_2l.training.run={tmp_path / 'first'}"
    run("train", tmp_path / "second", *deep, f"distillation={way}", taken)
    parts = {"patient": "train/hidden_states", "theseus": "train/replacing_rate"}
    assert steps(tmp_path / "second", "bert_1l")[0][parts[way]]


def test_an_epoch_shorter_than_the_logging_interval_is_logged(tmp_path):
    few = ("data.limit_train=40", "trainer.max_epochs=1", "trainer.options.log_every_n_steps=50")
    run("train", tmp_path / "job", *SMALL, *few)
    assert steps(tmp_path / "job", "bert_1l")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ("models=deebert", "encoder=x", "+models.members.deebert.training.unregularised=true"),
            "deebert.training.unregularised: networks with exits are neither",
        ),
        (("distillation=vanilla", "distillation.alpha=2"), "distillation.alpha=2"),
        (("distillation=theseus", "distillation.ramp=0"), "distillation.ramp=0"),
        (("distillation=patient",), "a student of 1 layers"),
        (("distillation=vanilla", "~models.members.bert_2l"), "the pool has 1 complete model"),
        (
            ("distillation=theseus", "models.members.bert_1l.max_length=32"),
            "differ in max_length: 32 and 64",
        ),
        (
            ("distillation=theseus", "models.members.bert_1l.config.intermediate_size=128"),
            "expected two of one kind, width and vocabulary",
        ),
    ],
)
def test_bad_settings_are_said_in_one_line(tmp_path, overrides, said):
    with pytest.raises(CascadeError) as refused:
        run("train", tmp_path / "job", *SMALL, "trainer.max_epochs=1", *overrides)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "job" / "checkpoints").exists()


def test_images_have_vanilla_distillation_only(tmp_path):
    digits = ("data.limit_train=100", "trainer.max_epochs=1", "logger=none", "evaluate=false")
    run("train", tmp_path / "job", *digits, "distillation=vanilla", "callbacks=none")
    with pytest.raises(CascadeError, match="distillation=patient: expected text models"):
        run("train", tmp_path / "no", *digits, "distillation=patient", "callbacks=none")
