"""Launchers and the Optuna sweeper: composed with their options; Optuna searched for real."""

import csv
import subprocess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from cascade_exp.schema.registry import register
from tests.recordings.making import make_recordings
from tests.warm import python

ROOT = Path(__file__).parents[1]
OPTIONS = {
    "basic": [],
    "joblib": ["hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra.launcher.timeout_min=5"],
    "submitit_slurm": [
        "hydra.launcher.partition=gpu",
        "hydra.launcher.gpus_per_node=1",
        "hydra.launcher.timeout_min=60",
        "hydra.launcher.array_parallelism=8",
    ],
    "ray": ["hydra.launcher.ray.init.num_cpus=2"],
}
PLUGINS = {"submitit_local": "submitit", "submitit_slurm": "submitit", "ray": "ray"}


@pytest.mark.parametrize("launcher", OPTIONS)
@pytest.mark.parametrize("job", ["train", "evaluate"])
def test_a_launcher_composes_with_its_options(launcher, job):
    if launcher in PLUGINS:
        needed = f"hydra_plugins.hydra_{PLUGINS[launcher]}_launcher"
        pytest.importorskip(needed, reason=f"needs the extra {PLUGINS[launcher]}")
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3", job_name=job):
        config = compose(
            job,
            overrides=[f"hydra/launcher={launcher}", *OPTIONS[launcher]],
            return_hydra_config=True,
        )
    assert launcher.split("_")[0] in config.hydra.launcher._target_.lower()
    assert config.hydra.sweeper._target_.endswith("SurvivingSweeper")


@pytest.mark.slow
def test_optuna_searches_and_goes_on(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs the extra optuna")
    make_recordings(tmp_path / "rec", {"a": 1.0, "b": 5.0, "c": 9.0}, size=60)

    def search(trials: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            python(
                *(ROOT / "evaluate.py", "-m", "hparams_search=optuna"),
                *("recordings=rec", "logger=none", "plots=false", "analyses=false"),
                *("bootstrap.resamples=10", "metric=max_softmax,entropy,logits_margin"),
                *("search.max_stages=range(1,4)", "hydra.sweep.dir=s"),
                *(f"hydra.sweeper.n_trials={trials}", "hydra.sweeper.storage=sqlite:///study.db"),
            ),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert search(2).returncode == 0
    done = search(2)
    assert done.returncode == 0, done.stderr
    import optuna

    study = optuna.load_study(study_name="cascade-exp", storage=f"sqlite:///{tmp_path}/study.db")
    assert len(study.trials) == 4 and all(t.state.name == "COMPLETE" for t in study.trials)
    best = (tmp_path / "s" / "optimization_results.yaml").read_text()
    assert f"best_value: {study.best_value}" in best
    compared = subprocess.run(
        python(ROOT / "evaluate.py", "compare=s", "logger=none", "hydra.run.dir=c"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.returncode == 0, compared.stderr
    with (tmp_path / "c" / "results" / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["state"] for row in rows} == {"finished"}
