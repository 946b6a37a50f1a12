"""A job's folder: one job at a time, of one key, in a folder of its own."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from cascade_exp.errors import CascadeError
from cascade_exp.jobs.finding import find_recordings
from cascade_exp.jobs.folders import PARTS, held
from cascade_exp.jobs.restart import inputs_of, kept_status
from cascade_exp.jobs.sweeps import open_sweep
from cascade_exp.recordings.write import write_labels, write_models
from cascade_exp.report.comparison.runs import read_run
from cascade_exp.report.results.status import check_same_job, read_status
from cascade_exp.schema.registry import register
from tests.evaluating import settings_of

CONF = Path(__file__).parents[2] / "conf"


def composed(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(CONF), version_base="1.3", job_name="evaluate"):
        return compose("evaluate", overrides=list(overrides), return_hydra_config=True)


def test_jobs_of_one_second_get_folders_of_their_own():
    found = [composed("logger=none").hydra for _ in range(20)]
    assert len({hydra.run.dir for hydra in found}) == 20
    assert len({hydra.sweep.dir for hydra in found}) == 20
    assert all(hydra.run.dir == hydra.run.dir for hydra in found)


def _hold(folder: Path, ready, done) -> None:
    with kept_status(folder, "train", "k", []):
        ready.set()
        done.wait(60)


@pytest.mark.parametrize("key", ["k", "another"])
def test_a_folder_in_which_a_job_runs_is_refused_and_left_as_it_is(tmp_path, key):
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, done))
    process.start()
    try:
        assert ready.wait(60)
        before = (tmp_path / "job.json").read_bytes()
        with (
            pytest.raises(CascadeError, match=r"another job is running .*hydra\.run\.dir=…"),
            kept_status(tmp_path, "train", key, []),
        ):
            pass
        assert (tmp_path / "job.json").read_bytes() == before
    finally:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    with kept_status(tmp_path, "train", "k", []) as start:  # a dead process holds nothing
        assert start.resumed


def _leave(folder: Path) -> None:
    """All that a finished job of the key ``old`` leaves."""
    with kept_status(folder, "train", "old", []):
        for part in PARTS:
            path = folder / part / "report" / "labels.npy"
            if part.endswith(".json"):
                path = folder / part
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"old")
    (folder / "mine.txt").write_text("of the user")


def test_what_another_key_left_is_gone_before_anything_is_written(tmp_path):
    _leave(tmp_path)
    with kept_status(tmp_path, "train", "new", []):
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"job.json", "mine.txt", ".lock"}


@pytest.mark.parametrize("key", ["old"])
def test_what_the_same_key_left_stays(tmp_path, key):
    _leave(tmp_path)
    with kept_status(tmp_path, "train", key, []):
        assert all((tmp_path / part).exists() for part in PARTS)


@pytest.mark.parametrize("named", ["last", "folder"])
def test_checkpoints_to_resume_from_stay(tmp_path, named):
    _leave(tmp_path)
    given = "last" if named == "last" else str(tmp_path)
    with kept_status(tmp_path, "train", "new", [], {"ckpt_path": given}):
        assert (tmp_path / "checkpoints").exists() and not (tmp_path / "recordings").exists()


@pytest.mark.parametrize("key", ["run", "recordings", "models.members.a.training.run"])
def test_a_job_does_not_remove_what_it_reads(tmp_path, key):
    _leave(tmp_path)
    read = tmp_path if key != "recordings" else tmp_path / "recordings"
    with (
        pytest.raises(CascadeError, match=f"{key}=.*would first remove"),
        kept_status(tmp_path, "train", "new", [], {key: str(read)}),
    ):
        pass
    assert all((tmp_path / part).exists() for part in PARTS)


def test_a_job_of_another_kind_is_refused(tmp_path):
    _leave(tmp_path)
    with (
        pytest.raises(CascadeError, match="holds a job of train"),
        kept_status(tmp_path, "evaluate", "new", []),
    ):
        pass
    assert all((tmp_path / part).exists() for part in PARTS)
    status = read_status(tmp_path)
    assert status is not None and status.key == "old"


def test_inputs_are_found_in_the_configuration():
    config = OmegaConf.create(
        {"run": "a", "recordings": None, "models": {"members": {"x": {"training": {"run": "b"}}}}}
    )
    assert inputs_of(config) == {"run": "a", "models.members.x.training.run": "b"}


def _recorded(job: Path, key: str, recorded_by: str | None) -> None:
    with kept_status(job, "train", key, []):
        for split in ("selection", "report"):
            write_labels(job / "recordings" / split, np.arange(4), np.arange(4), recorded_by)
        write_models(job / "recordings", {})


@pytest.mark.parametrize(("recorded_by", "refused"), [("k", False), (None, False), ("j", True)])
def test_recordings_of_another_job_are_refused(tmp_path, recorded_by, refused):
    job = tmp_path / "job"
    _recorded(job, "k", recorded_by)
    for given in ([f"run={job}"], [f"paths.output_dir={tmp_path}"]):
        settings = settings_of(*given)
        if refused:
            with pytest.raises(CascadeError, match=r"labels\.json: made by another job"):
                find_recordings(settings)
        else:
            assert find_recordings(settings) == job / "recordings"


def test_results_of_another_job_are_not_compared(tmp_path):
    with kept_status(tmp_path, "evaluate", "k", []):
        pass
    check_same_job(tmp_path, "k", tmp_path / "results")
    with pytest.raises(CascadeError, match="made by another job"):
        check_same_job(tmp_path, "j", tmp_path / "results")
    run = read_run(tmp_path, "job")
    assert run.results is None and run.reason


def test_a_sweep_that_another_process_runs_is_not_resumed(tmp_path):
    def sweep(*given: str):
        config = composed(f"paths.output_dir={tmp_path}", *given)
        return open_sweep(config, ["metric=entropy"])

    with sweep() as first, sweep() as second:
        assert first != second
    with sweep() as resumed:  # neither was ended
        assert resumed in (first, second)
        with (
            pytest.raises(CascadeError, match=r"hydra\.sweep\.dir=…"),
            held(resumed, "hydra.sweep.dir"),
        ):
            pass
        noted = json.loads((resumed / "sweep.json").read_text())
        assert noted["state"] == "running"
