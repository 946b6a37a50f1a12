"""The results in the terminal: rich tables that stay readable at 80 columns and without colour."""

from __future__ import annotations

import functools
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cascade_exp.report.figures.registry import written_figures
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.pages.terminal import paragraph, plain, print_encodable
from cascade_exp.report.results.schema import OperatingPoint, Results

# A name longer than this is cut in the middle, so that numbers never wrap at 80 columns.
_NAME_WIDTH = 30


def print_results(results: Results, folder: Path, console: Console | None = None) -> None:
    """Print the results and where ``report.html`` and the plots lie below ``folder``.

    ``folder`` is the job's ``results/``. ``console`` defaults to standard output.
    """
    target = console or Console(highlight=False)
    print_encodable(target, functools.partial(_print_all, results, folder))


def results_table(results: Results, console: Console) -> None:
    """Print single models, operating points by rule, and the figures of the Pareto front."""
    console.print(_single_models(results))
    for rules, point in view.rules_by_setting(results):
        console.print()
        console.print(_operating_point(results, rules, point))
    console.print()
    say = functools.partial(paragraph, console)
    say(view.figures_sentence(results))
    for caution in view.cautions(results):
        say(f"Note: {caution}", "yellow")
    if not view.same_split(results):
        say(view.split_sentence(results), "dim")
    console.print()
    say("".join(words.text for words in view.headline(results)), "bold")


def _print_all(results: Results, folder: Path, console: Console) -> None:
    console.print()
    results_table(results, console)
    console.print()
    places = [("report", folder / "report.html"), ("plots", folder / "plots")]
    written = [(label, path) for label, path in places if path.exists()]
    for label, path in written or [("results", folder)]:
        # A path is for copying: it is never broken into lines.
        console.print(Text(f"{label:<8}{path}"), soft_wrap=True)
    if drawn := written_figures(folder):
        paragraph(console, f"{len(drawn)} pictures: {', '.join(drawn)}.", "dim")


def _single_models(results: Results) -> RenderableType:
    best, mark = view.best_single(results).name, view.best_mark(results)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("model", no_wrap=True)
    table.add_column(view.objective(results), justify="right", no_wrap=True)
    table.add_column(plain(f"{view.INTERVALS} interval"), no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for model in results.single_models:
        measured = model.report
        table.add_row(
            Text(numbers.shorten(model.name, _NAME_WIDTH)),
            plain(numbers.score(measured.score)),
            plain(numbers.interval(measured.score_interval)),
            plain(numbers.cost(measured.cost, view.unit(results))),
            mark if model.name == best else "",
            style="bold" if model.name == best else "",
        )
    return Group(Text(f"Single models on {view.split(results, 'report')}", style="bold"), table)


def _operating_point(results: Results, rules: list[str], point: OperatingPoint) -> RenderableType:
    title = Text(" and ".join(rules), style="bold cyan")
    if results.chosen in rules:
        title.append(" (chosen)", style="cyan")
    if not point.feasible:
        return Group(title, _indented(plain(f"cannot be met: {point.reason}", "red")))
    measured, unit = view.reported(point), view.unit(results)
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("cascade", Text(" > ".join(point.stages)))
    facts.add_row(view.objective(results), plain(view.score_words(results, point)))
    if difference := view.difference_words(results, point):
        facts.add_row("difference", plain(difference))
    cost = (
        f"{numbers.cost(measured.cost, unit)} {numbers.cost_interval(measured.cost_interval, unit)}"
    )
    facts.add_row("mean cost", plain(cost.rstrip()))
    facts.add_row("saving", plain(view.saving_words(results, point)))
    if len(point.stages) == 1:
        return Group(title, _indented(facts))
    facts.add_row("improvement", plain(view.improvement_words(results, point)))
    if point.worst_case_cost is not None:
        facts.add_row("worst case", plain(numbers.cost(point.worst_case_cost, unit)))
    return Group(title, _indented(facts), _indented(_stages(results, point)))


def _indented(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, 2), expand=False)


def _stages(results: Results, point: OperatingPoint) -> Table:
    unit = view.unit(results)
    cumulative = results.settings["accounting"] == "cumulative"
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("stage", no_wrap=True)
    table.add_column("answers if", no_wrap=True)
    table.add_column("answers", justify="right", no_wrap=True)
    table.add_column("cost so far" if cumulative else "cost", justify="right", no_wrap=True)
    for stage in view.stages(results, point):
        table.add_row(
            Text(numbers.shorten(stage.name, _NAME_WIDTH)),
            Text(stage.leaves),
            plain(numbers.percent(stage.exits)),
            plain(numbers.cost(stage.paid, unit)),
        )
    return table
