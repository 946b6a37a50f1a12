"""What terminal and page show of an executed cascade: measured beside predicted, and seconds."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from cascade_exp.report.pages import numbers
from cascade_exp.report.pages.terminal import paragraph, plain
from cascade_exp.report.results.executed import Executed
from cascade_exp.report.sentences import stated


@dataclass(frozen=True)
class Yardstick:
    """One way to answer the timed examples: seconds per example, and the last stage's over them."""

    name: str
    seconds: float
    speed_up: float


def yardsticks(found: Executed) -> list[Yardstick]:
    """The cascade as it ran, and what its seconds are compared with."""
    last = found.stages[-1]
    ways = {
        "the cascade": found.seconds,
        f"{last} alone": found.seconds_last,
        "all stages, masked": found.seconds_all,
        "ideal": found.seconds_ideal,
    }
    return [Yardstick(name, it, found.seconds_last / it) for name, it in ways.items()]


@stated
def executed_sentence(found: Executed) -> str:
    """How the measured time of the cascade compares, in one or two sentences."""
    last, beside = found.seconds_last / found.seconds, found.seconds / found.seconds_ideal - 1
    against = (
        f"{numbers.factor(last)} as fast as {found.stages[-1]} alone"
        if last >= 1
        else f"slower than {found.stages[-1]} alone, at {numbers.factor(last)} of its speed"
    )
    side = "above" if beside >= 0 else "below"
    text = (
        f"Run on {numbers.count(found.timed)} examples, {numbers.count(found.batch_size)} at a "
        f"time, the cascade is {against} and {numbers.percent(abs(beside))} {side} the ideal time."
    )
    if found.differing:
        text += (
            f" {numbers.count(found.differing)} of {numbers.count(found.examples)} examples left "
            "elsewhere, or were answered otherwise, than the recordings say."
        )
    if found.aside:
        text += f" {numbers.count(found.aside)} could not be read."
    return text


def print_executed(found: Executed, unit: str, console: Console) -> None:
    """Print measured beside predicted figures, and the yardsticks."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("run for real", no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("predicted", justify="right", no_wrap=True)
    for name, measured, predicted in figures(found, unit):
        table.add_row(plain(name), plain(measured), plain(predicted))
    console.print()
    console.print(table)
    times = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    times.add_column("seconds per example", no_wrap=True)
    times.add_column("", justify="right", no_wrap=True)
    times.add_column("speed-up", justify="right", no_wrap=True)
    for way in yardsticks(found):
        times.add_row(
            plain(way.name),
            plain(numbers.cost(way.seconds, "seconds")),
            plain(numbers.factor(way.speed_up)),
        )
    console.print(times)
    paragraph(console, executed_sentence(found))


def figures(found: Executed, unit: str) -> list[tuple[str, str, str]]:
    """(what, measured, predicted) of the whole split."""
    score = numbers.NOTHING if found.score is None else numbers.score(found.score)
    rows = [
        ("score", score, numbers.score(found.predicted_score)),
        ("mean cost", numbers.cost(found.cost, unit), numbers.cost(found.predicted_cost, unit)),
    ]
    exits = zip(found.stages, found.exit_rates, found.predicted_exit_rates, strict=True)
    rows += [(f"leaves at {s}", numbers.percent(m), numbers.percent(p)) for s, m, p in exits]
    return rows
