"""What ``python -m cascade_exp.predict`` shows: its progress, and what each stage did."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cascade_exp.cascade.costs import exit_costs
from cascade_exp.data.row_files import RowFile
from cascade_exp.report.pages import numbers
from cascade_exp.report.pages.terminal import plain, print_encodable
from cascade_exp.tools.answer_files import Done

if TYPE_CHECKING:
    from rich.console import Console

    from cascade_exp.runtime.cascade import Cascade


@contextmanager
def progress_shown(
    stages: Sequence[str], rows: RowFile, every: int
) -> Iterator[Callable[[Done], None]]:
    """Yield what to call after every group: a bar on a terminal, else a line per ``every`` rows."""
    from rich.console import Console

    from cascade_exp.jobs.progress import prediction_progress

    console = Console(stderr=True)
    if console.is_terminal:
        with prediction_progress(console) as update:
            yield lambda done: update(_line(done, stages), _share(done, rows))
        return
    reported = 0

    def report(done: Done) -> None:
        nonlocal reported
        if done.rows // every > reported:
            reported = done.rows // every
            print(_line(done, stages).replace(numbers.SPACE, " "), file=sys.stderr, flush=True)

    yield report


def _share(done: Done, rows: RowFile) -> float | None:
    return done.rows / rows.total if rows.total else rows.share()


def _line(done: Done, stages: Sequence[str]) -> str:
    answered = max(sum(done.exits), 1)
    exits = " · ".join(
        f"{stage} {numbers.percent(count / answered)}"
        for stage, count in zip(stages, done.exits, strict=True)
    )
    aside = f" · {done.aside:,} set aside" if done.aside else ""
    return f"{done.rows:,} rows: {exits}{aside}"


def show_summary(
    cascade: Cascade,
    done: Done,
    targets: tuple[Path, Path] | None,
    rows: int,
    seconds: float,
) -> None:
    """Print how many inputs each stage answered, what share of the cost it took, and the files.

    Args:
        rows: how many this process has worked on, in ``seconds``.
    """
    from rich.console import Console

    def show(console: Console) -> None:
        if sum(done.exits):
            _table(console, cascade, done)
            for line in _cost_lines(cascade, done):
                console.print(plain(line), soft_wrap=True)
        for line in _file_lines(done, targets, rows, seconds):
            console.print(plain(line), soft_wrap=True)

    print_encodable(Console(stderr=targets is None, highlight=False), show)


def reached(exits: Sequence[int]) -> list[int]:
    """How many inputs reached each stage, of how many each answered.

    >>> reached([70, 20, 10])
    [100, 30, 10]
    """
    return [sum(exits[at:]) for at in range(len(exits))]


def _table(console: Console, cascade: Cascade, done: Done) -> None:
    from rich.table import Table

    chosen = cascade.chosen
    answered = sum(done.exits)
    all_paid = chosen.accounting == "cumulative"
    payers = reached(done.exits) if all_paid else done.exits
    paid = [count * cost for count, cost in zip(payers, chosen.stage_costs, strict=True)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    for name in ("reached", "answered", "share", "expected", "cost each", "share of cost"):
        table.add_column(name, justify="right")
    for at, stage in enumerate(chosen.stages):
        expected = numbers.percent(chosen.exit_rates[at]) if chosen.exit_rates else numbers.NOTHING
        cells = [
            f"{reached(done.exits)[at]:,}",
            f"{done.exits[at]:,}",
            numbers.percent(done.exits[at] / answered),
            expected,
            numbers.cost(chosen.stage_costs[at], chosen.cost),
            numbers.percent(paid[at] / (sum(paid) or 1.0)),
        ]
        table.add_row(plain(stage), *map(plain, cells))
    console.print(table)


def _cost_lines(cascade: Cascade, done: Done) -> list[str]:
    """The mean cost as the evaluation counts it, beside that of the last stage alone."""
    chosen = cascade.chosen
    answered = sum(done.exits)
    costs = exit_costs(np.asarray(chosen.stage_costs), chosen.accounting).tolist()
    mean = sum(n * cost for n, cost in zip(done.exits, costs, strict=True)) / answered
    line = f"mean cost {numbers.cost(mean, chosen.cost)} per input"
    exits = "@" in chosen.stages[-1]  # of one network: the last needs the layers before it
    alone = sum(chosen.stage_costs) if exits else chosen.stage_costs[-1]
    if len(chosen.stages) > 1 and alone > 0:
        ratio = numbers.percent(abs(1 - mean / alone))
        line += f", {ratio} {'less' if mean <= alone else 'more'} than {chosen.stages[-1]} alone"
    return [line]


def _file_lines(
    done: Done, targets: tuple[Path, Path] | None, rows: int, seconds: float
) -> list[str]:
    speed = f"{rows:,} rows in {seconds:.1f} s"
    answered = sum(done.exits)
    lines = [
        f"{speed}, {answered:,} answers"
        if targets is None
        else f"{targets[0]}: {answered:,} answers ({speed})"
    ]
    if done.aside:
        where = "on standard error" if targets is None else f"in {targets[1]}"
        rows_text = "1 row" if done.aside == 1 else f"{done.aside:,} rows"
        lines.append(f"{rows_text} could not be answered; {where} is why")
    if done.fallen:
        lines.append(
            f"{done.fallen:,} inputs were answered by the stage before one that had failed"
        )
    return lines
