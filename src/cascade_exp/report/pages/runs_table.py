"""Many jobs in the terminal: a row each, best on selection first, with the paired difference."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cascade_exp.report.comparison.pairs import Pair
from cascade_exp.report.comparison.runs import (
    ComparedRun,
    by_improvement,
    comparable,
    first_point,
    label,
    varied,
)
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.pages.terminal import paragraph, plain, print_encodable
from cascade_exp.report.sentences import stated

# A longer label of a job is cut in the middle.
_LABEL_WIDTH = 44


def print_runs(runs: Sequence[ComparedRun], pairs: Mapping[str, Pair], console: Console) -> None:
    """Print a table per kind of score and cost, and why pairs are missing."""
    print_encodable(console, functools.partial(_print_all, runs, pairs))


def _print_all(runs: Sequence[ComparedRun], pairs: Mapping[str, Pair], console: Console) -> None:
    keys = varied(runs)
    for members in comparable(runs).values():
        console.print(_table(members, keys, pairs))
    reasons = {name: pair.reason for name, pair in pairs.items() if pair.reason}
    by_name = {run.name: label(run, keys) for run in runs}
    for name, reason in reasons.items():
        paragraph(console, unpaired_words(by_name[name], reason), "dim")


def _table(members: Sequence[ComparedRun], keys: Sequence[str], pairs: Mapping[str, Pair]) -> Table:
    ranked = sorted(members, key=by_improvement, reverse=True)
    first = ranked[0].results
    assert first is not None
    unit = view.unit(first)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(", ".join(keys) or "job")
    for title in ("average", view.objective(first), "cost"):
        table.add_column(plain(title), justify="right", no_wrap=True)
    if len(members) > 1:
        table.add_column(plain("points above the first"), no_wrap=True)
    for run in ranked:
        assert run.results is not None
        point = first_point(run)
        measured = point.report if point else None
        average = run.results.figures["report"].average_improvement
        table.add_row(
            Text(numbers.shorten(label(run, keys), _LABEL_WIDTH)),
            plain(numbers.factor(average)),
            plain(numbers.score(measured.score) if measured else numbers.NOTHING),
            plain(numbers.cost(measured.cost, unit) if measured else numbers.NOTHING),
            *([plain(gain_words(pairs.get(run.name)))] if len(members) > 1 else []),
        )
    return table


@stated
def unpaired_words(name: str, reason: str) -> str:
    """Why the job that is called ``name`` has no paired difference."""
    return f"{name}: no paired difference: {reason}."


def gain_words(pair: Pair | None) -> str:
    """``−1.3 [−2.4, −0.3]``, points of the score above the reference; empty where not paired."""
    if pair is None or pair.difference is None:
        return ""
    low, high = pair.difference.score_interval
    interval = f"[{numbers.gain(low)},{numbers.SPACE}{numbers.gain(high)}]"
    return f"{numbers.gain(pair.difference.score)} {interval}"
