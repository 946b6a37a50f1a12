"""One MLflow run per job: its configuration, headline numbers, and an end that is honest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_exp.errors import CascadeError, Pruned
from cascade_exp.report.results.status import PRUNED
from cascade_exp.schema.evaluating import MlflowLogger

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Ties a run to its job, so that a resumed job finds it again.
TAG = "cascade_exp.job"
_LONGEST = 500  # characters that MLflow keeps of a parameter


@dataclass(frozen=True)
class MlflowRun:
    """An open MLflow run."""

    client: MlflowClient
    id: str
    experiment: str
    tracking_uri: str

    def log_numbers(self, numbers: Mapping[str, float]) -> None:
        """Log ``numbers`` under their names."""
        for name, value in numbers.items():
            self.client.log_metric(self.id, name, value)

    def log_text(self, words: Mapping[str, str]) -> None:
        """Log ``words`` as tags."""
        for name, value in words.items():
            self.client.set_tag(self.id, name, value)


@contextmanager
def mlflow_run(
    settings: MlflowLogger, *, folder: Path, config: Mapping[str, Any], run_id: str, resumed: bool
) -> Iterator[MlflowRun]:
    """Open the job's run; it ends FINISHED, or FAILED if the block raises.

    The run of a job that was pruned ends FINISHED with the tag ``pruned``.

    Raises:
        CascadeError: if MLflow is not installed, or refuses.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise CascadeError("logger=mlflow needs MLflow: uv sync --extra mlflow") from None
    uri = settings.tracking_uri or f"sqlite:///{folder.resolve() / 'mlflow.db'}"
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(settings.experiment)
        experiment = found.experiment_id if found else client.create_experiment(settings.experiment)
        query = f"tags.`{TAG}` = '{run_id}'"
        before = client.search_runs([experiment], query, max_results=1) if resumed else []
        if before:
            run = before[0]
            client.set_terminated(run.info.run_id, "RUNNING")
        else:
            name = settings.run_name or folder.name
            run = client.create_run(experiment, run_name=name, tags={TAG: run_id})
            for key, value in _flat(config):
                client.log_param(run.info.run_id, key, value[:_LONGEST])
    except MlflowException as error:
        raise CascadeError(f"logger=mlflow: {' '.join(str(error).split())}") from None
    opened = MlflowRun(client, run.info.run_id, settings.experiment, uri)
    try:
        yield opened
    except Pruned as pruned:
        opened.log_text({PRUNED: str(pruned)})
        client.set_terminated(opened.id, "FINISHED")
        raise
    except BaseException:
        client.set_terminated(opened.id, "FAILED")
        raise
    client.set_terminated(opened.id, "FINISHED")


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", str(value)
