"""Difficulty labels inside a training job: made once, divided, killed and resumed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict
from rich.console import Console
from transformers import get_scheduler

from cascade_exp.data.tokenizing import build_tokenizer
from cascade_exp.errors import CascadeError
from cascade_exp.jobs.fold_jobs import has_launcher
from cascade_exp.learning.feeding import feed
from cascade_exp.learning.folds import EPOCHS
from cascade_exp.schema.checks import check_members
from cascade_exp.schema.registry import register
from cascade_exp.training.labelling import label_stages
from cascade_exp.training.pool import TrainingPool
from tests.running import ROOT, run

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = (
    "data.limit_train=150",
    "data.batch_size=16",
    "trainer.max_epochs=4",
    "optimizer.learning_rate=0.01",
    "trainer.accelerator=cpu",
    "trainer.options.log_every_n_steps=1",
    "logger=csv",
    "callbacks=[checkpoint]",
    "evaluate=false",
    "~models.members.resnet10t_32px",
    "regularizer=dar",
    "regularizer.folds=3",
    "regularizer.seeds=2",
)


def label_files(outputs: Path) -> list[Path]:
    return sorted((outputs / "cache" / "difficulty").glob("*/labels.csv"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def opened(folder: Path, *overrides: str) -> TrainingPool:
    """A job's pool as far as labelling needs it."""
    GlobalHydra.instance().clear()
    register()
    caches = (f"paths.output_dir={folder.parent}", f"paths.cache_dir={folder.parent / 'cache'}")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3", job_name="train"):
        config = compose("train", overrides=[*caches, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    settings = OmegaConf.to_object(config)
    job = SimpleNamespace(folder=folder, key="as asked", console=Console(), resumed=False)
    return TrainingPool(job, settings, check_members(config.models))


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "job"
    run("train", folder, *SMALL)
    return folder


def test_only_the_stages_before_the_last_are_labelled_and_regularised(job):
    (labels,) = label_files(job.parent)
    table = rows(labels)
    assert list(table[0]) == ["id", "correct_0", "correct_1", "difficulty"]
    assert len(table) == 150
    assert {row["difficulty"] for row in table} == {"0", "1"}
    assert any(row["correct_0"] != row["correct_1"] for row in table)
    for row in table:
        assert row["difficulty"] == str(int("0" in (row["correct_0"], row["correct_1"])))
    first, last = (rows(job / "csv" / f"resnet_{n}px" / "metrics.csv") for n in (16, 32))
    assert "train/dar" not in last[0] and "selection/dis" in last[0]
    steps = [row for row in first if row["train/loss"]]
    assert len(steps) == 40
    assert any(float(row["train/dar"]) > 0 for row in steps)
    for row in steps:
        task, term = float(row["train/task_loss"]), float(row["train/dar"])
        assert float(row["train/loss"]) == pytest.approx(task + 0.5 * term)
    assert sum(bool(row["selection/dis"]) for row in first) == 4  # every epoch


def test_labels_of_folds_that_learn_nothing_are_warned_of(job, tmp_path, capsys):
    run("train", tmp_path / "job", *SMALL, "trainer.max_epochs=1", "optimizer.learning_rate=1e-9")
    out = " ".join(capsys.readouterr().out.split())
    assert "Warning: the fold models of resnet_16px are hardly better than always" in out
    (labels,) = label_files(tmp_path)
    quality = json.loads((labels.parent / "quality.json").read_text())
    assert not quality["informative"]
    learnt = json.loads((label_files(job.parent)[0].parent / "quality.json").read_text())
    assert learnt["informative"] and learnt["held_out"] > 2 * learnt["majority"]
    table = rows(label_files(job.parent)[0])
    right = [int(row[f"correct_{seed}"]) for row in table for seed in (0, 1)]
    assert learnt["held_out"] == pytest.approx(sum(right) / len(right))


def test_labels_are_kept_whatever_the_margin_and_the_jobs_seed(job, tmp_path, capsys):
    run("train", job.parent / "again", *SMALL, "regularizer.margin=0.1", "seed=3")
    assert "taken from" in capsys.readouterr().out
    assert len(label_files(job.parent)) == 1
    run("train", tmp_path / "job", *SMALL, "trainer.max_epochs=1")
    (other,) = label_files(tmp_path)
    assert other.parent.name != label_files(job.parent)[0].parent.name


def test_a_job_for_each_fold_makes_the_same_labels(job, tmp_path, capsys):
    for fold in (2, 0, 1):
        run("train", tmp_path / f"fold{fold}", *SMALL, f"regularizer.fold={fold}")
        assert not (tmp_path / f"fold{fold}" / "checkpoints").exists()
    assert "0 of 6 fits are left" in capsys.readouterr().out
    (made,) = label_files(tmp_path)
    assert made.read_bytes() == label_files(job.parent)[0].read_bytes()
    with pytest.raises(CascadeError, match=r"regularizer\.fold=3: expected 0 to 2"):
        run("train", tmp_path / "none", *SMALL, "regularizer.fold=3")


@pytest.mark.slow
def test_a_job_killed_between_and_inside_folds_ends_with_the_same_labels(job, tmp_path):
    arguments = [
        sys.executable,
        "train.py",
        *SMALL,
        f"paths.output_dir={tmp_path}",
        f"paths.cache_dir={tmp_path / 'cache'}",
        f"hydra.run.dir={tmp_path / 'killed'}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            finished = list(tmp_path.glob("cache/difficulty/*/folds/*.csv"))
            inside = list(tmp_path.glob("cache/difficulty/*/unfinished/*/last.ckpt"))
            if finished and any(path.parent.name not in str(finished) for path in inside):
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL, "ended before it could be killed"
    assert not label_files(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in finished}
    run("train", tmp_path / "resumed", *SMALL)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    (made,) = label_files(tmp_path)
    assert made.read_bytes() == label_files(job.parent)[0].read_bytes()
    assert not (made.parent / "unfinished").exists()


def test_one_model_has_no_stage_to_regularise(tmp_path):
    with pytest.raises(CascadeError, match=r"regularizer=dar: .*1 complete model"):
        run("train", tmp_path / "job", *SMALL, "~models.members.resnet_32px")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("regularizer.fold=3", "regularizer.fold=3: expected 0 to 2"),
        ("regularizer.folds=1", "regularizer.folds=1: expected at least 2"),
        ("regularizer.folds=151", "regularizer.folds=151: 150 training examples"),
        ("regularizer.seeds=0", "regularizer.seeds=0: expected at least 1"),
        ("regularizer.margin=2", "regularizer.margin=2"),
        ("regularizer.pairs=some", "regularizer.pairs=some"),
    ],
)
def test_bad_settings_are_said_in_one_line(tmp_path, override, said):
    with pytest.raises(CascadeError) as refused:
        run("train", tmp_path / "job", *SMALL, override)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "job" / "checkpoints").exists()


def test_a_fold_finds_what_a_model_fitted_by_hand_finds(tmp_path):
    """Its weights, its order of batches and its augmentation are all drawn with the fold's seed."""
    seed, epochs = 1, 2
    settings = (*SMALL, f"trainer.max_epochs={epochs}", "data.augment=crop_flip")
    run("train", tmp_path / "job", *settings, "regularizer.fold=2")
    (table,) = tmp_path.glob(f"cache/difficulty/*/folds/seed{seed}-fold2.csv")
    found = {int(row["id"]): row["correct"] == "1" for row in rows(table)}
    pool = opened(tmp_path / "job", *settings)
    train = pool.splits.train
    held_out = np.isin(train.ids, list(found))
    assert held_out.sum() == 50
    model = pool.build("resnet_16px", seed)
    splits = replace(
        pool.splits,
        train=train.take(np.flatnonzero(~held_out)),
        validation=train.take(np.flatnonzero(held_out)),
    )
    data = feed(model.input, splits, pool.settings.data, seed=seed, cache_dir=None)
    network, batches = model.network.train(), data.train_dataloader()
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
        lr=0.01,
        fused=True,
    )
    steps = epochs * len(batches)
    schedule = get_scheduler("linear", optimizer, round(0.1 * steps), steps)
    for epoch in range(epochs):
        drawn = iter(batches)  # draws a number of its own
        torch.manual_seed(EPOCHS * seed + epoch)
        for batch in drawn:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(batch["inputs"]), batch["label"]).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.inference_mode():
        for batch in data.loader("validation"):
            right = network(batch["inputs"]).argmax(dim=1) == batch["label"]
            assert right.tolist() == [found[i] for i in batch["id"].tolist()]


class Opened(Exception):
    """In place of the fits of the labels."""


@pytest.fixture
def key_of(tmp_path, monkeypatch):
    """The key of the labels that a job would make."""

    def stop(pool, stores, *, wait):
        raise Opened(next(iter(stores.values())).folder.name)

    monkeypatch.setattr("cascade_exp.training.labelling._make", stop)

    def key(*overrides: str) -> str:
        with pytest.raises(Opened) as opened:
            run("train", tmp_path / "job", *SMALL, "callbacks=none", *overrides)
        return str(opened.value)

    return key


def test_the_key_holds_what_the_labels_depend_on_and_no_more(key_of, tmp_path):
    key = key_of()
    written = json.loads((tmp_path / "cache" / "difficulty" / key / "key.json").read_text())
    assert written["of"]["data"] == "digits" and written["of"]["examples"] == 150
    assert written["of"]["model"]["architecture"] == "test_resnet"
    for same in (
        ["regularizer.margin=0.1", "regularizer.weight=0.9", "regularizer.pairs=sampled"],
        ["seed=3"],
        ["trainer.devices=2"],
        ["trainer.options.log_every_n_steps=7", "+trainer.options.enable_progress_bar=false"],
    ):
        assert key_of(*same) == key, same
    for other in (
        ["data.limit_train=149"],
        ["data.seed=1"],
        # an architecture of another name would be fed otherwise prepared images too
        ["+models.members.resnet_16px.options.drop_rate=0.1"],
        ["optimizer.learning_rate=0.02"],
        ["trainer.max_epochs=3"],
        ["+trainer.options.accumulate_grad_batches=2"],
        ["data.batch_size=8"],
        ["regularizer.folds=2"],
        ["regularizer.seeds=1"],
    ):
        assert key_of(*other) != key, other


def test_what_is_held_out_is_not_trained_on(tmp_path):
    """Words that say nothing of their labels: learnt by heart, and guessed where held out."""
    rng = np.random.default_rng(0)
    words = [f"w{i:02d}" for i in range(60)]
    lines = [
        f"{word} {word},{label}" for word, label in zip(words, rng.permutation(60) % 2, strict=True)
    ]
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines, ""]))
    build_tokenizer(words, max_length=8).save_pretrained(tmp_path / "tokenizer")
    members = ("bert_1l", "bert_2l")
    run(
        "train",
        tmp_path / "outputs" / "job",
        "data=csv",
        f"data.train_file={tmp_path / 'train.csv'}",
        f"data.test_file={tmp_path / 'test.csv'}",
        "data.batch_size=8",
        "models=bert_shaped",
        *(f"+models.members.{name}.tokenizer={tmp_path / 'tokenizer'}" for name in members),
        *(f"models.members.{name}.max_length=8" for name in members),
        "trainer.max_epochs=25",
        "optimizer.learning_rate=0.003",
        "trainer.accelerator=cpu",
        "logger=none",
        "callbacks=none",
        "evaluate=false",
        "regularizer=dar",
        "regularizer.folds=3",
        "regularizer.seeds=2",
    )
    (labels,) = label_files(tmp_path / "outputs")
    table = rows(labels)
    for seed in ("correct_0", "correct_1"):
        assert np.mean([row[seed] == "1" for row in table]) < 0.7
    logits = np.load(tmp_path / "outputs" / "job" / "recordings" / "report" / "bert_1l.npy")
    truth = np.load(tmp_path / "outputs" / "job" / "recordings" / "report" / "labels.npy")
    assert np.mean(logits.argmax(axis=1) == truth) > 0.85  # most of them were trained on


