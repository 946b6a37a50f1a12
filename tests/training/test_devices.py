"""Several devices: what is refused, what it becomes, and a real fit on two CPU processes."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cascade_exp.errors import CascadeError
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.schema.training import TrainerOptions
from cascade_exp.training.devices import check_devices, with_devices
from tests.warm import python

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("devices", ["auto", 1, "1", [0]])
@pytest.mark.parametrize("multirun", [False, True])
def test_one_device_goes_anywhere(devices, multirun):
    check_devices(devices, None, multirun)
    settings = with_devices(TrainerOptions("test", max_epochs=1, devices=devices))
    assert settings.devices == (1 if devices == "auto" else devices)
    assert "strategy" not in settings.options


@pytest.mark.parametrize("devices", [2, "2", -1, [0, 1]])
def test_several_devices_serve_the_fit_alone(devices):
    check_devices(devices, None, multirun=False)
    assert with_devices(TrainerOptions("test", max_epochs=1, devices=devices)).options == {
        "strategy": "ddp_spawn"
    }
    given = TrainerOptions("test", max_epochs=1, devices=devices, options={"strategy": "ddp_fork"})
    check_devices(devices, "ddp_fork", multirun=False)
    assert with_devices(given) == given
    with pytest.raises(CascadeError, match="expected ddp_spawn"):
        check_devices(devices, "ddp", multirun=False)
    with pytest.raises(CascadeError, match="in a multirun"):
        check_devices(devices, None, multirun=True)


def command(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python(ROOT / "train.py", *arguments),
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_multirun_over_devices_is_refused_in_one_line(tmp_path):
    done = command(tmp_path, "-m", "seed=0,1", "trainer.devices=2", "logger=none")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.count("trainer.devices=2 in a multirun") >= 2


@pytest.mark.slow
def test_two_processes_leave_whole_recordings(tmp_path):
    common = (
        *("data.limit_train=300", "trainer.max_epochs=2", "logger=csv", "callbacks=[checkpoint]"),
        "callbacks.checkpoint.keep=true",
        *("plots=false", "analyses=false", "search.max_stages=1"),
        *("~models.members.resnet10t_32px", "~models.members.resnet_32px"),
    )
    for name, devices in (("one", 1), ("two", 2)):
        arguments = (f"trainer.devices={devices}", "trainer.accelerator=cpu")
        done = command(tmp_path, *common, *arguments, f"hydra.run.dir={name}")
        assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "two" / "checkpoints" / "resnet_16px" / "best.ckpt").is_file()
    one, two = (open_recordings(tmp_path / name / "recordings") for name in ("one", "two"))
    for split in ("selection", "report"):
        ids = two.split(split).ids
        assert ids is not None and len(set(ids.tolist())) == len(ids)
        np.testing.assert_array_equal(ids, one.split(split).ids)
        shapes = [r.split(split).outputs["resnet_16px"].shape for r in (one, two)]
        assert shapes[0] == shapes[1]
    # another training, not the same one recorded twice
    assert not np.array_equal(
        one.split("report").outputs["resnet_16px"], two.split("report").outputs["resnet_16px"]
    )
