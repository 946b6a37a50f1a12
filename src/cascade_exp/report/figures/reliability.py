"""The picture of reliability: how well each model's confidence tells right answers from wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_exp.report.figures import style
from cascade_exp.report.figures.style import CASCADE, FAINT, INK, MUTED, Size
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.results.schema import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def reliability_figure(results: Results, size: Size) -> Figure | None:
    """AUROC, DIS and ECE of every model on both splits, as small multiples of bars."""
    models = list(dict.fromkeys(row.model for row in results.reliability))
    if not models:
        return None
    panels = (
        ("auroc", "AUROC of correctness", "higher is better"),
        ("dis", "DIS", "higher is better"),
        ("ece", "ECE", "lower is better"),
    )
    height = 0.34 * len(models)
    total = 3 * (height + 0.75) + 0.5 if size.narrow else height + 1.5
    figure = style.new_figure(Size(size.width, max(total, 2.4), size.title))
    grid = figure.subplots(*((3, 1) if size.narrow else (1, 3)), sharey=True)
    for axes, (field, title, hint) in zip(grid, panels, strict=True):
        values = {(row.model, row.split): getattr(row, field) for row in results.reliability}
        _bars(axes, results, models, values, 0.0 if field == "ece" else 0.5, size)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(hint, fontsize=9, color=MUTED)
    grid[0].invert_yaxis()
    style.legend_below(figure, grid[0])
    return figure


def _bars(
    axes: Axes,
    results: Results,
    models: list[str],
    values: dict[tuple[str, str], float | None],
    floor: float,
    size: Size,
) -> None:
    """Horizontal bars per model, one per split, each with its number."""
    roles = list(dict.fromkeys(role for _, role in values))
    known = [value for value in values.values() if value is not None]
    start = floor if all(value >= floor for value in known) else 0.0
    end = max([*known, start + 0.05])
    width = 0.76 / len(roles)
    for j, role in enumerate(roles):
        for i, model in enumerate(models):
            y = i + (j - (len(roles) - 1) / 2) * width
            value = values.get((model, role))
            at = start if value is None else value
            axes.annotate(
                "undefined" if value is None else f"{value:.3f}",
                (at, y),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=MUTED if value is None else INK,
            )
            axes.barh(
                y,
                at - start,
                left=start,
                height=width * 0.9,
                color=CASCADE if role == "report" else FAINT,
                label=f"on {view.split(results, role)}" if i == 0 else None,
            )
    axes.set_xlim(start, end + 0.28 * (end - start))
    axes.set_yticks(
        range(len(models)), [numbers.shorten(model, size.name_width) for model in models]
    )
    axes.set_ylim(-0.6, len(models) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
