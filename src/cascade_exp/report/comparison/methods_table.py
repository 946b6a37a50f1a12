"""A comparison of cascading methods in the terminal: one line each, the best of a column marked.

The rows and their CSV live in ``methods``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cascade_exp.report.comparison.methods import MethodRow, OnSplit, method_rows
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.pages.terminal import paragraph, plain, print_encodable
from cascade_exp.report.results.schema import Measured, Results
from cascade_exp.report.sentences import stated

BEST = "*"

# A longer name of a method is cut in the middle.
_NAME_WIDTH = 28


def print_methods(methods: Mapping[str, Results], folder: Path, console: Console) -> None:
    """Print the comparison of ``methods`` and where it lies below ``folder``, a job's ``results/``.

    The best of each column is bold and starred.
    """
    print_encodable(console, functools.partial(_print_all, methods, folder))


@dataclass(frozen=True)
class _Column:
    """What a column shows of a row, and what ranks it, higher being better.

    Ranked is by the selection split, also where the report split's number is shown; rows with the
    same ``rank_text``, that number as shown, are equal. A column of words is only shown where the
    width takes it.
    """

    title: str
    text: Callable[[MethodRow], str]
    rank: Callable[[MethodRow], float | None] | None = None
    rank_text: Callable[[MethodRow], str] | None = None
    words: bool = False


_METHOD = _Column("method", lambda row: numbers.shorten(row.method, _NAME_WIDTH), words=True)
_MADE_OF = [
    _Column("metric", lambda row: row.metric, words=True),
    _Column("ensemble", lambda row: row.ensemble, words=True),
    _Column("calibration", lambda row: row.calibration, words=True),
]
_STAGES = _Column(
    "stages", lambda row: " > ".join(row.point.stages if row.point else []), words=True
)


def _print_all(methods: Mapping[str, Results], folder: Path, console: Console) -> None:
    rows, results = method_rows(methods), next(iter(methods.values()))
    selection, report = view.split(results, "selection"), view.split(results, "report")
    same, name = view.same_split(results), view.objective(results)
    count = f"{len(rows)} method{'s' if len(rows) > 1 else ''}"
    print_part = functools.partial(_print_part, console, rows)
    print_part(
        f"{count} on {report}: improvement factor"
        + ("" if same else f" of the settings found on {selection}"),
        [*_MADE_OF, *_front_columns("report", rows, name)],
    )
    if not same:
        print_part(
            f"The same on {selection}, where they were found: optimistic",
            _front_columns("selection", rows, name),
        )
    if rows[0].point is not None:
        rule = rows[0].point.rule
        title = f"{rule}, chosen on {selection} and measured on {report}"
        if not print_part(title, [*_point_columns(results), _STAGES]):
            print_part(f"The cascades that {rule} chose", [_STAGES])
    console.print()
    for words in _remarks(results, rows):
        paragraph(console, words, "dim")
    console.print()
    # A path is for copying: it is never broken into lines.
    for label, path in (("methods", "methods.csv"), ("plot", "plots/methods.png")):
        console.print(Text(f"{label:<8}{folder / path}"), soft_wrap=True)


def _print_part(
    console: Console, rows: Sequence[MethodRow], title: str, columns: Sequence[_Column]
) -> bool:
    """Print one part of the comparison; returns whether the width took the columns of words."""
    console.print()
    console.print(Text(title, style="bold"))
    figures = [column for column in columns if not column.words]
    table = _table(rows, [_METHOD, *columns])
    unbounded = console.options.update(max_width=10_000)
    fits = console.measure(table, options=unbounded).maximum <= console.width
    console.print(table if fits or not figures else _table(rows, [_METHOD, *figures]))
    return fits or not figures


def _table(rows: Sequence[MethodRow], columns: Sequence[_Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(
            plain(column.title),
            justify="left" if column.words else "right",
            vertical="top",
            no_wrap=column is not _STAGES,
            overflow="fold" if column is _STAGES else "ellipsis",
        )
    best = [_best(rows, column) for column in columns]
    for row in rows:
        table.add_row(
            *(
                plain(BEST + column.text(row), "bold") if row in top else plain(column.text(row))
                for column, top in zip(columns, best, strict=True)
            )
        )
    return table


def _best(rows: Sequence[MethodRow], column: _Column) -> list[MethodRow]:
    """The rows that read like the highest ranked one; none where all do."""
    rank, text = column.rank, column.rank_text or column.text
    ranked = [row for row in rows if rank is not None and rank(row) is not None]
    if rank is None or not ranked:
        return []
    top = max(ranked, key=lambda row: rank(row) or 0.0)
    best = [row for row in ranked if text(row) == text(top)]
    return best if len(best) < len(rows) else []


def _front_columns(role: str, rows: Sequence[MethodRow], name: str) -> list[_Column]:
    def on(row: MethodRow) -> OnSplit:
        return row.selection if role == "selection" else row.report

    def column(
        title: str,
        value: Callable[[OnSplit], float | None],
        show: Callable[[float | None], str] = numbers.factor,
    ) -> _Column:
        return _Column(
            title,
            lambda row: show(value(on(row))),
            rank=lambda row: value(row.selection),
            rank_text=lambda row: show(value(row.selection)),
        )

    def score(found: float | None) -> str:
        return numbers.NOTHING if found is None else numbers.score(found)

    return [
        column("average", lambda found: found.average_improvement),
        column(
            f"above\n{numbers.score(on(rows[0]).upper_from)}",
            lambda found: found.upper_improvement,
        ),
        column("largest", lambda found: found.max_improvement),
        _Column(f"at\n{name}", lambda row: score(on(row).max_improvement_score)),
        column(f"top\n{name}", lambda found: found.top_score, score),
        _Column("gain", lambda row: numbers.gain(on(row).top_gain)),
    ]


def _point_columns(results: Results) -> list[_Column]:
    unit = view.unit(results)
    title = numbers.unit_title(unit)

    def column(
        title: str, show: Callable[[Measured], str], rank: Callable[[Measured], float | None]
    ) -> _Column:
        def on(row: MethodRow, role: str) -> Measured | None:
            return None if row.point is None else getattr(row.point, role)

        def text(row: MethodRow, role: str) -> str:
            return numbers.NOTHING if (found := on(row, role)) is None else show(found)

        return _Column(
            title,
            lambda row: text(row, "report"),
            rank=lambda row: None if (found := on(row, "selection")) is None else rank(found),
            rank_text=lambda row: text(row, "selection"),
        )

    return [
        column(
            f"{view.objective(results)}\n{view.INTERVALS} interval",
            lambda found: numbers.score_with_interval(found.score, found.score_interval),
            lambda found: found.score,
        ),
        column(
            f"cost\n({title})" if title else "cost",
            lambda found: numbers.short_cost(found.cost, unit),
            lambda found: -found.cost,
        ),
        column(
            "factor",
            lambda found: numbers.factor(found.improvement),
            lambda found: found.improvement,
        ),
    ]


@stated
def _remarks(results: Results, rows: Sequence[MethodRow]) -> list[str]:
    """What the numbers mean, and which of them are optimistic."""
    selection, report = view.split(results, "selection"), view.split(results, "report")
    name, figures = view.objective(results), rows[0].report
    low, high = numbers.score(figures.accuracy_low), numbers.score(figures.accuracy_high)
    remarks = [
        f"Average: mean improvement factor over {name} {low} to {high} on {report}, from the "
        f"cheapest to the best single model; above: over the upper half of it. {BEST}: best of its "
        f"column on {selection}."
    ]
    if view.same_split(results):
        remarks.append(view.split_sentence(results))
    else:
        remarks.append(
            f"The averages on {report} take, at each {name}, the cheapest of these settings there, "
            f"which is slightly optimistic; the settings of largest and top {name}, and what a "
            f"rule chose, were chosen on {selection} alone."
        )
    inexact = ", ".join(row.method for row in rows if not row.exact)
    remarks.append(
        f"Not searched exhaustively, cheaper settings may exist: {inexact}."
        if inexact
        else "Every Pareto front was searched exhaustively (exact)."
    )
    for row in rows:
        if row.point is not None and not row.point.feasible:
            remarks.append(f"{row.method}: {row.point.rule} cannot be met: {row.point.reason}")
    return remarks
