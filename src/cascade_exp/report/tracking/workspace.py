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


@dataclass
class WorkspaceOptions:
    """What the command takes."""

    entity: str = MISSING
    project: str = "cascade-exp"
    name: str = "Cascades"
    rule: str = "match_accuracy"
    save: bool = True


def build(options: WorkspaceOptions) -> Any:
    """The workspace: results of a rule, fronts, methods, training, what runs differ in.

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
    rule = options.rule
    cost, score, improvement = (f"{rule}/{key}" for key in ("cost", "score", "improvement"))
    average = "front/report/average_improvement"
    chosen_by = "front/selection/average_improvement"
    made_of = [wr.Config(f"{key}.name") for key in ("metric", "ensemble", "calibration")]
    columns = [*made_of, *map(wr.SummaryMetric, (chosen_by, average, cost, score))]
    sections = [
        ws.Section(
            name=f"Operating points of {rule}",
            is_open=True,
            panels=[
                wr.ScatterPlot(
                    title="Score against cost, on report",
                    x=wr.SummaryMetric(cost),
                    y=wr.SummaryMetric(score),
                    log_x=True,
                ),
                wr.BarPlot(title="Improvement factor, on report", metrics=[improvement]),
                wr.BarPlot(title="Score, on report", metrics=[score]),
            ],
        ),
        ws.Section(
            name="Fronts",
            is_open=True,
            panels=[
                wr.BarPlot(title="Average improvement, on report", metrics=[average]),
                wr.ScatterPlot(
                    title="What selection promised, and what report kept",
                    x=wr.SummaryMetric(chosen_by),
                    y=wr.SummaryMetric(average),
                ),
                wr.MediaBrowser(media_keys=["plots/frontier", "plots/improvement"], num_columns=2),
            ],
        ),
        ws.Section(
            name="Choices",
            is_open=True,
            panels=[
                wr.ParallelCoordinatesPlot(
                    columns=[wr.ParallelCoordinatesPlotColumn(metric=c) for c in columns]
                ),
                wr.RunComparer(diff_only="split"),
            ],
        ),
        ws.Section(
            name="Training",
            panels=[
                wr.LinePlot(title="Validation accuracy by epoch", y=["val/accuracy"]),
                wr.MediaBrowser(media_keys=["plots/reliability"]),
            ],
        ),
    ]
    return ws.Workspace(
        entity=options.entity,
        project=options.project,
        name=options.name,
        sections=sections,
    )


def serialised(workspace: Any) -> str:
    """The workspace as W&B is sent it."""
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
        told = str(error).splitlines()[0]
        raise CascadeError(f"{told}; expected entity=… project=… name=… rule=… save=…") from None
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
