"""One evaluation: recordings and settings in, :class:`Results` out. No files are written here.

The steps (docs/definitions.md): stages on both splits, every cascade at every threshold on the
selection split, the front measured against the single models, operating points by rule, and all of
it applied unchanged to the report split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cascade_exp.cascade.frontier import average_improvement, max_improvement, top_score
from cascade_exp.evaluation.analyses import check_published
from cascade_exp.evaluation.findings import findings, shared_examples
from cascade_exp.evaluation.kinds.base import own_method
from cascade_exp.evaluation.kinds.registry import kind_of
from cascade_exp.evaluation.learned import deferral_models, unlearned
from cascade_exp.evaluation.measuring import Measuring
from cascade_exp.evaluation.points import operating_points
from cascade_exp.evaluation.pools import BothSplits, open_pools, reliability
from cascade_exp.evaluation.pricing import check_cost, unit_of, with_column
from cascade_exp.evaluation.searching import Searching
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.results.schema import FrontFigures, FrontRow, OperatingPoint, Results
from cascade_exp.schema.evaluating import CommonConfig


def check_settings(settings: CommonConfig) -> None:
    """Refuse settings that no evaluation could follow, before any compute is spent.

    What the schema cannot know: prices out of a file, kinds of cascade, published results.

    Raises:
        CascadeError: naming the key.
    """
    check_cost(settings.cost)
    base = unlearned(settings)
    kind_of(base).check(own_method(base))
    check_published(settings)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation's results, and what its analyses are made from (``jobs.analyses``)."""

    results: Results
    measuring: Measuring
    searching: Searching


def evaluate_recordings(
    recordings: Recordings,
    settings: CommonConfig,
    environment: Mapping[str, object],
    progress: Callable[[int, int], None] | None = None,
    temperatures: Mapping[str, float] | None = None,
) -> Evaluation:
    """Evaluate every cascade that ``settings`` ask for on ``recordings``.

    Args:
        temperatures: by model, as an evaluation that differs in its method alone has fitted them;
            where there are none, ``calibration=temperature`` fits them.

    Raises:
        CascadeError: if the recordings or the settings do not fit.
    """
    check_settings(settings)
    settings = with_column(settings, recordings)
    splits = open_pools(
        recordings,
        settings,
        halve="guaranteed" in settings.threshold.rule_names,
        fitted=temperatures,
    )
    measuring, searching = Measuring(splits), Searching(settings, splits.kind, progress)
    found = searching.front(splits.selection)
    points = operating_points(found.front, measuring, searching)
    chosen = next((rule for rule, point in points.items() if point.feasible), None)
    rows = measuring.front_rows(found.front)
    results = Results(
        settings={
            **_choices(splits),
            "exact": found.exact,
            "search_note": found.note,
            "cascades": found.cascades,
        },
        single_models=[measuring.single(m) for m in range(len(splits.selection.models.names))],
        frontier=rows,
        operating_points=points,
        chosen=chosen,
        figures=_figures(rows, splits),
        baseline={
            "selection": list(splits.selection.baseline.knots),
            "report": list(splits.report.baseline.knots),
        },
        reliability=[
            *reliability("selection", splits.selection),
            *reliability("report", splits.report),
        ],
        temperatures=splits.temperatures,
        learned=_learned(splits, points[chosen]) if chosen else {},
        sweep_curve=measuring.sweep_curve(points[chosen]) if chosen else None,
        environment=dict(environment),
        warnings=findings(splits),
    )
    return Evaluation(results, measuring, searching)


def _learned(splits: BothSplits, point: OperatingPoint) -> dict[str, dict[str, object]]:
    pool = splits.selection.pool
    return deferral_models(pool, splits.kind.members(splits.selection.stages, point.stages))


def _choices(splits: BothSplits) -> dict[str, object]:
    """The choices made, by name, as ``summary.json`` gives them."""
    settings, selection, report = splits.settings, splits.selection, splits.report
    details = {
        f"{group}_{key}": value
        for group, option in (("metric", settings.metric), ("objective", settings.objective))
        for key, value in vars(option).items()
        if key != "name"
    }
    return {
        "metric": settings.metric.name,
        "confidence": {
            "name": selection.pool.confidence.name,
            "label": selection.pool.confidence.label,
        },
        "ensemble": settings.ensemble.name,
        "calibration": settings.calibration.name,
        "objective": settings.objective.name,
        **details,
        "cost": {
            "name": settings.cost.name,
            "column": settings.cost.column,
            "unit": unit_of(settings.cost),
        },
        "accounting": settings.cost.accounting,
        "cascade": dict(splits.kind.summary()),
        "baseline": settings.baseline,
        "compare": settings.threshold.compare,
        "shared": splits.kind.shared(),
        "recordings": str(splits.recordings.path),
        "splits": {"selection": selection.name, "report": report.name},
        "sizes": {"selection": selection.pool.size, "report": report.pool.size},
        "shared_examples": shared_examples(splits),
    }


def _figures(rows: list[FrontRow], splits: BothSplits) -> dict[str, FrontFigures]:
    """The headline figures of the front on each split, against that split's own baseline."""
    seen = {
        "selection": (splits.selection, [r.score for r in rows], [r.cost for r in rows]),
        "report": (splits.report, [r.report_score for r in rows], [r.report_cost for r in rows]),
    }
    figures = {}
    for role, (one, scores, costs) in seen.items():
        peak = max_improvement(scores, costs, one.baseline)
        best, gain = top_score(scores, one.baseline)
        figures[role] = FrontFigures(
            average_improvement=average_improvement(scores, costs, one.baseline),
            accuracy_range=(one.baseline.low, one.baseline.top),
            max_improvement=peak.factor if peak else None,
            max_improvement_score=peak.score if peak else None,
            top_score=best,
            top_gain=gain,
        )
    return figures
