"""One evaluation: recordings and settings in, :class:`Results` out. No files are written here.

The steps (docs/definitions.md): stages on both splits, every cascade at every threshold on the
selection split, the front measured against the single models, operating points by rule, and all of
it applied unchanged to the report split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cascade_exp.cascade.confidence import Confidence, make_metric
from cascade_exp.cascade.frontier import (
    Baseline,
    average_improvement,
    improvement_factor,
    max_improvement,
)
from cascade_exp.cascade.pools.learned import LEARNED
from cascade_exp.errors import CascadeError, Refused
from cascade_exp.evaluation.analyses import check_published
from cascade_exp.evaluation.findings import findings, shared_examples
from cascade_exp.evaluation.kinds.base import own_method
from cascade_exp.evaluation.kinds.registry import kind_of
from cascade_exp.evaluation.learned import deferral_models, unlearned
from cascade_exp.evaluation.measuring import GUARANTEED, Measuring
from cascade_exp.evaluation.points import operating_points
from cascade_exp.evaluation.pools import BothSplits, open_pools, own_settings, reliability
from cascade_exp.evaluation.pricing import check_cost, unit_of, with_column
from cascade_exp.evaluation.searching import Searching
from cascade_exp.recordings.folder import Recordings
from cascade_exp.report.results.schema import (
    FrontFigures,
    FrontRow,
    OperatingPoint,
    Results,
    Setting,
)
from cascade_exp.schema.evaluating import CommonConfig


def check_settings(settings: CommonConfig) -> None:
    """Refuse settings that no evaluation could follow, before any compute is spent.

    What the schema cannot know: prices out of a file, kinds of cascade, published results.

    Raises:
        Refused: if options do not go together, naming both keys. CascadeError: naming the key.
    """
    check_cost(settings.cost)
    base = unlearned(settings)
    make_metric(base.metric.name, **own_settings(base.metric))  # it checks their values
    try:
        kind_of(base).check(own_method(base))
    except CascadeError as error:
        raise Refused(str(error)) from None
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
    check_published(settings)
    measuring = _measuring(recordings, settings, temperatures)
    splits, searching = measuring.splits, Searching(settings, measuring.splits.kind, progress)
    found = searching.front(splits.selection)
    points = operating_points(found.front, measuring, searching)
    chosen = next((rule for rule, point in points.items() if point.feasible), None)
    rows = measuring.front_rows(found.front)
    used = measuring if chosen is None else measuring.of(chosen)
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
        figures=front_figures(
            rows, {"selection": splits.selection.baseline, "report": splits.report.baseline}
        ),
        baseline={
            "selection": list(splits.selection.baseline.knots),
            "report": list(splits.report.baseline.knots),
        },
        reliability=[
            *reliability("selection", splits.selection),
            *reliability("report", splits.report),
        ],
        temperatures=splits.temperatures,
        learned=_learned(used.splits, points[chosen]) if chosen else {},
        sweep_curve=used.sweep_curve(points[chosen]) if chosen else None,
        environment=dict(environment),
        warnings=findings(splits),
        conditions=measuring.row_conditions,
    )
    return Evaluation(results, measuring, searching)


def _measuring(
    recordings: Recordings, settings: CommonConfig, temperatures: Mapping[str, float] | None
) -> Measuring:
    """Both splits, opened as the rules need them.

    For ``guaranteed`` temperatures and learned confidences are fitted on half of selection. Where
    other rules are asked for beside it, they are fitted on all of it, as they would be alone.
    """
    rules = settings.threshold.rule_names
    guaranteed = GUARANTEED in rules
    fits = settings.calibration.name != "none" or settings.metric.name == LEARNED
    if not (guaranteed and fits and len(rules) > 1):
        return Measuring(open_pools(recordings, settings, halve=guaranteed, fitted=temperatures))
    return Measuring(
        open_pools(recordings, settings, halve=False, fitted=temperatures),
        apart=Measuring(open_pools(recordings, settings, halve=True)),
    )


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
        "confidence": _named(selection.pool.confidence),
        "model_confidence": _named(selection.scored.confidence),
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


def _named(confidence: Confidence) -> dict[str, str]:
    return {"name": confidence.name, "label": confidence.label}


def front_figures(
    rows: Sequence[FrontRow], baselines: Mapping[str, Baseline]
) -> dict[str, FrontFigures]:
    """The headline figures of the front by role, each against that split's own baseline.

    The settings of the largest improvement and of the top score are chosen on the selection split
    alone; report says what the same two settings do there (docs/definitions.md#baseline).

    Args:
        rows: the selection split's Pareto front, at least one. baselines: of ``selection`` and of
            ``report``.
    """
    scores, costs = [row.score for row in rows], [row.cost for row in rows]
    peak = max_improvement(scores, costs, baselines["selection"])
    peak_row = None if peak is None else rows[peak.index]
    top_row = max(rows, key=lambda row: (row.score, -row.cost))
    return {
        role: _figures_on(role, rows, baselines[role], peak_row, top_row)
        for role in ("selection", "report")
    }


def _figures_on(
    role: str,
    rows: Sequence[FrontRow],
    baseline: Baseline,
    peak: FrontRow | None,
    top: FrontRow,
) -> FrontFigures:
    """The figures of one split, of which ``peak`` and ``top`` are the chosen settings."""
    scores, costs = zip(*(_on(role, row) for row in rows), strict=True)
    peak_score, peak_cost = (None, None) if peak is None else _on(role, peak)
    top_score, _ = _on(role, top)
    factor = None
    if peak_score is not None and peak_cost is not None:
        factor = float(improvement_factor([peak_score], [peak_cost], baseline)[0])
    return FrontFigures(
        average_improvement=average_improvement(scores, costs, baseline),
        accuracy_range=(baseline.low, baseline.top),
        max_improvement=None if factor is None or math.isnan(factor) else factor,
        max_improvement_score=peak_score,
        top_score=top_score,
        top_gain=top_score - baseline.top,
        max_improvement_setting=_setting(peak),
        top_setting=_setting(top),
    )


def _on(role: str, row: FrontRow) -> tuple[float, float]:
    """Score and mean cost of a setting on the split of ``role``."""
    if role == "selection":
        return row.score, row.cost
    return row.report_score, row.report_cost


def _setting(row: FrontRow | None) -> Setting | None:
    return None if row is None else Setting(list(row.stages), list(row.thresholds))
