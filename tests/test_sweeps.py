"""Sweep files: every combination renders to a command line that composes."""

import itertools
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from tests.test_configs import composed

SWEEPS = sorted((Path(__file__).parents[1] / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_job_of_a_sweep_composes(path):
    sweep = OmegaConf.to_container(OmegaConf.create(path.read_text().replace("${", "{")))
    assert sweep["command"][-1] == "{args_no_hyphens}"
    keys = list(sweep["parameters"])
    choices = [sweep["parameters"][key]["values"] for key in keys]
    for values in itertools.product(*choices):
        arguments = {key: {"value": value} for key, value in zip(keys, values, strict=True)}
        rendered = create_sweep_command_args({"args": arguments})["args_no_hyphens"]
        config = composed(Path(sweep["program"]).stem, *rendered)
        chosen = [OmegaConf.select(config, key) for key in keys]
        assert [getattr(c, "name", c) for c in chosen] == list(values)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_header_shows_the_same_sweep_as_a_multirun(path):
    text = path.read_text()
    sweep = OmegaConf.to_container(OmegaConf.create(text.replace("${", "{")))
    (line,) = [line for line in text.splitlines() if line.startswith("#   uv run ")]
    assert f" {sweep['program']} -m " in line
    for key, values in sweep["parameters"].items():
        assert f"{key}={','.join(map(str, values['values']))}" in line
