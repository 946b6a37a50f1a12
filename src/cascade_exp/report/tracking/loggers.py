"""The loggers of a job, any number at once: W&B, MLflow, TensorBoard, training curves as CSV.

What an evaluation logs lives in ``board``; this module opens and closes runs and gives Lightning
its loggers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_exp.errors import CascadeError, Pruned, choice
from cascade_exp.report.results.status import PRUNED
from cascade_exp.report.tracking.mlflow_run import MlflowRun, mlflow_run
from cascade_exp.schema.evaluating import WandbLogger

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger
    from wandb import Run

log = logging.getLogger(__name__)
LOGGERS = ("wandb", "csv", "tensorboard", "mlflow")
MODES = ("online", "offline", "disabled", "shared")


@dataclass(frozen=True)
class JobLoggers:
    """The loggers that a job was configured with; any of them may be absent."""

    folder: Path
    wandb: Run | None
    csv: str | None = None
    tensorboard: str | None = None
    mlflow: MlflowRun | None = None

    def for_lightning(self, model: str) -> list[Logger]:
        """Lightning's loggers for the training of one model, its metrics named ``<model>/…``."""
        from cascade_exp.report.tracking import lightning_loggers as lightning

        loggers: list[Logger] = []
        if self.wandb is not None:
            loggers.append(lightning.wandb_logger(self.wandb, model))
        if self.csv is not None:
            loggers.append(lightning.csv_logger(self.folder / self.csv, model))
        if self.tensorboard is not None:
            loggers.append(lightning.tensorboard_logger(self.folder / self.tensorboard, model))
        if self.mlflow is not None:
            loggers.append(lightning.mlflow_logger(self.mlflow, model))
        return loggers

    def log_numbers(self, found: Mapping[str, float | str | None]) -> None:
        """Tell TensorBoard and MLflow the headline numbers; W&B has more (``board``)."""
        numbers = {name: float(v) for name, v in found.items() if isinstance(v, int | float)}
        if self.tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            with SummaryWriter(str(self.folder / self.tensorboard)) as writer:
                for name, value in numbers.items():
                    writer.add_scalar(name, value)
        if self.mlflow is not None:
            self.mlflow.log_numbers(numbers)
            self.mlflow.log_text({n: v for n, v in found.items() if isinstance(v, str)})


@contextmanager
def open_loggers(
    settings: Mapping[str, Any],
    *,
    folder: Path,
    config: Mapping[str, Any],
    job_type: str,
    group: str | None,
    run_id: str,
    resumed: bool,
) -> Iterator[JobLoggers]:
    """Open the loggers in ``settings`` (by name, as in ``LOGGERS``) for one job.

    The W&B and MLflow runs fail if the block raises, so a crashed job never looks finished; those
    of a job that was pruned end well and say so.

    Args:
        folder: the job's output folder. config: the whole resolved configuration.
        group: what the runs of one multirun share; an explicit ``logger.wandb.group`` wins.
        run_id: of the W&B run; ``resumed``: whether that run is gone on with.
    """
    for name in settings:
        choice(name, LOGGERS, "logger")
    csv, board, tracked = (settings.get(name) for name in ("csv", "tensorboard", "mlflow"))
    if board is not None and find_spec("tensorboard") is None:
        raise CascadeError("logger=tensorboard needs TensorBoard: uv sync --extra tensorboard")
    with ExitStack() as stack:
        mlflow = None
        if tracked is not None:
            mlflow = stack.enter_context(
                mlflow_run(tracked, folder=folder, config=config, run_id=run_id, resumed=resumed)
            )
        run = None
        if "wandb" in settings:
            run = _start(settings["wandb"], folder, config, job_type, group, run_id, resumed)
            stack.push(_Finish(run))
        yield JobLoggers(folder, run, csv and csv.folder, board and board.folder, mlflow)


class _Finish:
    """Ends a W&B run with the state of the block it closes."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __enter__(self) -> None:
        """Nothing: the run is open."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, Pruned):
            self.run.tags = (*(self.run.tags or ()), PRUNED)
            self.run.summary[PRUNED] = str(error)
        ended = kind is None or issubclass(kind, Pruned)
        self.run.finish(exit_code=0 if ended else 1)
        if ended and self.run.offline:
            folder = Path(self.run.dir).parent
            log.info(f"W&B wrote this run offline; to upload it: wandb sync {folder}")


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
