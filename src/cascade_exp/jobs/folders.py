"""The folder of a job: one process writes to it at a time, and it holds the files of one key."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cascade_exp.atomic import locked
from cascade_exp.errors import CascadeError
from cascade_exp.report.results.status import read_status

log = logging.getLogger(__name__)
LOCK = ".lock"
CHECKPOINTS = "checkpoints"
PARTS = (
    # first what makes a folder count as complete, so that an interrupted removal leaves no such one
    *("recordings", "results", "models", CHECKPOINTS, "examples", "labelling"),
    *("validation.json", "timing.json"),
)
"""What jobs write that belongs to one key; logs and the runs of trackers record history and stay.
"""


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock of ``folder`` while the block runs.

    Args:
        what: the key that names another folder, for the message.

    Raises:
        CascadeError: if another process, or another job of this one, holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, wait=False) as mine:
        if not mine:
            status = read_status(folder)
            running = "" if status is None else f" ({status.job}, started {status.started})"
            raise CascadeError(
                f"{folder}: another job is running in this folder{running}; wait until it has "
                f"ended, or choose another folder: {what}=…"
            )
        yield


def make_room(folder: Path, job: str, key: str, inputs: Mapping[str, str]) -> None:
    """Remove from ``folder`` what a job of another key left there; nothing where there is none.

    Checkpoints that this job resumes from (``ckpt_path``) stay.

    Args:
        inputs: by key of the configuration, the paths that the job reads.

    Raises:
        CascadeError: if the folder holds a job of another kind, or what this job reads.
    """
    before = read_status(folder)
    if before is None or before.key == key:
        return
    if before.job != job:
        raise CascadeError(
            f"{folder}: holds a job of {before.job}, whose files {job} would replace; choose "
            "another folder: hydra.run.dir=…"
        )
    resumed = {"ckpt_path": inputs["ckpt_path"]} if "ckpt_path" in inputs else {}
    kept = {CHECKPOINTS} if any(_within(folder, p) or p == "last" for p in resumed.values()) else ()
    gone = [path for part in PARTS if part not in kept and (path := folder / part).exists()]
    for name, value in inputs.items():
        if name not in resumed and gone and _within(folder, value):
            raise CascadeError(
                f"{name}={value}: lies in {folder}, the folder of this job, which would first "
                "remove what the job before it left there; choose another folder: hydra.run.dir=…"
            )
    for path in gone:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if gone:
        log.info(f"{folder} held another job; removed {', '.join(path.name for path in gone)}")


def _within(folder: Path, given: str) -> bool:
    path, base = Path(given).expanduser().resolve(), folder.resolve()
    return path.exists() and (path == base or base in path.parents)
