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
from http.client import HTTPException
from importlib.util import find_spec
from netrc import NetrcParseError, netrc
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from cascade_exp.errors import CascadeError, Pruned, choice, one_line
from cascade_exp.report.results.status import PRUNED
from cascade_exp.report.tracking.mlflow_run import MlflowRun, mlflow_run
from cascade_exp.schema.evaluating import WandbLogger

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger
    from wandb import Run

log = logging.getLogger(__name__)
LOGGERS = ("wandb", "csv", "tensorboard", "mlflow")
MODES = ("online", "offline", "disabled", "shared")
SECONDS = 5.0
"""How long W&B's server has to answer before a run is written offline."""


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
        """Log the headline numbers to TensorBoard and MLflow; W&B gets more (``board``)."""
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
        run_id: of the W&B run; ``resumed``: whether that run is resumed.
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
            log.info(
                f"W&B wrote this run offline; to read it here: wandb leet inspect --summary "
                f"{folder}; to upload it: wandb sync {folder}"
            )


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

    given = settings.mode or os.environ.get("WANDB_MODE")
    mode = given or _mode_by_key()
    choice(mode, MODES, "logger.wandb.mode")
    tags = settings.tags
    arguments: dict[str, Any] = {
        "project": settings.project,
        "entity": settings.entity,
        "group": settings.group or group,
        "name": settings.name,
        "tags": [tags] if isinstance(tags, str) else tags,
        "notes": settings.notes,
        "job_type": job_type,
        "id": run_id,
        "dir": str(folder),
        "config": dict(config),
        "reinit": "finish_previous",
    }
    try:
        return _init(mode, arguments, resumed)
    except wandb.errors.Error as error:
        if given is None and mode == "online":  # the server went away since the key was verified
            _note_offline(one_line(error))
            return _init("offline", arguments, resumed)
        raise CascadeError(f"logger=wandb: {one_line(error)}; logger=none disables W&B") from None


def _init(mode: str, arguments: Mapping[str, Any], resumed: bool) -> Run:
    import wandb

    return wandb.init(
        **arguments,
        mode=mode,  # type: ignore[arg-type]
        # offline, W&B joins both parts by their id when they are synced
        resume="allow" if resumed and mode in ("online", "shared") else None,
        settings=wandb.Settings(console="off", silent=mode != "online"),
    )


def _mode_by_key() -> str:
    """``online`` where a key is configured that the server accepts, else ``offline``.

    Raises:
        CascadeError: if W&B refuses the variables of the environment.
    """
    import wandb

    try:
        url = str(wandb.setup().settings.base_url)
    except Exception as error:  # what the environment sets is not what W&B takes
        raise CascadeError(f"logger=wandb: {one_line(error)}; logger=none disables W&B") from None
    if not _has_key(url):
        return "offline"
    if not _reachable(url):
        _note_offline(f"{url} cannot be reached")
        return "offline"
    try:
        return "online" if wandb.login(prompt=False) else "offline"
    except Exception as error:  # malformed keys, refused ones, and a server that does not answer
        _note_offline(one_line(error))
        return "offline"


def _note_offline(reason: str) -> None:
    log.warning(f"W&B: {shorten(reason, 200)}; this run is written offline")


def _has_key(url: str) -> bool:
    """Whether credentials for the server ``url`` are configured, in the ways that W&B knows."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        found = netrc(os.environ.get("NETRC")).authenticators(urlsplit(url).hostname or "")
    except (OSError, NetrcParseError):
        return False
    return found is not None


def _reachable(url: str) -> bool:
    """Whether the server ``url`` answers at all within :data:`SECONDS`; proxies are honoured."""
    try:
        with urlopen(url, timeout=SECONDS):
            return True
    except HTTPError:
        return True  # it answered, with whatever status
    except (OSError, ValueError, HTTPException):
        return False
