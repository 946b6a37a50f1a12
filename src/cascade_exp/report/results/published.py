"""Numbers printed in papers, to draw beside one's own: ``published.csv``, read and checked.

The table is reviewed data: each row names the place that prints it. A row holds either a cost and a
score, or, where a paper prints only how a method compares with its ``reference``, the share of that
one's cost and the change of its score.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from cascade_exp.errors import choice
from cascade_exp.tables import columns_of, optional_float, parse_table

_TABLE = "published.csv"


@dataclass(frozen=True)
class PublishedPoint:
    """One row of ``published.csv``.

    Attributes:
        source, table_or_figure: the paper and the exact place in it.
        cost: per example, in ``cost_unit`` (a column of ``models.csv``). score: a fraction.
        reference: the method that this one is compared with there; None for that one itself.
        cost_share, score_change: cost / the reference's, score - the reference's.
        note: how the numbers are printed, where that differs.
    """

    source: str
    table_or_figure: str
    dataset: str
    method: str
    cost: float | None
    cost_unit: str
    score: float | None
    reference: str | None
    cost_share: float | None
    score_change: float | None
    note: str


def published_points(dataset: str) -> list[PublishedPoint]:
    """The published points on ``dataset``, in the table's order.

    Where cost and score are printed of a method and of its reference, share and change are theirs.

    Raises:
        CascadeError: if there are none, naming the data sets that are known.
    """
    points = _read()
    choice(dataset, sorted({point.dataset for point in points}), "published")
    return [point for point in points if point.dataset == dataset]


def _read() -> list[PublishedPoint]:
    table = files("cascade_exp.report.results").joinpath(_TABLE)
    text = table.read_text(encoding="utf-8")
    rows = [row for _, row in parse_table(text, _TABLE, columns_of(PublishedPoint))]
    known = {
        (row["source"], row["dataset"], row["method"]): (float(row["cost"]), float(row["score"]))
        for row in rows
        if row["cost"]
    }
    return [_point(row, known) for row in rows]


def _point(
    row: dict[str, str], known: dict[tuple[str, str, str], tuple[float, float]]
) -> PublishedPoint:
    cost, score = optional_float(row["cost"]), optional_float(row["score"])
    share, change = optional_float(row["cost_share"]), optional_float(row["score_change"])
    beside = known.get((row["source"], row["dataset"], row["reference"]))
    if beside is not None and cost is not None and score is not None:
        share, change = cost / beside[0], score - beside[1]
    return PublishedPoint(
        source=row["source"],
        table_or_figure=row["table_or_figure"],
        dataset=row["dataset"],
        method=row["method"],
        cost=cost,
        cost_unit=row["cost_unit"],
        score=score,
        reference=row["reference"] or None,
        cost_share=share,
        score_change=change,
        note=row["note"],
    )
