"""``operating_point.json``: all that a deployment needs to run the chosen cascade."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cascade_exp.recordings.exits import network_of
from cascade_exp.recordings.names import models_of
from cascade_exp.report.results.schema import SCHEMA_VERSION, Results
from cascade_exp.schema.evaluating import CommonConfig, TiersCascade, TopK


def deployment(results: Results, recordings: Path, settings: CommonConfig) -> dict[str, Any]:
    """The chosen operating point with the models it runs, as plain data.

    Models of foreign recordings have no weights; of the project's own, the path of the weights, the
    input transform, the tokenizer and the label names are taken from beside the recording.
    """
    if results.chosen is None:
        return {"schema_version": SCHEMA_VERSION, "rule": None, "stages": []}
    point = results.operating_points[results.chosen]
    models = [name for stage in point.stages for name in models_of(stage)]
    recorded = dict.fromkeys(network_of(name) for name in models)
    split = str(settings.splits.selection)
    assert point.selection is not None
    return {
        "schema_version": SCHEMA_VERSION,
        "rule": point.rule,
        "stages": point.stages,
        "thresholds": point.thresholds,
        "compare": settings.threshold.compare,
        "metric": settings.metric.name,
        "k": settings.metric.k if isinstance(settings.metric, TopK) else None,
        "ensemble": settings.ensemble.name,
        "combine": settings.cascade.combine if isinstance(settings.cascade, TiersCascade) else None,
        "temperatures": {name: results.temperatures.get(name, 1.0) for name in models},
        "learned": results.learned or None,
        "objective": settings.objective.name,
        "cost": settings.cost.column,
        "accounting": settings.cost.accounting,
        "chosen_on": {"split": split, "recordings": str(recordings.resolve())},
        "expected": {
            "exit_rates": point.selection.exit_rates,
            "cost": point.selection.cost,
            "score": point.selection.score,
        },
        "models": {name: _model(recordings / split / f"{name}.json") for name in recorded},
    }


def _model(beside: Path) -> dict[str, Any] | None:
    try:
        about = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    model = about.get("model") if isinstance(about, dict) else None
    return model if isinstance(model, dict) else None
