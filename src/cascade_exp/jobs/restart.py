"""Resuming a job or sweep that was stopped: jobs are identified by what they were asked to do.

A job is identified by its key, the sha256 of its resolved configuration and of the recordings it
reads, never by its number or its place in a grid. A job that starts in the folder of an unfinished
one of the same key resumes it (``Start.resumed``); which folder that is, and which jobs of a sweep
need no start at all, is settled by ``sweeper``.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from cascade_exp.errors import CascadeError, Pruned, Refused
from cascade_exp.jobs.entry import one_line
from cascade_exp.jobs.finding import find_recordings
from cascade_exp.jobs.folders import held, make_room
from cascade_exp.jobs.signals import interruptible
from cascade_exp.report.results.status import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    PRUNED,
    REFUSED,
    RUNNING,
    JobStatus,
    read_status,
    write_status,
)
from cascade_exp.schema.evaluating import EvaluateConfig


@dataclass(frozen=True)
class Start:
    """How a job starts: its W&B run id, and whether it resumes an unfinished job."""

    run_id: str
    resumed: bool


def job_key(job: str, config: DictConfig) -> str:
    """What distinguishes the job ``job`` of ``config`` from all others, as sha256.

    Where it logs and where it writes (``logger``, ``paths``) do not count. Of recordings that an
    evaluation reads, the folder and every file's size and time of change do; of the data that a
    training reads, the content of every file that ``data`` names, and of every file in a folder
    that it names the size and the time of change.
    """
    asked: dict[str, object] = {}
    for name in map(str, config):
        if name not in ("logger", "paths", "hydra"):
            value = None if OmegaConf.is_missing(config, name) else config[name]
            found = OmegaConf.is_config(value)
            asked[name] = OmegaConf.to_container(value, resolve=True) if found else value
    read = _recordings(config) if job == "evaluate" else _data_files(config)
    text = json.dumps([job, asked, read], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _data_files(config: DictConfig) -> list[object]:
    """What the files and folders that ``data`` names hold; files are known by their content."""
    data = OmegaConf.select(config, "data", default=None)
    values = OmegaConf.to_container(data, resolve=True) if OmegaConf.is_config(data) else {}
    assert isinstance(values, dict)
    found: list[object] = []
    for key in sorted(key for key in map(str, values) if isinstance(values[key], str)):
        path = Path(values[key])
        try:
            if path.is_file():
                with path.open("rb") as file:
                    found.append([key, hashlib.file_digest(file, "sha256").hexdigest()])
            elif path.is_dir():
                found.append([key, _listing(path)])
        except OSError:
            continue  # the job itself says so
    return found


def _listing(folder: Path) -> list[object]:
    """Name, size and time of change of every file in ``folder``, hidden ones aside."""
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    files = [(path, path.stat()) for path in paths]
    return [[str(path.relative_to(folder)), s.st_size, s.st_mtime_ns] for path, s in files]


def _recordings(config: DictConfig) -> list[object]:
    try:
        folder = find_recordings(cast(EvaluateConfig, config))
    except CascadeError:
        return []  # the job itself says so
    return [str(folder.resolve()), *_listing(folder)]


def inputs_of(config: DictConfig) -> dict[str, str]:
    """By key of ``config``, the paths of other jobs' files that a job reads."""
    keys = ["recordings", "run", "ckpt_path"]
    members = OmegaConf.select(config, "models.members", default=None) or {}
    keys += [f"models.members.{name}.training.run" for name in members]
    found = {key: OmegaConf.select(config, key, default=None) for key in keys}
    return {key: str(value) for key, value in found.items() if value is not None}


@contextmanager
def kept_status(
    folder: Path,
    job: str,
    key: str,
    overrides: Sequence[str],
    inputs: Mapping[str, str] | None = None,
    resume: str = "",
) -> Iterator[Start]:
    """Hold ``folder`` and keep its ``job.json`` while the block runs.

    It ends as finished, pruned, failed or interrupted; a job that was killed still says running.
    What a job of another key left in ``folder`` is removed first (``folders.make_room``).

    Args:
        inputs: by key of the configuration, the paths that the job reads.
        resume: how to resume the job, shown where a signal ends it.

    Raises:
        CascadeError: if another job runs in ``folder``, or it holds what must not be replaced.
    """
    with held(folder, "hydra.run.dir"):
        make_room(folder, job, key, inputs or {})
        with _status(folder, job, key, overrides, resume) as start:
            yield start


@contextmanager
def _status(
    folder: Path, job: str, key: str, overrides: Sequence[str], resume: str
) -> Iterator[Start]:
    before = read_status(folder)
    same = before is not None and before.key == key and before.state != FINISHED
    status = JobStatus(
        key=key,
        job=job,
        state=RUNNING,
        run_id=before.run_id if before is not None and same else _new_run_id(),
        overrides=list(overrides),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        attempts=before.attempts + 1 if before is not None and same else 1,
    )
    write_status(folder, status)
    began = time.perf_counter()

    def end(state: str, reason: str | None = None) -> None:
        seconds = time.perf_counter() - began
        write_status(folder, replace(status, state=state, seconds=seconds, reason=reason))

    try:
        with interruptible(resume, lambda: end(INTERRUPTED)):
            yield Start(status.run_id, same)
    except BaseException as error:
        with suppress(OSError):  # a full disk must not hide what went wrong before
            end(*_ended(error))
        raise
    end(FINISHED)


def _ended(error: BaseException) -> tuple[str, str | None]:
    """The state of a job that ``error`` ended, and the reason in one line."""
    if isinstance(error, Pruned):
        return PRUNED, str(error)
    if isinstance(error, Refused):
        return REFUSED, one_line(error)
    return (FAILED, one_line(error)) if isinstance(error, Exception) else (INTERRUPTED, None)


def _new_run_id() -> str:
    """A new W&B run id, or the one that W&B's sweep agent has set aside for this process."""
    agents = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
    return agents or secrets.token_hex(4)
