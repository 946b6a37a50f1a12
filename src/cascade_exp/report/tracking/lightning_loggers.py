"""Lightning's loggers for one of several models that train within one job.

Apart from ``loggers`` because it imports Lightning, which an evaluation of recordings never needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import (
    CSVLogger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)
from pytorch_lightning.utilities import rank_zero_only

from cascade_exp.report.tracking.mlflow_run import MlflowRun

if TYPE_CHECKING:
    from wandb import Run


# What a run's summary keeps of a training curve: the best epoch's, as <name>.max or <name>.min.
BEST = {"val/accuracy": "max", "val/f1": "max", "val/loss": "min"}


class ModelWandbLogger(WandbLogger):
    """Logs one model's training as ``<model>/…`` against ``<model>/step`` in a run that is open.

    Lightning's own logger has one step for the whole run, which starts anew with every model.
    """

    def __init__(self, run: Run, model: str) -> None:
        super().__init__(experiment=run)
        self.model = model
        run.define_metric(f"{model}/step", hidden=True)
        run.define_metric(f"{model}/*", step_metric=f"{model}/step")
        for metric, best in BEST.items():
            name = f"{model}/{metric}"
            run.define_metric(name, step_metric=f"{model}/step", summary=best)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log ``metrics`` under the model's name."""
        named = {f"{self.model}/{key}": value for key, value in metrics.items()}
        if step is not None:
            named[f"{self.model}/step"] = step
        self.experiment.log(named)


def wandb_logger(run: Run, model: str) -> ModelWandbLogger:
    """The logger of ``model``'s training in the job's W&B run."""
    return ModelWandbLogger(run, model)


def csv_logger(folder: Path, model: str) -> CSVLogger:
    """Writes ``<folder>/<model>/metrics.csv``."""
    return CSVLogger(str(folder), name=model, version="")


def tensorboard_logger(folder: Path, model: str) -> TensorBoardLogger:
    """Writes event files into ``<folder>/<model>/``."""
    return TensorBoardLogger(folder, name=model, version="", default_hp_metric=False)


def mlflow_logger(run: MlflowRun, model: str) -> MLFlowLogger:
    """Logs one model's training into the job's MLflow run, as ``<model>-…``."""
    return MLFlowLogger(
        experiment_name=run.experiment,
        tracking_uri=run.tracking_uri,
        run_id=run.id,
        prefix=model,
    )
