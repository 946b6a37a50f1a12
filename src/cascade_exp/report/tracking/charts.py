"""W&B's custom charts of one evaluation: Pareto front, improvement and reliability.

Unlike the pictures (``plots``) they can be laid over one another on the board, run by run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cascade_exp.cascade.frontier import Baseline
from cascade_exp.report.comparison.methods import front_points
from cascade_exp.report.pages import view
from cascade_exp.report.results.analyses_schema import Analyses
from cascade_exp.report.results.schema import Results
from cascade_exp.report.thinning import shown_rows

ROLES = ("selection", "report")


def charts(results: Results, analyses: Analyses | None) -> dict[str, Any]:
    """The charts by the names they are logged under, of those that have anything to show.

    Reliability needs the ``analyses``, improvement a score that single models reach.
    """
    name, unit = view.objective(results), view.unit(results)
    results = replace(results, frontier=shown_rows(results))
    fronts, factors = {}, {}
    for role in ROLES:
        scores, costs = front_points(results, role)
        fronts[f"Pareto front on {role}"] = (costs, scores)
        baseline = Baseline(tuple(results.baseline[role]), kind="hull")
        paid = baseline.cost_at(scores).tolist()
        pairs = [
            (score, alone / cost)
            for score, cost, alone in sorted(zip(scores, costs, paid, strict=True))
            if alone == alone
        ]
        factors[role] = ([score for score, _ in pairs], [factor for _, factor in pairs])
    fronts["single models on report"] = (
        [model.report.cost for model in results.single_models],
        [model.report.score for model in results.single_models],
    )
    curves = {}
    if analyses is not None:
        curves = {
            model.model: (
                model.reliability.confidence.tolist(),
                model.reliability.accuracy.tolist(),
            )
            for model in analyses.models
        }
    found = {
        "front": _lines(fronts, f"{name} against mean cost ({unit})", "cost"),
        "improvement": _lines(factors, f"Improvement factor against {name}", "score"),
        "reliability": _lines(curves, "Accuracy against confidence", "confidence"),
    }
    return {f"charts/{name}": chart for name, chart in found.items() if chart is not None}


def _lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, x: str
) -> Any:
    """W&B's chart of the series that have points; None where none has."""
    import wandb

    drawn = {name: points for name, points in series.items() if len(points[0])}
    if not drawn:
        return None
    return wandb.plot.line_series(
        xs=[list(xs) for xs, _ in drawn.values()],
        ys=[list(ys) for _, ys in drawn.values()],
        keys=list(drawn),
        title=title,
        xname=x,
    )
