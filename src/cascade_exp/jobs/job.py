"""What every job has: its folder, its resolved configuration, its loggers and its surroundings."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cascade_exp.atomic import write_text
from cascade_exp.jobs.restart import inputs_of, job_key, kept_status
from cascade_exp.report.tracking.loggers import JobLoggers, open_loggers
from cascade_exp.schema.checks import to_settings
from cascade_exp.schema.evaluating import CommonConfig

if TYPE_CHECKING:
    from rich.console import Console

PACKAGES = (
    "cascade-exp",
    "torch",
    "pytorch-lightning",
    "timm",
    "transformers",
    "hydra-core",
    "numpy",
    "numba",
    "wandb",
)


@dataclass(frozen=True)
class Job:
    """One job while it runs.

    Attributes:
        kind: ``train``, ``evaluate`` or ``compare``.
        key: what distinguishes it from all other jobs (``restart.job_key``).
        folder: everything the job writes is in here.
        settings: the composed configuration as the dataclasses of ``schema``.
        command: the line that runs it again.
        multirun: whether it is one of a multirun's jobs.
        resumed: whether this folder holds an unfinished job of the same key, which is resumed.
    """

    kind: str
    key: str
    folder: Path
    config: DictConfig
    settings: CommonConfig
    loggers: JobLoggers
    command: str
    console: Console
    resumed: bool
    multirun: bool

    @property
    def config_yaml(self) -> str:
        """The resolved configuration."""
        return OmegaConf.to_yaml(self.config, resolve=True)


@contextmanager
def open_job(config: DictConfig, job_type: str) -> Iterator[Job]:
    """Open the job that Hydra started with ``config``; its loggers close with the block."""
    from rich.console import Console

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    settings = to_settings(config)
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    group = Path(hydra.sweep.dir).name if hydra.mode == RunMode.MULTIRUN else None
    key = job_key(hydra.job.name, config)
    overrides = list(hydra.overrides.task)
    command = "uv run " + shlex.join([f"{hydra.job.name}.py", *map(str, overrides)])
    resume = _resume(hydra, command, folder)
    with kept_status(folder, job_type, key, overrides, inputs_of(config), resume) as start:
        write_text(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
        with open_loggers(
            settings.logger,
            folder=folder,
            config={str(k): v for k, v in resolved.items()},
            job_type=job_type,
            group=group,
            run_id=start.run_id,
            resumed=start.resumed,
        ) as loggers:
            yield Job(
                kind=job_type,
                key=key,
                folder=folder,
                config=config,
                settings=settings,
                loggers=loggers,
                command=command,
                console=Console(),
                resumed=start.resumed,
                multirun=hydra.mode == RunMode.MULTIRUN,
            )


def _resume(hydra: Any, command: str, folder: Path) -> str:
    """The line that says how the job is resumed after an interrupt."""
    if hydra.mode == RunMode.MULTIRUN:
        return f"The same command resumes the sweep in {hydra.sweep.dir}"
    return f"To resume: {command} {shlex.quote(f'hydra.run.dir={folder}')}"


def environment(seed: int, job: str | None = None) -> dict[str, Any]:
    """Versions, revision, machine, seed and the job's key: what else decided the numbers."""
    return {
        "job": job,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "git_revision": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain")),
        "machine": platform.machine(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "seed": seed,
        "argv": sys.argv,
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
