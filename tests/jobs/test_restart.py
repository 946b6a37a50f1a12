"""Jobs known by what they were asked to do, and what is left of one that did not finish."""

import json
import os
from pathlib import Path

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.restart import job_key, kept_status
from cascade_exp.report.results.status import read_status
from tests.recordings.making import make_recordings
from tests.running import run
from tests.test_configs import composed


@pytest.fixture
def recordings(tmp_path) -> Path:
    make_recordings(tmp_path / "rec", {"small": 1.0, "large": 10.0}, size=60)
    return tmp_path / "rec"


def test_a_key_is_of_what_is_asked_and_not_of_where_it_is_logged(recordings):
    def key(*overrides: str) -> str:
        return job_key("evaluate", composed("evaluate", f"recordings={recordings}", *overrides))

    plain = key()
    assert key("logger=none") == key("paths.output_dir=elsewhere") == plain
    different = [key("metric=entropy"), key("seed=1"), key("metric=topk_sum", "metric.k=3")]
    assert len({plain, *different, key("metric=topk_sum", "metric.k=2")}) == 5
    (recordings / "models.csv").write_text((recordings / "models.csv").read_text() + "\n")
    assert key() != plain


def test_a_key_needs_no_complete_configuration(tmp_path):
    config = composed("evaluate", "cascade=stages", f"paths.output_dir={tmp_path}")
    assert len(job_key("evaluate", config)) == 64


def test_states_from_start_to_end(tmp_path):
    with kept_status(tmp_path, "evaluate", "k", ["metric=entropy"]) as start:
        assert not start.resumed
        running = read_status(tmp_path)
        assert running is not None and running.state == "running" and running.seconds is None
    finished = read_status(tmp_path)
    assert finished is not None and finished.state == "finished" and finished.seconds is not None
    assert finished.overrides == ["metric=entropy"]


@pytest.mark.parametrize("error", [CascadeError("no such file"), KeyboardInterrupt()])
def test_an_unfinished_job_is_resumed_with_the_same_run(tmp_path, error):
    with (
        pytest.raises(type(error)),
        kept_status(tmp_path, "train", "k", []) as first,
    ):
        raise error
    left = read_status(tmp_path)
    assert left is not None
    expected = ("failed", "no such file")
    if not isinstance(error, CascadeError):
        expected = ("interrupted", None)
    assert (left.state, left.reason) == expected
    with kept_status(tmp_path, "train", "k", []) as second:
        assert second.resumed and second.run_id == first.run_id
    again = read_status(tmp_path)
    assert again is not None and again.attempts == 2 and again.state == "finished"


@pytest.mark.parametrize("key", ["other", "k"])
def test_another_job_and_a_finished_one_start_anew(tmp_path, key):
    with kept_status(tmp_path, "train", "k", []) as first:
        pass
    with kept_status(tmp_path, "train", key, []) as second:
        assert not second.resumed and second.run_id != first.run_id


def test_the_agent_of_a_sweep_names_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "fromagent")
    with kept_status(tmp_path / "a", "train", "k", []) as start:
        assert start.run_id != "fromagent"
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    with kept_status(tmp_path / "b", "train", "k", []) as start:
        assert start.run_id == "fromagent"


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}', "{"])
def test_a_damaged_status_is_none(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    assert read_status(tmp_path) is None


def test_training_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "offline")
    job = tmp_path / "job"
    same = (
        "data.limit_train=150",
        "trainer.max_epochs=1",
        "callbacks=[checkpoint]",
        "~models.members.resnet10t_32px",
    )
    blocking = job / "models" / "resnet_32px" / "in the way"
    blocking.mkdir(parents=True)
    with pytest.raises(CascadeError, match="holds something else"):
        run("train", job, *same)
    left = read_status(job)
    assert left is not None and left.state == "failed" and "something else" in str(left.reason)
    blocking.rmdir()
    blocking.parent.rmdir()
    capsys.readouterr()
    run("train", job, *same)
    said = capsys.readouterr().out
    assert said.count("trained before this job was interrupted") == 1
    assert f"resuming from {job / 'checkpoints' / 'resnet_32px' / 'last.ckpt'}" in said
    assert json.loads((job / "results" / "summary.json").read_text())["chosen"]
    ids = {folder.name.rpartition("-")[2] for folder in job.glob("wandb/offline-run-*")}
    done = read_status(job)
    assert done is not None and ids == {left.run_id} == {done.run_id}
    assert len(list(job.glob("wandb/offline-run-*"))) == 2


def test_a_key_is_of_the_content_of_the_data_and_not_of_the_time_of_its_files(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("text,label\na,1\nb,0\n")

    def key(*overrides: str) -> str:
        return job_key("train", composed("train", *overrides))

    given = ("data=csv", f"data.train_file={table}")
    before = key(*given)
    os.utime(table, (1, 1))
    assert key(*given) == before
    table.write_text("text,label\na,0\nb,1\n")  # as many bytes as before
    os.utime(table, (1, 1))
    assert key(*given) != before
    root = ("data=image_folder", f"data.root={tmp_path}")
    before = key(*root)
    table.write_text("text,label\na,0\nb,1\nc,1\n")
    assert key(*root) != before
    assert key("data=image_folder", "data.root=nowhere") == key(
        "data=image_folder", "data.root=nowhere"
    )
