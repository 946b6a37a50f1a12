"""The loggers of a job: W&B (one run per job, honest about failure) and training curves as CSV.

What an evaluation logs lives in ``board``; this module opens and closes runs and gives Lightning
its loggers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_exp.errors import CascadeError, choice
from cascade_exp.schema.evaluating import CsvLogger, WandbLogger

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger
    from wandb import Run

log = logging.getLogger(__name__)
MODES = ("online", "offline", "disabled", "shared")


@dataclass(frozen=True)
class JobLoggers:
    """The loggers that a job was configured with; any of them may be absent."""

    folder: Path
    wandb: Run | None
    csv: str | None

    def for_lightning(self, model: str) -> list[Logger]:
        """Lightning's loggers for the training of one model, its metrics named ``<model>/…``."""
        from cascade_exp.report.lightning_loggers import csv_logger, wandb_logger

        loggers: list[Logger] = []
        if self.wandb is not None:
            loggers.append(wandb_logger(self.wandb, model))
        if self.csv is not None:
            loggers.append(csv_logger(self.folder / self.csv, model))
        return loggers


@contextmanager
def open_loggers(
    settings: Mapping[str, WandbLogger | CsvLogger],
    *,
    folder: Path,
    config: Mapping[str, Any],
    job_type: str,
    group: str | None,
    run_id: str,
    resumed: bool,
) -> Iterator[JobLoggers]:
    """Open the loggers in ``settings`` (by name: ``wandb``, ``csv``) for one job.

    The W&B run ends with exit code 1 if the block raises, so a crashed job never looks finished.

    Args:
        folder: the job's output folder. config: the whole resolved configuration.
        group: what the runs of one multirun share; an explicit ``logger.wandb.group`` wins.
        run_id: of the W&B run; ``resumed``: whether that run is gone on with.
    """
    for name in settings:
        choice(name, ("wandb", "csv"), "logger")
    csv = next((s.folder for s in settings.values() if isinstance(s, CsvLogger)), None)
    wandb = next((s for s in settings.values() if isinstance(s, WandbLogger)), None)
    if wandb is None:
        yield JobLoggers(folder, None, csv)
        return
    run = _start(wandb, folder, config, job_type, group, run_id, resumed)
    try:
        yield JobLoggers(folder, run, csv)
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish(exit_code=0)
    if run.offline:
        log.info(f"W&B wrote this run offline; to upload it: wandb sync {Path(run.dir).parent}")


def _start(
    settings: WandbLogger,
    folder: Path,
    config: Mapping[str, Any],
    job_type: str,
    group: str | None,
    run_id: str,
    resumed: bool,
) -> Run:
    import wandb

    mode = settings.mode or os.environ.get("WANDB_MODE") or _mode_by_key()
    choice(mode, MODES, "logger.wandb.mode")
    tags = settings.tags
    try:
        return wandb.init(
            project=settings.project,
            entity=settings.entity,
            group=settings.group or group,
            name=settings.name,
            tags=[tags] if isinstance(tags, str) else tags,
            notes=settings.notes,
            mode=mode,  # type: ignore[arg-type]
            job_type=job_type,
            id=run_id,
            # offline, W&B joins both parts by their id when they are synced
            resume="allow" if resumed and mode in ("online", "shared") else None,
            dir=str(folder),
            config=dict(config),
            reinit="finish_previous",
            settings=wandb.Settings(console="off", silent=mode != "online"),
        )
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())
        raise CascadeError(f"logger=wandb: {reason}; logger=none goes without") from None


def _mode_by_key() -> str:
    import wandb

    return "online" if wandb.login(prompt=False) else "offline"
