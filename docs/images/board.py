"""Draws docs/images/board_*.png from the tables that offline runs of a sweep have logged to W&B.

Not screenshots: the custom charts' own data (``charts/<name>``, as docs/wandb.md names them; the
pictures ``plots/<name>`` are logged as they are), drawn as the board's line series draw it, several
runs laid over one another. Its input and command:

    uv run evaluate.py -m metric=max_softmax,logits_margin ensemble=none,mean_logits \
        recordings=examples/recordings/cifar10_resnets hydra.sweep.dir=outputs/board
    uv run python docs/images/board.py outputs/board
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

from cascade_exp.report.figures import axes as house_axes
from cascade_exp.report.figures import layout, style
from cascade_exp.report.figures.analysis_style import SERIES

CHARTS = {
    "front": ("mean cost (MACs)", "accuracy", ("Pareto front on report",)),
    "improvement": ("accuracy", "improvement factor", ("report",)),
    "reliability": ("confidence", "accuracy", None),
}


def logged(job: Path, chart: str) -> dict[str, list[tuple[float, float]]]:
    """The lines (x, y) of one chart by their key, as the run's table holds them."""
    (path,) = job.glob(f"wandb/offline-run-*/files/media/table/charts/{chart}_table_*.json")
    table = json.loads(path.read_text(encoding="utf-8"))
    at = {name: table["columns"].index(name) for name in ("step", "lineKey", "lineVal")}
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in table["data"]:
        lines.setdefault(row[at["lineKey"]], []).append((row[at["step"]], row[at["lineVal"]]))
    return lines


def run_name(job: Path) -> str:
    """What the legend calls a run: what the sweep varied."""
    config = yaml.safe_load((job / "config.yaml").read_text(encoding="utf-8"))
    return f"{config['metric']['name']}, {config['ensemble']['name']}"


def draw(jobs: list[Path], chart: str) -> bytes:
    """One chart with the runs laid over one another; of ``reliability`` the first run alone."""
    x, y, keys = CHARTS[chart]
    with style.house_style():
        figure = style.new_figure(style.Size(6.4, 4.0))
        axes = figure.add_subplot()
        if keys is None:
            series = logged(jobs[0], chart)
        else:
            series = {run_name(job): logged(job, chart)[key] for job in jobs for key in keys}
        for color, (name, points) in zip(SERIES, series.items(), strict=False):
            xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, color=color, linewidth=1.5, label=name)
        if chart == "front":
            house_axes.linear_cost(axes.xaxis, "macs")
        axes.set(xlabel=x, ylabel=y, title=f"charts/{chart}")
        style.legend_below(figure, axes)
        return layout.png(figure)


def main(sweep: Path) -> None:
    """Draw all three."""
    jobs = sorted(path.parent for path in sweep.glob("*/config.yaml"))
    for chart in CHARTS:
        (Path(__file__).parent / f"board_{chart}.png").write_bytes(draw(jobs, chart))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
