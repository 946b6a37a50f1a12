"""What a sweep does besides starting jobs: its folder, its jobs' folders, what is left to do.

The sweeper (``hydra_plugins``) asks here where each job goes and whether it is done; launchers are
not involved, so a sweep can be resumed under any of them.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict, read_write

from cascade_exp.atomic import locked, write_text
from cascade_exp.jobs.folders import LOCK, held
from cascade_exp.jobs.restart import job_key
from cascade_exp.report.results.status import FAILED, FINISHED, RUNNING, JobStatus, read_status

log = logging.getLogger(__name__)
FILE = "sweep.json"


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep.

    Attributes:
        overrides: those of this job, as Hydra writes them.
        folder: where it is; None for one that cannot be composed.
        state: ``running`` until it is known better. reason: why it failed or was pruned.
        before: whether it was finished by an earlier start of the sweep.
    """

    overrides: tuple[str, ...]
    folder: Path | None
    state: str = RUNNING
    reason: str | None = None
    before: bool = False

    @property
    def name(self) -> str:
        """The overrides in one line."""
        return " ".join(self.overrides)


@contextmanager
def open_sweep(config: DictConfig, arguments: Sequence[str]) -> Iterator[Path]:
    """Fix ``hydra.sweep.dir`` for this start of a sweep, note there what it runs, and hold it.

    A folder given on the command line is taken as it is. Otherwise the newest sweep of the same
    arguments beside it that was not finished, and that no other process runs, is resumed.

    Raises:
        CascadeError: if another process runs a sweep in the folder that is given.
    """
    hydra = config.hydra
    folder = Path(str(hydra.sweep.dir))
    identity = [str(hydra.job.name), *sorted(arguments)]
    given = any(o.lstrip("+").startswith("hydra.sweep.dir=") for o in hydra.overrides.hydra)
    with ExitStack() as stack:
        unfinished = None if given or folder.exists() else _unfinished(folder.parent, identity)
        if unfinished is not None and stack.enter_context(locked(unfinished / LOCK, wait=False)):
            folder = unfinished
        else:
            stack.enter_context(held(folder, "hydra.sweep.dir"))
        if (folder / FILE).is_file():
            log.info(f"Resuming the sweep in {folder}; to start a new one: hydra.sweep.dir=…")
        with read_write(config), read_write(hydra), open_dict(hydra):
            hydra.sweep.dir = str(folder)
        before = _noted(folder)
        start = before.get("start") if before.get("state") != FINISHED else None
        _note(folder, {"sweep": identity, "state": RUNNING, "start": start or secrets.token_hex(8)})
        yield folder


def start_of(folder: Path) -> str:
    """What names this start of the sweep in ``folder``; kept until a start ran to its end well."""
    return str(_noted(folder)["start"])


def end(folder: Path, failed: bool) -> None:
    """Note that the sweep in ``folder`` ran to its end."""
    _note(folder, {**_noted(folder), "state": FAILED if failed else FINISHED})


def _note(folder: Path, noted: Mapping[str, object]) -> None:
    """Write ``sweep.json``: which ``sweep`` it is (its job and arguments), its state and start."""
    write_text(folder / FILE, json.dumps(noted, indent=2) + "\n")


def _noted(folder: Path) -> dict[str, Any]:
    try:
        noted = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _unfinished(parent: Path, identity: Sequence[str]) -> Path | None:
    for path in sorted(parent.glob(f"*/{FILE}"), key=lambda p: p.stat().st_mtime_ns, reverse=True):
        noted = _noted(path.parent)
        if noted.get("sweep") == list(identity):
            return None if noted.get("state") == FINISHED else path.parent
    return None


class Places:
    """The folders of a sweep's jobs, by their keys.

    A job that is known by its key keeps its folder, whatever its place in the grid is now; a new
    one gets the folder that ``hydra.sweep.subdir`` names, or the next free number where another job
    is in there already.
    """

    def __init__(self, sweep: Path) -> None:
        self.sweep = sweep
        found = [(p.parent, read_status(p.parent)) for p in sorted(sweep.rglob("job.json"))]
        self.known: dict[str, tuple[Path, JobStatus]] = {}
        for folder, status in found:
            if status is not None:
                self.known[status.key] = (folder, status)
        self.taken = {folder for folder, _ in self.known.values()}

    def place(self, composed: DictConfig, number: int) -> tuple[Path, JobStatus | None]:
        """The folder of the job ``composed``, ``number``-th of the sweep, and its status so far."""
        hydra = composed.hydra
        with read_write(composed), read_write(hydra), open_dict(hydra):
            hydra.job.num = hydra.job.id = number
        key = job_key(str(hydra.job.name), composed)
        if key in self.known:
            return self.known[key]
        folder = self.sweep / str(hydra.sweep.subdir)
        while folder in self.taken:
            number += 1
            folder = self.sweep / str(number)
        self.taken.add(folder)
        return folder, None

    def done(self, folder: Path, status: JobStatus) -> None:
        """Know the job in ``folder`` from now on, for jobs to come that ask for the same."""
        self.known[status.key] = (folder, status)

    def pinned(self, folder: Path) -> list[str]:
        """The overrides that put a job into ``folder`` under any launcher."""
        return [
            f"hydra.sweep.dir={_quoted(str(self.sweep))}",
            f"hydra.sweep.subdir={_quoted(str(folder.relative_to(self.sweep)))}",
        ]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
