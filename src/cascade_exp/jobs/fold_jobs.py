"""Difficulty labels through Hydra's launcher: a job for each fold, before the one that needs them.

A launcher serves the jobs of a multirun alone, so the command that was given runs once more as one,
over ``regularizer.fold``. What its jobs do not come to, the job that waits for them does itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from cascade_exp.errors import CascadeError
from cascade_exp.report.results.status import FAILED, read_status

OUTPUT = "output.txt"
AGENTS = ("WANDB_RUN_ID", "WANDB_SWEEP_ID")  # those of the job that waits
LOOK_AGAIN = 1.0  # seconds


def has_launcher() -> bool:
    """Whether this is a job by itself for which a launcher of further jobs is chosen."""
    hydra = HydraConfig.get()
    launcher, sweeper = (hydra.runtime.choices[f"hydra/{kind}"] for kind in ("launcher", "sweeper"))
    # a sweeper that searches would ask for trials, not for folds
    return hydra.mode != RunMode.MULTIRUN and launcher != "basic" and sweeper == "surviving"


def run_fold_jobs(folder: Path, folds: int, progress: Callable[[], None]) -> None:
    """Run this process's command as a multirun over its folds, in ``folder``; wait for its end.

    Args:
        progress: called once a second while it runs, and at its end.

    Raises:
        CascadeError: if one of the jobs failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    command = [
        *(sys.executable, sys.argv[0], "-m", *sys.argv[1:]),
        *(f"regularizer.fold=range({folds})", f"hydra.sweep.dir='{place}'"),
        # a fold needs one device, and has no number to be searched by
        *("trainer.devices=1", "optimize=null"),
    ]
    surroundings = {name: value for name, value in os.environ.items() if name not in AGENTS}
    with (
        (folder / OUTPUT).open("wb") as output,
        subprocess.Popen(
            command,
            env={**surroundings, "WANDB_MODE": "disabled"},  # folds have nothing to log
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            while process.poll() is None:
                progress()
                time.sleep(LOOK_AGAIN)
        except BaseException:
            process.terminate()
            raise
    progress()
    if process.returncode != 0:
        raise CascadeError(
            f"regularizer=dar: labelling by jobs of their own failed ({_reason(folder)}); their "
            f"output is in {folder / OUTPUT}"
        )


def _reason(folder: Path) -> str:
    """Why the first job that failed did, else the last line of their output."""
    found = [read_status(path.parent) for path in sorted(folder.rglob("job.json"))]
    for status in found:
        if status is not None and status.state == FAILED and status.reason:
            return status.reason
    said = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(said) if line.strip()), "no output")
