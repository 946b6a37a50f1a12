"""``report.html``: one self-contained page about one evaluation, for people.

It opens offline and asks for nothing: figures are inline SVG, style and the few lines of script are
in the page, and its content security policy forbids the rest. What it says comes from ``view``,
what it draws from ``plots``; the layout is ``templates/report.html.j2``.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_exp.atomic import write_text
from cascade_exp.report.figures import analyses as analysis_plots
from cascade_exp.report.figures import evaluation as plots
from cascade_exp.report.figures import style, svg
from cascade_exp.report.figures.style import Size
from cascade_exp.report.pages import numbers, tiers_view, view
from cascade_exp.report.pages import speed_ups_view as speed_ups_view
from cascade_exp.report.pages.sections import Sections
from cascade_exp.report.results.analyses_schema import Analyses, EarlyError
from cascade_exp.report.results.schema import FrontRow, OperatingPoint, Results

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

# Rows of the page's table of trade-offs; frontier.csv has them all.
_TRADE_OFFS = 14

# Early errors shown, and the characters of an example's text.
_EARLY, _TEXT = 12, 240

# The analyses that the page shows, each with what it says to those who cannot see it.
_ANALYSES = {
    "deferral": "The chosen cascade's thresholds between random and ideal deferral.",
    "transfer": "The front with thresholds of selection, and the one re-optimised on report.",
}

_NO_SECTIONS = Sections()


@dataclass(frozen=True)
class Picture:
    """One figure of the page, drawn for a wide and for a narrow screen."""

    wide: str
    narrow: str


def write_html(
    results: Results,
    path: Path,
    *,
    config_yaml: str,
    command: str,
    analyses: Analyses | None = None,
    sections: Sections = _NO_SECTIONS,
    preview: Callable[[int | str], str | bytes | None] | None = None,
) -> None:
    """Write the page about ``results`` to ``path``, atomically.

    ``config_yaml`` is the composed configuration as YAML, ``command`` the command line that gives
    these results again; both are shown as they are. Of the ``analyses`` the page shows deferral,
    transfer, exits by class and the surest early errors, with what ``preview`` gives for their ids;
    ``sections`` hold what evaluations of their kind tell besides.
    """
    text = html_text(
        results,
        config_yaml=config_yaml,
        command=command,
        analyses=analyses,
        sections=sections,
        preview=preview,
    )
    write_text(path, text)


def html_text(
    results: Results,
    *,
    config_yaml: str,
    command: str,
    analyses: Analyses | None = None,
    sections: Sections = _NO_SECTIONS,
    preview: Callable[[int | str], str | bytes | None] | None = None,
) -> str:
    """The page as text; see :func:`write_html`."""
    unit = view.unit(results)
    return _template().render(
        r=results,
        view=view,
        n=numbers,
        cost=lambda value: numbers.cost(value, unit),
        palette=style.PALETTE,
        chosen=view.chosen(results),
        best=view.best_single(results),
        analyses=analyses,
        sections=sections,
        tiers_view=tiers_view,
        speed_ups_view=speed_ups_view,
        previews=preview is not None,
        early=_early(analyses, preview),
        early_of=_early_words(analyses),
        pictures=_pictures(results, analyses, sections),
        trade_offs=[(row, *_answers_if(results, row)) for row in _trade_offs(results)],
        drawn=(len(plots.drawn_rows(results)), len(results.frontier)),
        settings=list(flat(results.settings)),
        environment=list(flat(results.environment)),
        config_yaml=config_yaml.rstrip(),
        command=command,
    )


@cache
def _template() -> Template:
    """The page's template, compiled once for all jobs of a multirun."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("cascade_exp.report.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _early(
    analyses: Analyses | None, preview: Callable[[int | str], str | bytes | None] | None
) -> list[tuple[EarlyError, str, str]]:
    """The surest early errors, each with its text and the data address of its picture."""
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
    return ([view.leaves(results, threshold) for threshold in row.thresholds],)


def _trade_offs(results: Results) -> list[FrontRow]:
    """A few rows along the front, evenly spread over its scores on the selection split."""
    rows = results.frontier
    if len(rows) <= _TRADE_OFFS:
        return rows
    low, high = rows[0].score, rows[-1].score
    wanted = [low + (high - low) * i / (_TRADE_OFFS - 1) for i in range(_TRADE_OFFS)]
    # The cheapest row that reaches each score; the front's scores grow.
    picked = {next((i for i, row in enumerate(rows) if row.score >= w), -1) for w in wanted}
    return [rows[i] for i in sorted(i % len(rows) for i in picked)]


def _pictures(
    results: Results, analyses: Analyses | None, sections: Sections
) -> dict[str, Picture]:
    """The figures by name; those that these results do not have are missing."""
    name = view.objective(results)
    told = {
        "frontier": f"Cost against {name} of every setting on the front, the single models and the "
        "operating points.",
        "improvement": f"Improvement factor over single models against {name}.",
        "thresholds": f"{name} and mean cost against the chosen cascade's threshold.",
        "reliability": "AUROC of correctness, DIS and ECE of every model.",
    }
    builders: dict[str, tuple[str, Callable[[Size], Figure | None]]] = {
        key: (label, partial(plots.FIGURES[key], results)) for key, label in told.items()
    }
    if analyses is not None:
        for key, label in _ANALYSES.items():
            builders[key] = (label, partial(analysis_plots.FIGURES[key], results, analyses))
    tips = {"frontier": _front_tips(results)}
    found = {}
    with style.house_style():
        for key, (label, build) in (builders | sections.pictures(results)).items():
            wide, narrow = (
                _drawn(build, size, f"{key}-{i}", label, tips.get(key, {}))
                for i, size in enumerate((style.WIDE, style.NARROW))
            )
            if wide is not None and narrow is not None:
                found[key] = Picture(wide, narrow)
    return found


def _front_tips(results: Results) -> dict[str, list[str]]:
    """By kind of point, what each one drawn on the front's picture is."""
    report = view.split(results, "report")
    return {
        plots.FRONT_POINTS: [
            "\n".join(view.front_label(results, row)) for row in plots.drawn_rows(results)
        ],
        plots.SINGLE_POINTS: [
            f"{model.name}\n{report}: {numbers.score(model.report.score)} at "
            f"{numbers.cost(model.report.cost, view.unit(results))}"
            for model in results.single_models
        ],
        plots.CHOSEN_POINTS: [_point_tip(results, rules, p) for rules, p in _feasible(results)],
    }


def _drawn(
    build: Callable[[Size], Figure | None],
    size: Size,
    prefix: str,
    label: str,
    tips: Mapping[str, Sequence[str]],
) -> str | None:
    from markupsafe import Markup

    figure = build(size)
    if figure is None:
        return None
    shown = {gid: texts for gid, texts in tips.items() if texts}
    # Made by matplotlib and ElementTree, which escape names: safe to put into the page as it is.
    return Markup(svg.inline_svg(figure, prefix, label, shown))


def _feasible(results: Results) -> list[tuple[list[str], OperatingPoint]]:
    return [(rules, p) for rules, p in view.rules_by_setting(results) if p.feasible]


def _point_tip(results: Results, rules: list[str], point: OperatingPoint) -> str:
    cost = numbers.cost(view.told(point).cost, view.unit(results))
    return "\n".join(
        [
            " and ".join(rules),
            ">".join(point.stages),
            f"{view.score_words(results, point)}, at {cost}",
        ]
    )
