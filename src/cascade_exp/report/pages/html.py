"""``report.html``: one self-contained page about one evaluation, for people.

It opens offline and asks for nothing: figures are inline SVG, style and the few lines of script are
in the page, and its content security policy forbids the rest. What it says comes from ``view``,
what it draws from ``figures.registry``; the layout is ``templates/report.html.j2``.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade_exp.atomic import write_text
from cascade_exp.report.figures import style, svg
from cascade_exp.report.figures.registry import PLACES, Entry, all_figures
from cascade_exp.report.figures.style import Size
from cascade_exp.report.findings import Findings
from cascade_exp.report.pages import executed_view, numbers, speed_ups_view, tiers_view, view
from cascade_exp.report.pages.template import template
from cascade_exp.report.results.analyses_schema import Analyses, EarlyError
from cascade_exp.report.results.schema import FrontRow, Results
from cascade_exp.report.sentences import stated

# Rows of the page's table of trade-offs; frontier.csv has them all.
_TRADE_OFFS = 14

# Early errors shown, and the characters of an example's text.
_EARLY, _TEXT = 12, 240


@dataclass(frozen=True)
class Picture:
    """One figure of the page, drawn for a wide and for a narrow screen.

    A ``folded`` one is shown on demand, and is drawn once for every screen (``narrow`` is None).
    """

    name: str
    title: str
    caption: str
    wide: str
    narrow: str | None
    folded: bool


def write_html(
    found: Findings,
    path: Path,
    *,
    config_yaml: str,
    command: str,
    preview: Callable[[int | str], str | bytes | None] | None = None,
) -> None:
    """Write the page about ``found`` to ``path``, atomically.

    Args:
        config_yaml: the composed configuration as YAML.
        command: the command line that gives these results again; both are shown as they are.
        preview: what the example of an id looks like, text or PNG; None for an id it lacks.
    """
    text = html_text(found, config_yaml=config_yaml, command=command, preview=preview)
    write_text(path, text)


def html_text(
    found: Findings,
    *,
    config_yaml: str,
    command: str,
    preview: Callable[[int | str], str | bytes | None] | None = None,
) -> str:
    """The page as text; see :func:`write_html`."""
    results, analyses = found.results, found.analyses
    unit = view.unit(results)
    return template("report").render(
        findings=found,
        r=results,
        view=view,
        n=numbers,
        cost=lambda value: numbers.cost(value, unit),
        palette=style.PALETTE,
        chosen=view.chosen(results),
        best=view.best_single(results),
        analyses=analyses,
        tiers_view=tiers_view,
        speed_ups_view=speed_ups_view,
        executed_view=executed_view,
        previews=preview is not None,
        early=_early(analyses, preview),
        early_of=_early_words(analyses),
        class_name=_class_names(analyses),
        pictures=_pictures(found),
        trade_offs=[(row, *_answers_if(results, row)) for row in _trade_offs(results)],
        settings=list(flat(results.settings)),
        environment=list(flat(results.environment)),
        config_yaml=config_yaml.rstrip(),
        command=command,
    )


def _early(
    analyses: Analyses | None, preview: Callable[[int | str], str | bytes | None] | None
) -> list[tuple[EarlyError, str, str]]:
    """The most confident early errors, each with its text and the data address of its picture."""
    cascade = analyses.cascade if analyses is not None else None
    found = []
    for error in cascade.early_errors[:_EARLY] if cascade is not None else []:
        shown = preview(error.example) if preview is not None else None
        text = numbers.shorten(shown, _TEXT) if isinstance(shown, str) else ""
        picture = (
            f"data:image/png;base64,{b64encode(shown).decode()}" if isinstance(shown, bytes) else ""
        )
        found.append((error, text, picture))
    return found


@stated
def _early_words(analyses: Analyses | None) -> str:
    """How many left early and wrong, and how many of them no stage would have got right."""
    cascade = analyses.cascade if analyses is not None else None
    if cascade is None:
        return ""
    exits = cascade.wrong_exits
    left, wrong, too = (
        int(a[:-1].sum()) for a in (exits.left, exits.wrong, exits.wrong_at_last_too)
    )
    return (
        f"{numbers.count(wrong)} of {numbers.count(left)} examples that left early were answered "
        f"wrongly; the last stage would have been wrong on {numbers.count(too)} of them too."
    )


def _class_names(analyses: Analyses | None) -> Callable[[int], str]:
    """How a class is called: its name where there is one, else its number; an absent answer so."""
    cascade = analyses.cascade if analyses is not None else None
    rows = cascade.exits_by_class if cascade is not None else []
    names = {row.label: str(row.name or row.label) for row in rows} | {-1: "no answer"}
    return lambda label: names.get(label, str(label))


def flat(mapping: Mapping[str, object], prefix: str = "") -> Sequence[tuple[str, str]]:
    """Nested mappings as (dotted key, text) pairs: ``("cost.unit", "macs")``."""
    pairs: list[tuple[str, str]] = []
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            pairs += flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            pairs.append((name, ", ".join(map(str, value))))
        elif value is not None:
            pairs.append((name, str(value)))
    return pairs


def _answers_if(results: Results, row: FrontRow) -> tuple[list[str]]:
    return (results.conditions(row),)


def _trade_offs(results: Results) -> list[FrontRow]:
    """A few rows along the Pareto front, evenly spread over its scores on the selection split."""
    rows = results.frontier
    if len(rows) <= _TRADE_OFFS:
        return rows
    low, high = rows[0].score, rows[-1].score
    wanted = [low + (high - low) * i / (_TRADE_OFFS - 1) for i in range(_TRADE_OFFS)]
    # The cheapest row that reaches each score; the front's scores grow.
    picked = {next((i for i, row in enumerate(rows) if row.score >= w), -1) for w in wanted}
    return [rows[i] for i in sorted(i % len(rows) for i in picked)]


def _pictures(found: Findings) -> dict[str, list[Picture]]:
    """The figures by place, drawn; those that this evaluation does not have are missing."""
    placed: dict[str, list[Picture]] = {place: [] for place in PLACES}
    with style.house_style():
        for entry in all_figures():
            tips = {} if entry.tips is None else entry.tips(found)
            wide = _drawn(entry, found, style.WIDE, f"{entry.name}-wide", tips)
            narrow = (
                None
                if entry.folded
                else _drawn(entry, found, style.NARROW, f"{entry.name}-narrow", tips)
            )
            if wide is not None:
                caption = entry.caption_of(found)
                picture = Picture(entry.name, entry.title, caption, wide, narrow, entry.folded)
                placed[entry.place].append(picture)
    return placed


def _drawn(
    entry: Entry, found: Findings, size: Size, prefix: str, tips: Mapping[str, Sequence[str]]
) -> str | None:
    from markupsafe import Markup

    figure = entry.draw(found, size)
    if figure is None:
        return None
    shown = {gid: texts for gid, texts in tips.items() if texts}
    # Made by matplotlib and ElementTree, which escape names: safe to put into the page as it is.
    return Markup(svg.inline_svg(figure, prefix, entry.title, shown))
