"""``report.html`` of a comparison: one self-contained page over many jobs.

Pareto fronts and parallel coordinates are drawn in the page by ``templates/runs.js.j2`` from data
embedded in it, so that pointing at a job highlights it everywhere; ``runs_figure`` draws the Pareto
fronts for those without a browser.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_exp.atomic import write_text
from cascade_exp.report.comparison.pairs import Pair
from cascade_exp.report.comparison.runs import (
    Budget,
    ComparedRun,
    best_per_budget,
    by_improvement,
    cautions,
    comparable,
    first_point,
    label,
    varied,
)
from cascade_exp.report.comparison.seeds import SPREAD, seed_tables
from cascade_exp.report.figures import axes, style
from cascade_exp.report.figures.runs import COLORS, DASHES, looks, reported_rows
from cascade_exp.report.pages import numbers, view
from cascade_exp.report.pages.runs_table import gain_words, unpaired_words
from cascade_exp.report.pages.template import template
from cascade_exp.report.results.schema import FrontRow
from cascade_exp.report.sentences import stated

# Points drawn of all fronts together; frontier.csv of each job has them all.
_POINTS = 3000


def write_page(
    runs: Sequence[ComparedRun],
    path: Path,
    *,
    title: str,
    command: str,
    pairs: Mapping[str, Pair] | None = None,
) -> None:
    """Write the page about ``runs`` to ``path``, atomically.

    Args:
        title: what the jobs are: a sweep's folder, or a glob. command: the line that compares.
        pairs: by job, its paired difference (``comparison.pairs``).
    """
    write_text(path, page_text(runs, title=title, command=command, pairs=pairs))


def page_text(
    runs: Sequence[ComparedRun],
    *,
    title: str,
    command: str,
    pairs: Mapping[str, Pair] | None = None,
) -> str:
    """The page as text; see :func:`write_page`."""
    from markupsafe import Markup

    keys = varied(runs)
    paired = pairs or {}
    groups = [
        _group(members, keys, unit, paired) for (_, unit), members in comparable(runs).items()
    ]
    # "<" could end the script element; as an escape it cannot
    data = json.dumps([group["data"] for group in groups]).replace("<", "\\u003c")
    return template("runs").render(
        title=title,
        command=command,
        headline=_headline(runs, keys),
        cautions=cautions(runs),
        missing=[run for run in runs if run.results is None],
        finished=sum(run.results is not None for run in runs),
        seconds=sum(run.seconds or 0.0 for run in runs),
        keys=keys,
        seed_tables=seed_tables(runs),
        spread=SPREAD,
        groups=groups,
        data=Markup(data),
        n=numbers,
        palette=style.PALETTE,
        colors=COLORS,
        label=lambda run: label(run, keys),
    )


@stated
def _headline(runs: Sequence[ComparedRun], keys: Sequence[str]) -> str:
    compared = [run for run in runs if run.results is not None]
    text = f"{len(runs)} job{'' if len(runs) == 1 else 's'}"
    if len(compared) < len(runs):
        text += f", {len(compared)} with results"
    groups = comparable(runs)
    best = max(compared, key=by_improvement, default=None)
    if best is None or best.results is None or len(groups) > 1:
        return text
    average = best.results.figures["report"].average_improvement
    if average is None:
        return text
    return (
        f"{text}: best on average on selection is {label(best, keys)}, which reaches "
        f"{numbers.factor(average)} on report"
    )


def _group(
    runs: Sequence[ComparedRun], keys: Sequence[str], unit: str, pairs: Mapping[str, Pair]
) -> dict[str, Any]:
    """One kind of score and cost: the contents of its tables and drawings."""
    ranked = sorted(runs, key=by_improvement, reverse=True)
    report = ranked[0].results
    assert report is not None
    return {
        "objective": view.objective(report),
        "unit": numbers.unit_title(unit) or unit,
        "rows": [_table_row(run, keys, unit, pairs.get(run.name)) for run in ranked],
        **_paired_words(runs, keys, pairs),
        "rule": next((p.rule for run in ranked if (p := first_point(run))), None),
        "budgets": [_budget(budget, keys, unit) for budget in best_per_budget(runs)],
        "legend": _legend(runs, keys),
        "data": _drawing(ranked, looks(runs, keys), keys, view.objective(report), unit),
    }


def _drawing(
    ranked: Sequence[ComparedRun],
    look: Mapping[str, tuple[int, int]],
    keys: Sequence[str],
    objective: str,
    unit: str,
) -> dict[str, Any]:
    """What ``runs.js.j2`` draws of a group: limits and ticks, titles, single models, runs."""
    each = max(8, _POINTS // len(ranked))
    drawn = {run.name: _spread(reported_rows(run.results), each) for run in ranked if run.results}
    singles = {
        (model.report.cost, model.report.score): model.name
        for run in ranked
        if run.results
        for model in run.results.single_models
    }
    costs = [row.report_cost for rows in drawn.values() for row in rows] + [c for c, _ in singles]
    scores = [row.report_score for rows in drawn.values() for row in rows]
    low, high = axes.score_limits([*scores, *(s for _, s in singles)], 0.04)
    left, right = min(costs) / 1.08, max(costs) * 1.08
    title = numbers.unit_title(unit)
    return {
        "score": [low, high],
        "cost": [left, right],
        "costTicks": [
            [tick, numbers.cost_tick(tick, unit)] for tick in axes.cost_ticks(left, right, 8)
        ],
        "xTitle": f"mean cost per example on report{f' ({title})' if title else ''}",
        "yTitle": f"{objective} on report",
        "singles": [
            [cost, score, f"{model}\n{numbers.score(score)} at {numbers.cost(cost, unit)}"]
            for (cost, score), model in singles.items()
        ],
        "axes": [*keys, "average improvement", objective, "cost"],
        "runs": [
            _drawn_run(run, drawn[run.name], look[run.name], keys, unit)
            for run in ranked
            if run.results
        ],
    }


def _drawn_run(
    run: ComparedRun,
    rows: Sequence[FrontRow],
    look: tuple[int, int],
    keys: Sequence[str],
    unit: str,
) -> dict[str, Any]:
    results = run.results
    assert results is not None
    color, dashes = look
    return {
        "label": label(run, keys),
        "color": COLORS[color],
        "dash": " ".join(map(str, DASHES[dashes])),
        "points": [
            [row.report_cost, row.report_score, "\n".join(view.front_label(results, row))]
            for row in rows
        ],
        "values": _values(run, keys, unit),
    }


def _spread(rows: list[FrontRow], most: int) -> list[FrontRow]:
    """At most ``most`` of ``rows``, evenly spread by their place, both ends included."""
    if len(rows) <= most:
        return rows
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _values(run: ComparedRun, keys: Sequence[str], unit: str) -> list[list[Any]]:
    """Per axis of the parallel coordinates, (number or None, its text)."""
    assert run.results is not None
    average = run.results.figures["report"].average_improvement
    point = first_point(run)
    measured = point.report if point else None
    return [
        *([None, run.choices.get(key, numbers.NOTHING)] for key in keys),
        [average, numbers.factor(average)],
        [measured.score, numbers.score(measured.score)] if measured else [None, numbers.NOTHING],
        [measured.cost, numbers.cost(measured.cost, unit)] if measured else [None, numbers.NOTHING],
    ]


def _paired_words(
    runs: Sequence[ComparedRun], keys: Sequence[str], pairs: Mapping[str, Pair]
) -> dict[str, Any]:
    """The job that differences are from, and by job why it has none."""
    names = {run.name: label(run, keys) for run in runs}
    of_group = {name: pair for name, pair in pairs.items() if name in names}
    reference = next((names[pair.reference] for pair in of_group.values()), None)
    unpaired = [
        unpaired_words(names[name], pair.reason) for name, pair in of_group.items() if pair.reason
    ]
    return {"reference": reference, "unpaired": unpaired}


def _table_row(
    run: ComparedRun, keys: Sequence[str], unit: str, pair: Pair | None
) -> dict[str, Any]:
    """The cells of a run: (text, what it sorts by)."""
    assert run.results is not None
    figures = run.results.figures["report"]
    point = first_point(run)
    measured = point.report if point else None
    cells: list[tuple[str, str | float | None]] = [
        *((text := run.choices.get(key, numbers.NOTHING), text) for key in keys),
        (numbers.factor(figures.average_improvement), figures.average_improvement),
        (numbers.factor(figures.max_improvement), figures.max_improvement),
        (numbers.score(figures.top_score), figures.top_score),
    ]
    if measured is None or point is None:
        cells += [(numbers.NOTHING, None)] * 4
    else:
        cells += [
            (">".join(point.stages), ">".join(point.stages)),
            (numbers.score(measured.score), measured.score),
            (numbers.cost(measured.cost, unit), measured.cost),
            (numbers.factor(measured.improvement), measured.improvement),
        ]
    found = pair.difference if pair else None
    cost = numbers.cost_difference(found.cost, found.cost_interval, unit) if found else ""
    cells.append((gain_words(pair) or numbers.NOTHING, found.score if found else None))
    cells.append((cost or numbers.NOTHING, found.cost if found else None))
    return {"run": run, "cells": cells, "words": len(keys)}


def _budget(budget: Budget, keys: Sequence[str], unit: str) -> list[str]:
    row = budget.row
    return [
        numbers.cost(budget.cost, unit),
        label(budget.run, keys),
        ">".join(row.stages),
        numbers.score(row.score),
        numbers.score(row.report_score),
        numbers.cost(row.report_cost, unit),
    ]


def _legend(runs: Sequence[ComparedRun], keys: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """What colours and dashes stand for: per choice, (value, colour, dash)."""
    legend: list[tuple[str, list[Any]]] = []
    for place, key in enumerate(keys[:2]):
        values = list(dict.fromkeys(run.choices.get(key, numbers.NOTHING) for run in runs))
        legend.append(
            (
                key,
                [
                    (value, COLORS[i % len(COLORS)], "")
                    if place == 0
                    else (value, "", " ".join(map(str, DASHES[i % len(DASHES)])))
                    for i, value in enumerate(values)
                ],
            )
        )
    return legend
