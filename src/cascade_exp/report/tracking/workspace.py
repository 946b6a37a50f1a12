"""The saved W&B dashboard of a project's evaluations, built by command.

    uv run --extra workspaces python -m cascade_exp.report.tracking.workspace entity=me

(``project=cascade-exp`` unless another is named.)

Needs the extra ``workspaces`` and a W&B login; with ``save=false`` it is built and printed as JSON,
which needs neither a login nor a network.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cascade_exp.errors import CascadeError

_ON_REPORT = "front/report/average_improvement"
_ON_SELECTION = "front/selection/average_improvement"


@dataclass
class WorkspaceOptions:
    """What the command takes."""

    entity: str = MISSING
    project: str = "cascade-exp"
    name: str = "Cascades"
    rule: str = "match_accuracy"
    save: bool = True


def build(options: WorkspaceOptions) -> Any:
    """The workspace: results of a rule, Pareto fronts, training, what runs differ in.

    Raises:
        CascadeError: if wandb-workspaces is not installed.
    """
    try:
        # by name: neither module says what it exports
        wr: Any = importlib.import_module("wandb_workspaces.reports.v2")
        ws: Any = importlib.import_module("wandb_workspaces.workspaces")
    except ImportError:
        raise CascadeError(
            "the workspace needs wandb-workspaces: uv sync --extra workspaces"
        ) from None
    training = [
        wr.LinePlot(title="Validation accuracy by epoch", y=["val/accuracy"]),
        wr.MediaBrowser(media_keys=["plots/reliability"]),
    ]
    return ws.Workspace(
        entity=options.entity,
        project=options.project,
        name=options.name,
        sections=[
            ws.Section(
                name=f"Operating points of {options.rule}",
                is_open=True,
                panels=_operating_points(wr, options.rule),
            ),
            ws.Section(name="Pareto fronts", is_open=True, panels=_fronts(wr)),
            ws.Section(name="Choices", is_open=True, panels=_choices(wr, options.rule)),
            ws.Section(name="Training", panels=training),
        ],
    )


def _operating_points(wr: Any, rule: str) -> list[Any]:
    return [
        wr.ScatterPlot(
            title="Score against cost, on report",
            x=wr.SummaryMetric(f"{rule}/cost"),
            y=wr.SummaryMetric(f"{rule}/score"),
            log_x=True,
        ),
        wr.BarPlot(title="Improvement factor, on report", metrics=[f"{rule}/improvement"]),
        wr.BarPlot(title="Score, on report", metrics=[f"{rule}/score"]),
    ]


def _fronts(wr: Any) -> list[Any]:
    return [
        wr.BarPlot(title="Average improvement, on report", metrics=[_ON_REPORT]),
        wr.ScatterPlot(
            title="Average improvement on report against that on selection",
            x=wr.SummaryMetric(_ON_SELECTION),
            y=wr.SummaryMetric(_ON_REPORT),
        ),
        wr.MediaBrowser(media_keys=["plots/frontier", "plots/improvement"], num_columns=2),
    ]


def _choices(wr: Any, rule: str) -> list[Any]:
    made_of = [wr.Config(f"{key}.name") for key in ("metric", "ensemble", "calibration")]
    numbers = (_ON_SELECTION, _ON_REPORT, f"{rule}/cost", f"{rule}/score")
    columns = [*made_of, *map(wr.SummaryMetric, numbers)]
    return [
        wr.ParallelCoordinatesPlot(
            columns=[wr.ParallelCoordinatesPlotColumn(metric=c) for c in columns]
        ),
        wr.RunComparer(diff_only="split"),
    ]


def serialised(workspace: Any) -> str:
    """The workspace as the JSON that is sent to W&B."""
    text: str = workspace._to_model().model_dump_json(indent=2)
    return text


def main(arguments: list[str]) -> None:
    """Build the workspace and save it, or print it."""
    try:
        merged = OmegaConf.merge(
            OmegaConf.structured(WorkspaceOptions), OmegaConf.from_cli(arguments)
        )
        options = OmegaConf.to_object(merged)
        assert isinstance(options, WorkspaceOptions)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise CascadeError(f"{reason}; expected entity=… project=… name=… rule=… save=…") from None
    workspace = build(options)
    if not options.save:
        print(serialised(workspace))
        return
    workspace.save()
    print(workspace.url)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except CascadeError as error:
        sys.exit(f"Error: {error}")
