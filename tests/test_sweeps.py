"""Sweep files: valid, every command line composes, and one of each runs for real."""

import itertools
import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from cascade_exp.report.results.headline import headline
from tests.recordings.making import make_recordings
from tests.report.conftest import simulated_results
from tests.test_configs import composed
from tests.warm import python

ROOT = Path(__file__).parents[1]
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
# What every file must and may hold, and its parameters: W&B's own schema is not shipped with it.
KEYS = {"program", "method", "metric", "parameters", "command"}
MAY = KEYS | {"run_cap", "name", "early_terminate"}
RANGES = {"uniform", "log_uniform_values", "q_uniform", "int_uniform"}
SMALLER = {
    "evaluate.py": ["bootstrap.resamples=10"],
    "train.py": ["data.limit_train=64", "trainer.max_epochs=1", "data.validation_share=0.02"],
}


def read(path: Path) -> dict[str, Any]:
    sweep = yaml.safe_load(path.read_text())
    assert isinstance(sweep, dict)
    return sweep


def choices(parameter: dict[str, Any]) -> list[Any]:
    """All values, or both ends of a range."""
    if "values" in parameter:
        return list(parameter["values"])
    return [parameter["value"]] if "value" in parameter else [parameter["min"], parameter["max"]]


def rendered(sweep: dict[str, Any], values: tuple[Any, ...]) -> list[str]:
    """The arguments of one run, as W&B's agent expands ${args_no_hyphens}."""
    arguments = {k: {"value": v} for k, v in zip(sweep["parameters"], values, strict=True)}
    return list(create_sweep_command_args({"args": arguments})["args_no_hyphens"])


def covering(sweep: dict[str, Any]) -> list[tuple[Any, ...]]:
    """As few jobs as hold every value of every parameter."""
    lists = [choices(parameter) for parameter in sweep["parameters"].values()]
    longest = max(map(len, lists))
    return list(zip(*(itertools.islice(itertools.cycle(c), longest) for c in lists), strict=True))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_is_valid(path):
    sweep = read(path)
    assert KEYS <= set(sweep) <= MAY
    assert (ROOT / sweep["program"]).is_file()
    assert sweep["method"] in ("grid", "random", "bayes")
    assert set(sweep["metric"]) == {"name", "goal"}
    assert sweep["metric"]["goal"] in ("maximize", "minimize")
    # what is optimised is logged, and is on the split that choices may see
    assert sweep["metric"]["name"] in headline(simulated_results())
    assert "selection" in sweep["metric"]["name"]
    assert sweep["command"][-1] == "${args_no_hyphens}" and "${program}" in sweep["command"]
    for key, parameter in sweep["parameters"].items():
        if "distribution" in parameter:
            assert set(parameter) == {"distribution", "min", "max"}, key
            assert parameter["distribution"] in RANGES and sweep["method"] != "grid"
            assert parameter["min"] < parameter["max"]
        else:
            assert set(parameter) in ({"values"}, {"value"}), key


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_value_of_a_sweep_composes(path):
    sweep = read(path)
    for values in covering(sweep):
        config = composed(Path(sweep["program"]).stem, *rendered(sweep, values))
        for key, value in zip(sweep["parameters"], values, strict=True):
            found = OmegaConf.select(config, key)
            found = found.name if hasattr(found, "name") else found
            text = "null" if found is None else str(found).replace("'", "").replace(", ", ",")
            assert text == str(value)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_header_shows_the_same_sweep_as_a_multirun(path):
    text, sweep = path.read_text(), read(path)
    (line,) = [line for line in text.splitlines() if line.startswith("#   uv run ")]
    assert f" {sweep['program']} -m " in line
    given = dict(word.split("=", 1) for word in shlex.split(line[1:]) if "=" in word)
    for key, parameter in sweep["parameters"].items():
        if "distribution" in parameter:
            ends = re.search(r"interval\(([^,]+),([^)]+)\)", given[key])
            assert ends and [float(e) for e in ends.groups()] == choices(parameter)
            assert ("log" in given[key]) == ("log" in parameter["distribution"])
        else:
            assert given[key] == ",".join(map(str, choices(parameter)))


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_one_command_of_a_sweep_runs(path, tmp_path):
    sweep = read(path)
    values = covering(sweep)[-1]
    extra = list(SMALLER[sweep["program"]])
    if sweep["program"] == "evaluate.py":
        costs = {"resnet_16px": 1.0, "resnet_32px": 4.0, "resnet10t_32px": 22.0}
        make_recordings(tmp_path / "rec", costs, size=60)
        extra.append("recordings=rec")
    expand = {
        "${env}": [],
        "uv": [],
        "run": [],
        "${program}": python(ROOT / sweep["program"]),
        "${args_no_hyphens}": rendered(sweep, values),
    }
    command = [word for part in sweep["command"] for word in expand.get(part, [part])]
    agent = {"WANDB_MODE": "offline", "WANDB_SWEEP_ID": "sweep", "WANDB_RUN_ID": "fromagent"}
    done = subprocess.run(
        [*command, *extra, "hydra.run.dir=job"],
        cwd=tmp_path,
        env={**os.environ, **agent},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "job" / "results" / "summary.json").read_text())["single_models"]
    (run,) = (tmp_path / "job").glob("wandb/offline-run-*")
    assert run.name.endswith("-fromagent")
