"""Real offline W&B runs, read back with W&B's own reader."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.report.tracking import artifacts
from cascade_exp.report.tracking.artifacts import recordings_artifact
from tests.recordings.making import make_recordings
from tests.running import ROOT, run
from tests.warm import python

LEET = Path(sys.executable).with_name("wandb")


def inspected(run_folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [LEET, "leet", "inspect", "--summary", "--json", run_folder],
        capture_output=True,
        text=True,
        check=True,
    )
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def records(run_folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [LEET, "leet", "inspect", "--json", run_folder], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def only_run(job: Path) -> Path:
    (found,) = job.glob("wandb/offline-run-*")
    return found


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    make_recordings(tmp_path / "rec", {"small": 1.0, "large": 10.0}, size=80)
    return tmp_path / "rec"


def test_an_evaluation_lands_whole(tmp_path, recordings):
    job = tmp_path / "job"
    run("evaluate", job, f"recordings={recordings}", "logger.wandb.tags=[one,two]")
    logged = inspected(only_run(job))
    assert logged["state"] == "finished" and logged["exit_code"] == 0
    assert logged["config"]["metric"] == {"name": "max_softmax"}
    assert logged["config"]["threshold"]["rules"] == ["match_accuracy", "max_improvement"]
    summary = json.loads((job / "results" / "summary.json").read_text())
    point = summary["operating_points"]["match_accuracy"]
    assert logged["summary"]["match_accuracy/score"] == pytest.approx(point["report"]["score"])
    assert logged["summary"]["match_accuracy/cost"] == pytest.approx(point["report"]["cost"])
    started = next(r["run"] for r in records(only_run(job)) if r["type"] == "run")
    assert started["tags"] == ["one", "two"] and started["job_type"] == "evaluate"
    media = only_run(job) / "files" / "media"
    assert {p.stem for p in (job / "results" / "plots").glob("*.png")} <= {
        p.stem.split("_0_")[0] for p in media.glob("images/plots/*.png")
    }
    (front,) = media.glob("table/front_*.table.json")
    for name in ("exits", "operating_points", "single_models", "reliability"):
        assert list(media.glob(f"table/{name}_*.table.json")), name
    for name in ("front", "improvement", "reliability"):
        (chart,) = media.glob(f"table/charts/{name}_*.table.json")
        assert json.loads(chart.read_text())["data"]
    entries = [r["artifact"] for r in records(only_run(job)) if r["type"] == "artifact"]
    kinds = {a["type"]: a for a in entries}
    assert kinds["operating-point"]["name"].startswith("operating-point-")
    assert logged["config"]["recordings_artifact"].startswith("recordings-")
    rows = json.loads(front.read_text())
    written = (job / "results" / "frontier.csv").read_text().splitlines()
    assert len(rows["data"]) == len(written) - 1
    assert rows["columns"][:3] == ["stages", "thresholds", "exit_rates"]


def test_recordings_have_one_name_wherever_they_are_met(tmp_path, recordings):
    name = recordings_artifact(recordings).name
    shutil.copytree(recordings, tmp_path / "copy")
    assert recordings_artifact(tmp_path / "copy").name == name
    (recordings / "report" / "labels.npy").unlink()
    assert recordings_artifact(recordings).name != name


def test_large_recordings_are_logged_by_reference(recordings, monkeypatch):
    monkeypatch.setattr(artifacts, "COPIED", 10)
    entries = recordings_artifact(recordings).manifest.entries
    assert all(entry.ref.startswith("file://") for entry in entries.values())
    assert len(entries) == 7


def test_a_failed_job_does_not_look_finished(tmp_path, recordings):
    (recordings / "report" / "large.npy").unlink()
    job = tmp_path / "job"
    with pytest.raises(CascadeError, match=r"large\.npy: missing"):
        run("evaluate", job, f"recordings={recordings}")
    assert inspected(only_run(job))["exit_code"] == 1
    assert not (job / "results").exists()


def test_training_curves_are_named_by_model(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    job = tmp_path / "job"
    run(
        "train",
        job,
        "data.limit_train=150",
        "trainer.max_epochs=1",
        "callbacks=none",
        "logger=[wandb,csv]",
        "evaluate=false",
        "~models.members.resnet10t_32px",
    )
    summary = inspected(only_run(job))["summary"]
    keys = set(summary)
    for model in ("resnet_16px", "resnet_32px"):
        # a run's summary keeps the best epoch's
        assert set(summary[f"{model}/val/accuracy"]) == {"max"}
        assert set(summary[f"{model}/val/loss"]) == {"min"} and f"{model}/step" in keys
        assert "val/accuracy" in (job / "csv" / model / "metrics.csv").read_text()
    assert not {key for key in keys if key.startswith("val/")}


@pytest.mark.slow
def test_a_multirun_gives_one_finished_run_a_job_in_one_group(tmp_path, recordings):
    metrics = ["max_softmax", "entropy", "softmax_margin", "logits_margin"]
    done = subprocess.run(
        python(
            ROOT / "evaluate.py",
            "-m",
            f"recordings={recordings}",
            f"metric={','.join(metrics)}",
            "hydra.sweep.dir=sweep",
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = [only_run(tmp_path / "sweep" / str(number)) for number in range(4)]
    logged = [inspected(folder) for folder in runs]
    assert [t["config"]["metric"]["name"] for t in logged] == metrics
    assert all(t["exit_code"] == 0 for t in logged)
    assert len({t["run_id"] for t in logged}) == 4
    groups = {next(r["run"] for r in records(f) if r["type"] == "run")["run_group"] for f in runs}
    assert groups == {"sweep"}
