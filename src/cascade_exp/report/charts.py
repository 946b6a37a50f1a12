"""W&B's custom charts of one evaluation: front, improvement and reliability, of data in the run.

Unlike the pictures (``plots``) they can be laid over one another on the board, run by run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cascade_exp.cascade.frontier import Baseline
from cascade_exp.report import view
from cascade_exp.report.analyses_schema import Analyses
from cascade_exp.report.methods import front_points
from cascade_exp.report.schema import Results

ROLES = ("selection", "report")


def charts(results: Results, analyses: Analyses | None) -> dict[str, Any]:
    """The charts by the names they are logged under; reliability needs the ``analyses``."""
    name, unit = view.objective(results), view.unit(results)
    fronts, factors = {}, {}
    for role in ROLES:
        scores, costs = front_points(results, role)
        fronts[f"front on {role}"] = (costs, scores)
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
    found = {
        "charts/front": _lines(fronts, f"{name} against mean cost ({unit})", "cost"),
        "charts/improvement": _lines(factors, f"Improvement factor against {name}", "score"),
    }
    if analyses is not None and any(len(m.reliability.confidence) for m in analyses.models):
        curves = {
            model.model: (
                model.reliability.confidence.tolist(),
                model.reliability.accuracy.tolist(),
            )
            for model in analyses.models
        }
        found["charts/reliability"] = _lines(curves, "Accuracy against confidence", "confidence")
    return found


def _lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, x: str
) -> Any:
    import wandb

    drawn = {name: points for name, points in series.items() if len(points[0])}
    return wandb.plot.line_series(
        xs=[list(xs) for xs, _ in drawn.values()],
        ys=[list(ys) for _, ys in drawn.values()],
        keys=list(drawn),
        title=title,
        xname=x,
    )
