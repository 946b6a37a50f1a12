"""``job.json``: what became of a job, and what a restart needs to know of it.

Written when a job starts and again when it ends, so a job that was killed still says ``running``.
Which job resumes which is decided in ``jobs.restart``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cascade_exp.atomic import write_text
from cascade_exp.errors import CascadeError

FILE = "job.json"
RUNNING, FINISHED, FAILED = "running", "finished", "failed"
PRUNED, INTERRUPTED, REFUSED = "pruned", "interrupted", "refused"


@dataclass(frozen=True)
class JobStatus:
    """One job's state.

    Attributes:
        key: sha256 of the resolved configuration and the recordings it reads (``jobs.restart``).
        job: ``train`` or ``evaluate``.
        state: ``running`` (or killed), ``finished``, ``failed``, ``interrupted`` by a signal,
            ``pruned`` by its search, or ``refused``, as its options do not go together.
        run_id: of its W&B run, kept over restarts.
        overrides: of the command line, as written.
        started: UTC, ISO 8601; of the latest start. attempts: how often it was started.
        seconds: from that start to the end; None until it ends.
        reason: why it failed or was pruned, in one line.
    """

    key: str
    job: str
    state: str
    run_id: str
    overrides: list[str] = field(default_factory=list)
    started: str = ""
    attempts: int = 1
    seconds: float | None = None
    reason: str | None = None


def write_status(folder: Path, status: JobStatus) -> None:
    """Write ``job.json`` into a job's ``folder``, whole or not at all."""
    write_text(folder / FILE, json.dumps(asdict(status), indent=2) + "\n")


def read_status(folder: Path) -> JobStatus | None:
    """The status of the job in ``folder``; None where there is none that can be read."""
    try:
        found = JobStatus(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if _well_formed(found) else None


def _well_formed(status: JobStatus) -> bool:
    texts = (status.key, status.job, status.state, status.run_id, status.started)
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(status.overrides, list)
        and all(isinstance(override, str) for override in status.overrides)
        and type(status.attempts) is int
        and (status.seconds is None or type(status.seconds) in (int, float))
        and (status.reason is None or isinstance(status.reason, str))
    )


def check_same_job(folder: Path, key: object, where: Path) -> None:
    """Refuse files of another job than the one that ``folder/job.json`` describes.

    Args:
        key: of the job that made ``where``, as is written there; None where nothing is.

    Raises:
        CascadeError: if the two keys differ.
    """
    status = read_status(folder)
    if status is not None and key is not None and key != status.key:
        raise CascadeError(
            f"{where}: made by another job than the one that {folder / FILE} describes, which is "
            f"{status.state}; run that job to its end, or leave this folder out"
        )
