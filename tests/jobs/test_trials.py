"""Searches by Optuna that prune: refused where they cannot, killed and resumed for real."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from cascade_exp.errors import CascadeError, Pruned
from cascade_exp.jobs.trials import Trial, check_search, make_pruner, open_storage
from cascade_exp.learning.watching import WatchedValidation
from cascade_exp.report.results.status import PRUNED, read_status
from cascade_exp.schema.registry import register
from tests.running import ROOT, run

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs the extra optuna")
LEET = Path(sys.executable).with_name("wandb")
MODEL = "resnet_16px"
WATCHED = f"{MODEL}/val/accuracy.max"
SMALL = (
    "~models.members.resnet_32px",
    "~models.members.resnet10t_32px",
    "data.limit_train=100",
    "data.batch_size=16",
    "trainer.max_epochs=3",
    "trainer.accelerator=cpu",
    "callbacks=[checkpoint]",
    "evaluate=false",
    f"optimize={WATCHED}",
)


def searching(job: str, *overrides: str):
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3", job_name=job):
        return compose(
            job, overrides=["hparams_search=optuna", *overrides], return_hydra_config=True
        )


MEDIAN = ("hydra/sweeper/pruner=median", "hydra.sweeper.storage=study.journal")


@pytest.mark.parametrize(
    ("job", "overrides", "said"),
    [
        ("evaluate", ["optimize=null"], "optimize=null"),
        ("evaluate", ["hydra.sweeper.direction=[maximize,minimize]"], "hydra.sweeper.direction"),
        ("train", [f"optimize={MODEL}/val/loss.min"], "expected minimize"),
        ("evaluate", MEDIAN, "only train.py has epochs"),
        ("train", MEDIAN, "known at a job's end alone"),
        ("train", [*MEDIAN, f"optimize={WATCHED}", "train=false"], "train=false has no epochs"),
        (
            "train",
            [*MEDIAN, f"optimize={WATCHED}", "regularizer=dar", "regularizer.fold=0"],
            "regularizer.fold only makes labels",
        ),
        (
            "train",
            ["hydra/sweeper/pruner=median", f"optimize={WATCHED}"],
            "hydra.sweeper.storage=sqlite",
        ),
        ("train", [*MEDIAN, "optimize=resnet_61px/val/accuracy.max"], "did you mean 'resnet_16px"),
    ],
)
def test_a_search_that_cannot_work_is_refused_in_one_line(job, overrides, said):
    with pytest.raises(CascadeError) as refused:
        check_search(searching(job, *overrides), swept=[])
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_what_can_work_is_not_refused():
    check_search(searching("evaluate"), swept=[])
    check_search(searching("train", f"optimize={WATCHED}"), swept=[])
    check_search(searching("train", *MEDIAN, f"optimize={WATCHED}"), swept=[])
    # which models there are is then known for each job alone, which looks itself
    check_search(searching("train", *MEDIAN, "optimize=other/val/f1.max"), swept=["models"])


@pytest.mark.parametrize("name", ["none", "median", "hyperband", "successive_halving"])
def test_pruners_are_built(name):
    config = searching("train", f"hydra/sweeper/pruner={name}")
    made = make_pruner(config.hydra.sweeper.pruner)
    assert (made is None) == (name == "none")
    config.hydra.sweeper.pruner.options = {"startup": 1}
    if made is not None:
        with pytest.raises(CascadeError, match=r"hydra\.sweeper\.pruner\.options\.startup"):
            make_pruner(config.hydra.sweeper.pruner)


def test_a_storage_that_cannot_be_opened_is_said_in_one_line(tmp_path):
    with pytest.raises(CascadeError, match=r"^hydra\.sweeper\.storage=sqlite:///.*$"):
        open_storage(f"sqlite:///{tmp_path}/no/study.db")


def test_a_trial_asks_its_study_after_every_epoch(tmp_path):
    import optuna

    storage = open_storage(str(tmp_path / "study.journal"))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    study = optuna.create_study(storage=storage, pruner=pruner, direction="maximize")
    ends = []
    for values in ([0.5, 0.6], [0.4, 0.9], [0.7, 0.55]):
        trial = Trial(study.ask(), WATCHED)
        assert trial.watching("resnet_32px") is None
        goes_on = trial.watching(MODEL)
        ends.append([goes_on(e, {"val/accuracy": v}) for e, v in enumerate(values)])
        if all(ends[-1]):
            trial.end_if_pruned()
        else:
            with pytest.raises(Pruned, match=rf"epoch 1 of {MODEL}: val/accuracy 0\.4"):
                trial.end_if_pruned()
            study.tell(trial.trial, state=optuna.trial.TrialState.PRUNED)
            continue
        study.tell(trial.trial, max(values))
    assert ends == [[True, True], [False, False], [True, True]]


def test_the_best_epoch_is_kept_over_a_resume_and_nan():
    said = {"val/accuracy": 0.0, "val/loss": 0.0}
    trainer = SimpleNamespace(
        sanity_checking=False, callback_metrics=said, current_epoch=0, should_stop=False
    )
    watch = WatchedValidation({"val/accuracy": "max", "val/loss": "min"})
    for accuracy, loss in ((0.5, 2.0), (0.75, float("nan"))):
        said |= {"val/accuracy": accuracy, "val/loss": loss}
        watch.on_validation_end(trainer, None)
    resumed = WatchedValidation(watch.best, lambda epoch, metrics: metrics["val/accuracy"] > 0.7)
    resumed.load_state_dict(watch.state_dict())
    said |= {"val/accuracy": 0.6, "val/loss": 1.0}
    resumed.on_validation_end(trainer, None)
    assert resumed.found == {"val/accuracy.max": 0.75, "val/loss.min": 1.0}
    assert trainer.should_stop


def test_a_number_of_epochs_needs_no_evaluation(tmp_path):
    output = run("train", tmp_path / "job", *SMALL, "trainer.max_epochs=2", "logger=csv")
    with (tmp_path / "job" / "csv" / MODEL / "metrics.csv").open(newline="") as file:
        curve = [float(r["val/accuracy"]) for r in csv.DictReader(file) if r["val/accuracy"]]
    kept = json.loads((tmp_path / "job" / "validation.json").read_text())
    assert len(curve) == 2 and output == kept[WATCHED] == pytest.approx(max(curve))
    with pytest.raises(CascadeError, match=r"optimize=resnet_61px/val/f1\.max: expected one of"):
        run("train", tmp_path / "typo", *SMALL, "optimize=resnet_61px/val/f1.max", "logger=none")
    assert not (tmp_path / "typo" / "checkpoints").exists()


@pytest.mark.slow
def test_a_killed_search_goes_on_and_prunes(tmp_path):
    import optuna

    command = [
        *(sys.executable, str(ROOT / "train.py"), "-m", "hparams_search=optuna", *SMALL),
        *("hydra/sweeper/pruner=median", "hydra.sweeper.pruner.options.n_startup_trials=1"),
        *("hydra.sweeper.storage=study.journal", "hydra.sweeper.n_trials=5"),
        "trainer.max_epochs=8",
        "optimizer.learning_rate=tag(log,interval(1e-7,0.1))",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    # another test's W&B service, shared, would keep the killed job's run open
    environment.pop("WANDB_SERVICE", None)

    def start(**pipes: int) -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes)

    process = start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob(f"outputs/*/1/checkpoints/{MODEL}/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process = start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output = "\n".join(process.communicate())
    assert process.returncode == 0, output
    assert "1 trials of this search were finished before" in output

    storage = open_storage(str(tmp_path / "study.journal"))
    study = optuna.load_study(study_name="cascade-exp", storage=storage)
    states = [trial.state.name for trial in study.trials]
    assert len(states) == 5 and set(states) == {"COMPLETE", "PRUNED"}, states
    (folder,) = tmp_path.glob("outputs/*-multirun-*")
    with (folder / "sweep_summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows] == list("01234")
    second = read_status(folder / "1")
    assert second is not None and second.attempts == 2
    for number, trial in enumerate(study.trials):
        job = folder / str(number)
        status = read_status(job)
        assert status is not None and status.state == rows[number]["state"]
        assert f"optimizer.learning_rate={trial.params['optimizer.learning_rate']}" in (
            status.overrides
        )
        if trial.state.name == "COMPLETE":
            assert status.state == "finished"
            assert float(rows[number]["optimized"]) == trial.value
            assert rows[number]["reason"] == "not evaluated (evaluate=false)"
            assert trial.value == pytest.approx(max(trial.intermediate_values.values()))
        else:
            assert status.state == PRUNED and rows[number]["optimized"] == ""
            epoch = trial.last_step + 1
            assert status.reason and status.reason.startswith(f"epoch {epoch} of {MODEL}")
            assert rows[number]["reason"] == status.reason
            assert f'"{PRUNED}"' in inspected(job, "--summary") and not (job / "models").exists()
    best = (folder / "optimization_results.yaml").read_text()
    assert f"best_value: {study.best_value}" in best
    assert json.loads((folder / "sweep.json").read_text())["state"] == "finished"


def inspected(job: Path, *arguments: str) -> str:
    (offline,) = job.glob("wandb/offline-run-*")
    done = subprocess.run(
        [LEET, "leet", "inspect", "--json", *arguments, str(offline)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