def test_folds_take_one_device_and_no_options_that_serve_a_stages_own_fit(tmp_path, capsys):
    run(
        "train",
        tmp_path / "job",
        *SMALL,
        "trainer.max_epochs=1",
        "regularizer.folds=2",
        "regularizer.seeds=1",
        "regularizer.fold=0",
        "trainer.devices=2",
        "+trainer.options.enable_checkpointing=false",
        "+trainer.options.enable_progress_bar=false",
        "+trainer.options.val_check_interval=9",
        "callbacks=none",
    )
    assert "fold 0 of resnet_16px is done; 1 of 2 fits are left" in capsys.readouterr().out


def test_all_stages_are_labelled_before_any_is_trained_and_counted_together(tmp_path, capsys):
    stages = ["resnet_16px", "resnet_32px"]
    few = ("trainer.max_epochs=1", "regularizer.folds=2", "regularizer.seeds=1")
    pool = opened(tmp_path / "job", *SMALL, *few)
    assert not label_stages(pool, stages, pool.settings.regularizer)
    said = capsys.readouterr().out
    assert "resnet_16px: seed0-fold0 is done, 1 of 4" in said
    assert "resnet_32px: seed0-fold1 is done, 4 of 4" in said
    made = label_files(tmp_path)
    assert len(made) == 2
    assert not label_stages(pool, stages, pool.settings.regularizer)
    assert "is done" not in capsys.readouterr().out and label_files(tmp_path) == made
    only = opened(tmp_path / "job", *SMALL, *few, "regularizer.fold=1")
    assert label_stages(only, stages, only.settings.regularizer)
    recording = opened(tmp_path / "none" / "job", *SMALL, *few, "train=false")
    assert not label_stages(recording, stages, recording.settings.regularizer)
    assert not label_files(tmp_path / "none")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), False),
        (("hydra/launcher=joblib",), True),
        (("hydra/launcher=joblib", "hydra.mode=MULTIRUN"), False),
        (("hydra/launcher=joblib", "hydra/sweeper=basic"), False),
    ],
)
def test_a_job_by_itself_labels_through_the_launcher_that_is_chosen(tmp_path, overrides, expected):
    opened(tmp_path / "job", *SMALL, *overrides)
    assert has_launcher() is expected


def through_joblib(folder: Path, monkeypatch, *overrides: str) -> bool:
    given = (*SMALL, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    pool = opened(folder, *given)
    caches = (f"paths.output_dir={folder.parent}", f"paths.cache_dir={folder.parent / 'cache'}")
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *caches, *given, *overrides])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return label_stages(pool, ["resnet_16px"], pool.settings.regularizer)


@pytest.mark.slow
def test_folds_through_a_launcher_make_the_same_labels(job, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "the job's"  # a name that must be quoted
    assert not through_joblib(folder, monkeypatch)
    said = capsys.readouterr().out
    assert "6 of 6 fits are done" in said and "seed0-fold0 is done" not in said
    (made,) = label_files(folder.parent)
    assert made.read_bytes() == label_files(job.parent)[0].read_bytes()
    assert len(list((folder / "labelling").glob("*/job.json"))) == 3


def test_a_launcher_whose_jobs_fail_is_said_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(CascadeError, match=r"labelling .* failed \(.*nosuch.*output\.txt") as said:
        through_joblib(tmp_path / "job", monkeypatch, "nosuch=1")
    assert "\n" not in str(said.value)
