"""Evaluations and their analyses of small recordings, composed as ``evaluate.py`` composes them."""

from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from cascade_exp.evaluation.analyses import analyse
from cascade_exp.evaluation.evaluation import Evaluation, evaluate_recordings
from cascade_exp.recordings.folder import open_recordings
from cascade_exp.report.pages import view
from cascade_exp.report.results.analyses_schema import Analyses
from cascade_exp.schema.checks import to_settings
from cascade_exp.schema.evaluating import EvaluateConfig
from cascade_exp.schema.registry import register

ROOT = Path(__file__).parents[1]


def settings_of(*overrides: str) -> EvaluateConfig:
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("evaluate", overrides=["bootstrap.resamples=10", *overrides])
    settings = to_settings(config)
    assert isinstance(settings, EvaluateConfig)
    return settings


def evaluated(folder: Path, *overrides: str) -> tuple[Evaluation, Analyses]:
    """The evaluation of the recordings in ``folder``, and its analyses."""
    settings = settings_of(*overrides)
    pool = settings.pool
    recordings = open_recordings(folder, pool.include, pool.exclude)
    evaluation = evaluate_recordings(recordings, settings, {})
    chosen = view.chosen(evaluation.results)
    return evaluation, analyse(evaluation.measuring, evaluation.searching, chosen)


def write_answers(folder: Path, costs: dict[str, float], split: str, labels, answers) -> None:
    """Black boxes' recordings: ``answers`` by model, (prediction, confidence) per example."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    np.save(folder / split / "labels.npy", np.array(labels))
    for name, (prediction, confidence) in answers.items():
        np.savez(
            folder / split / f"{name}.answers.npz",
            prediction=np.array(prediction),
            confidence=np.array(confidence, dtype=np.float64),
        )
    rows = "".join(f"{name},{cost!r}\n" for name, cost in costs.items())
    (folder / "models.csv").write_text(f"name,macs\n{rows}")
