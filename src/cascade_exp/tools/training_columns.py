"""The columns of a table that a job's text models were trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cascade_exp.data.sources.glue import TASKS


def training_columns(run: Path) -> list[str]:
    """Of a job, the columns that held the text, or the two texts, of its data; empty: none known.

    Of a GLUE task they are those of the original files, or of the hub where these came from it.
    """
    path = run / "config.yaml"
    if not path.is_file():
        return []
    config: Any = OmegaConf.to_container(OmegaConf.load(path))
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict):
        return []  # an evaluation, whose models another job has trained
    if data.get("source") == "glue":
        task = TASKS[data["task"]]
        local = data.get("root") is not None
        named = (task.text, task.pair) if local else (task.hub_text, task.hub_pair)
        return [column for column in named if column is not None]
    return [str(data[key]) for key in ("text", "text_pair") if data.get(key) is not None]
