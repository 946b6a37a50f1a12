"""Going on where a killed job or sweep stopped: jobs told apart by what they were asked to do.

A job is known by its key, the sha256 of its resolved configuration and of the recordings it reads,
never by its number or its place in a grid. A job that starts in the folder of an unfinished one of
the same key resumes it (``Start.resumed``); which folder that is, and which jobs of a sweep need no
start at all, is settled by ``sweeper``.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from cascade_exp.errors import CascadeError, Pruned
from cascade_exp.jobs.entry import one_line
from cascade_exp.jobs.finding import find_recordings
from cascade_exp.report.results.status import (
    FAILED,
    FINISHED,
    PRUNED,
    RUNNING,
    JobStatus,
    read_status,
    write_status,
)
from cascade_exp.schema.evaluating import EvaluateConfig


@dataclass(frozen=True)
class Start:
    """How a job starts: with which W&B run id, and whether an unfinished one is gone on with."""

    run_id: str
    resumed: bool


def job_key(job: str, config: DictConfig) -> str:
    """What tells the job ``job`` of ``config`` from all others, as sha256.

    Where it is told and where it is put (``logger``, ``paths``) do not count. Of recordings that an
    evaluation reads, the folder and every file's size and time of change do.
    """
    asked: dict[str, object] = {}
    for name in map(str, config):
        if name not in ("logger", "paths", "hydra"):
            value = None if OmegaConf.is_missing(config, name) else config[name]
            found = OmegaConf.is_config(value)
            asked[name] = OmegaConf.to_container(value, resolve=True) if found else value
    read = _recordings(config) if job == "evaluate" else []
    text = json.dumps([job, asked, read], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _recordings(config: DictConfig) -> list[object]:
    try:
        folder = find_recordings(cast(EvaluateConfig, config))
    except CascadeError:
        return []  # the job itself says so
    files = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        str(folder.resolve()),
        *([str(path.relative_to(folder)), s.st_size, s.st_mtime_ns] for path, s in files),
    ]


@contextmanager
def kept_status(folder: Path, job: str, key: str, overrides: Sequence[str]) -> Iterator[Start]:
    """Keep ``job.json`` in ``folder`` while the block runs; it ends as finished, pruned or failed.

    A job that ends by an interrupt keeps the state ``running``, as one that was killed.
    """
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
    try:
        yield Start(status.run_id, same)
    except Exception as error:
        seconds, pruned = time.perf_counter() - began, isinstance(error, Pruned)
        state, reason = (PRUNED, str(error)) if pruned else (FAILED, one_line(error))
        write_status(folder, replace(status, state=state, seconds=seconds, reason=reason))
        raise
    write_status(folder, replace(status, state=FINISHED, seconds=time.perf_counter() - began))


def _new_run_id() -> str:
    """A new W&B run id, or the one that W&B's sweep agent has set aside for this process."""
    agents = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
    return agents or secrets.token_hex(4)
